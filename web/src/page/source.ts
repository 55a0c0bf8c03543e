/** What frames come from: one image, or a video that plays (a file or a camera). */
export type Source = { kind: "image"; image: ImageBitmap } | { kind: "video"; video: HTMLVideoElement };

const MAX_SIDE_PX = 1280;

/** The present frame of a source on a new canvas, at most 1280 px long; undefined before a video has one. */
export function grab(source: Source): HTMLCanvasElement | undefined {
  const drawn = source.kind === "image" ? source.image : source.video;
  const [width, height] =
    source.kind === "image" ? [source.image.width, source.image.height] : [source.video.videoWidth, source.video.videoHeight];
  if (!width || !height) return undefined;
  const scale = Math.min(1, MAX_SIDE_PX / Math.max(width, height));
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [Math.round(width * scale), Math.round(height * scale)];
  canvas.getContext("2d", { willReadFrequently: true })!.drawImage(drawn, 0, 0, canvas.width, canvas.height);
  return canvas;
}

/** Open a file. Throws for what is neither an image nor a video that the browser can show. */
export async function openFile(file: Blob): Promise<Source> {
  if (!file.type.startsWith("video/")) return { kind: "image", image: await createImageBitmap(file) };
  return { kind: "video", video: await play({ src: URL.createObjectURL(file) }) };
}

/** Open a camera. Throws where there is none, or where it may not be used. */
export async function openCamera(deviceId: string): Promise<Source> {
  if (!navigator.mediaDevices) throw new DOMException("no camera without a secure page", "NotSupportedError");
  const video = deviceId ? { deviceId: { exact: deviceId } } : { facingMode: "user" };
  return { kind: "video", video: await play({ srcObject: await navigator.mediaDevices.getUserMedia({ video }) }) };
}

/** Stop playing and give the camera back. */
export function close(source: Source | undefined): void {
  if (source?.kind !== "video") return;
  source.video.pause();
  if (source.video.srcObject instanceof MediaStream) source.video.srcObject.getTracks().forEach((track) => track.stop());
  else URL.revokeObjectURL(source.video.src);
}

async function play(from: { src: string } | { srcObject: MediaStream }): Promise<HTMLVideoElement> {
  const video = Object.assign(document.createElement("video"), { muted: true, loop: true, playsInline: true, ...from });
  await video.play();
  return video;
}

/** Why a source did not open, as a sentence for the page. */
export function explain(fault: unknown): string {
  const name = fault instanceof DOMException ? fault.name : "";
  if (name === "NotAllowedError") return "The camera may not be used: allow it in the browser's settings of this page.";
  if (name === "NotFoundError") return "There is no camera on this machine. Drop an image or a video instead.";
  if (name === "NotSupportedError") return "The browser gives no camera to this page, which needs https or localhost.";
  if (name === "NotReadableError") return "Another program is using the camera. Close it and try again.";
  return "This file is neither an image nor a video that the browser can show.";
}
