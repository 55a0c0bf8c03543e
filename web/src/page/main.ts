import type { Frame, ModelName, Prediction, Reply } from "../runtime/messages";
import { cocoResults } from "./coco_results";
import { drawEffect, type EffectName, type Scene } from "./effects";
import { drawOverlay } from "./overlay";
import { close, explain, grab, openCamera, openFile, type Source } from "./source";

const element = <T extends HTMLElement>(id: string): T => document.getElementById(id) as T;
const canvas = element<HTMLCanvasElement>("view");
const ink = canvas.getContext("2d")!;
const input = (id: string): HTMLInputElement => element<HTMLInputElement>(id);
const choice = (id: string): HTMLSelectElement => element<HTMLSelectElement>(id);

const worker = new Worker(new URL("../runtime/worker.ts", import.meta.url), { type: "module" });
const wings = Object.assign(new Image(), { src: `${import.meta.env.BASE_URL}art/angel.webp` });
let source: Source | undefined;
let pending: HTMLCanvasElement | undefined;
let shown: { frame: HTMLCanvasElement; prediction: Prediction } | undefined;
let again = false;
let answeredAt = 0;

/** Send the present frame to the worker, unless it is busy: then again when it has answered. */
function predict(): void {
  const frame = source && grab(source);
  if (pending || !frame) {
    again = true;
    return;
  }
  again = false;
  pending = frame;
  const pixels = frame.getContext("2d")!.getImageData(0, 0, frame.width, frame.height);
  const message: Frame = { pixels, model: choice("model").value as ModelName, longEdgePx: Number(choice("size").value) };
  worker.postMessage(message, [pixels.data.buffer]);
}

worker.onmessage = ({ data }: MessageEvent<Reply>): void => {
  const frame = pending!;
  pending = undefined;
  if (data.kind === "fault") {
    notify(`The network did not run: ${data.message}`);
    return;
  }
  shown = { frame, prediction: data.prediction };
  report(data.prediction);
  draw();
  if (again || source?.kind === "video") requestAnimationFrame(predict);
};

function report({ people, timings, threads }: Prediction): void {
  const now = performance.now();
  const rate = source?.kind === "video" ? `${(1000 / (now - answeredAt)).toFixed(1)} frames/s · ` : "";
  answeredAt = now;
  const split = [timings.prepare, timings.network, timings.decode].map((ms) => Math.round(ms)).join(" + ");
  const count = people.length === 1 ? "1 person" : `${people.length || "no"} people`;
  const status = element("status");
  status.setAttribute("aria-live", source?.kind === "video" ? "off" : "polite"); // not read out for every frame
  status.textContent = `${count} · ${rate}${split} ms (prepare + network + decode) · WebAssembly, threads: ${threads}`;
  canvas.setAttribute("aria-label", `Image with ${count}`);
  const select = choice("person");
  const wanted = Number(select.value || 0);
  if (wanted > people.length) select.value = "";
  while (select.options.length > people.length + 1) select.options[select.options.length - 1]!.remove();
  while (select.options.length < people.length + 1) {
    select.add(new Option(`Person ${select.options.length}`, String(select.options.length)));
  }
}

function draw(): void {
  if (!shown) return;
  const { frame, prediction } = shown;
  if (canvas.width !== frame.width || canvas.height !== frame.height) [canvas.width, canvas.height] = [frame.width, frame.height];
  const one = choice("person").value;
  const chosen = one ? [Number(one) - 1] : prediction.people.map((_, index) => index);
  const strength = Number(input("strength").value);
  const scene: Scene = { frame, prediction, chosen, strength, colour: input("colour").value, wings: wings.complete ? wings : undefined };
  drawEffect(ink, scene, choice("effect").value as EffectName);
  const [skeleton, masks, boxes, scores] = ["skeleton", "masks", "boxes", "scores"].map((id) => input(id).checked) as [boolean, boolean, boolean, boolean];
  drawOverlay(ink, scene, { skeleton, masks, boxes, scores });
}

function notify(text: string): void {
  element("notice").hidden = !text;
  element("notice").textContent = text;
}

async function open(opening: Promise<Source>): Promise<void> {
  try {
    const opened = await opening;
    close(source);
    source = opened;
    element("hint").hidden = true;
    notify("");
    predict();
  } catch (fault) {
    notify(explain(fault));
  }
}

/** Choose the person at a point of the canvas; all people where there is none. */
canvas.addEventListener("click", (event) => {
  if (!shown) return;
  const { masks, content } = shown.prediction;
  const box = canvas.getBoundingClientRect();
  const column = Math.floor(((event.clientX - box.left) / box.width) * content[0]);
  const row = Math.floor(((event.clientY - box.top) / box.height) * content[1]);
  choice("person").value = String(masks.labels[row * masks.width + column] || "");
  draw();
});

function download(blob: Blob | null, name: string): void {
  if (!blob) return;
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

let recorder: MediaRecorder | undefined;
element("record").addEventListener("click", ({ currentTarget }) => {
  const button = currentTarget as HTMLButtonElement;
  if (recorder) {
    recorder.stop();
    recorder = undefined;
  } else {
    const parts: Blob[] = [];
    recorder = new MediaRecorder(canvas.captureStream());
    recorder.ondataavailable = ({ data }): unknown => parts.push(data);
    recorder.onstop = (): void => download(new Blob(parts, { type: "video/webm" }), "poseg.webm");
    recorder.start();
  }
  button.setAttribute("aria-pressed", String(Boolean(recorder)));
  button.textContent = recorder ? "Stop recording" : "Record video";
});

element("save-image").addEventListener("click", () => canvas.toBlob((blob) => download(blob, "poseg.png")));
element("save-json").addEventListener("click", () => {
  if (!shown) return;
  const all = shown.prediction.people.map((_, index) => index);
  const results = cocoResults(shown.prediction, all, shown.frame.width, shown.frame.height);
  download(new Blob([JSON.stringify(results)], { type: "application/json" }), "poseg.json");
});
element("example").addEventListener("click", () =>
  open(fetch(`${import.meta.env.BASE_URL}examples/astronaut.jpg`).then((answer) => answer.blob()).then(openFile)),
);
element("camera").addEventListener("click", async () => {
  await open(openCamera(choice("cameras").value));
  const devices = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
  const cameras = devices.filter((device) => device.kind === "videoinput" && device.deviceId);
  const chosen = choice("cameras").value;
  choice("cameras").replaceChildren(new Option("Default", ""), ...cameras.map((camera) => new Option(camera.label, camera.deviceId)));
  choice("cameras").value = chosen;
});
choice("cameras").addEventListener("change", () => open(openCamera(choice("cameras").value)));
input("file").addEventListener("change", () => {
  const file = input("file").files?.[0];
  if (file) void open(openFile(file));
});
element("stage").addEventListener("dragover", (event) => event.preventDefault());
element("stage").addEventListener("drop", (event) => {
  event.preventDefault();
  const file = event.dataTransfer?.files[0];
  if (file) void open(openFile(file));
});
addEventListener("paste", (event) => {
  const file = event.clipboardData?.files[0];
  if (file) void open(openFile(file));
});
element("controls").addEventListener("input", draw);
for (const id of ["model", "size"]) choice(id).addEventListener("change", predict);
wings.addEventListener("load", draw);

if (import.meta.env.PROD && "serviceWorker" in navigator) {
  void navigator.serviceWorker.register(`${import.meta.env.BASE_URL}sw.js`).then(() => navigator.serviceWorker.ready);
}
if (!self.crossOriginIsolated) notify("The browser gives this page no WebAssembly threads, so the network runs on one.");
