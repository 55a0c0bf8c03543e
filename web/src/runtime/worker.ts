/** Predicts people off the page's thread: letterbox, network (ONNX Runtime Web), PersonLab's decoder. */
import type * as Runtime from "onnxruntime-web";
import { decode } from "../codecs/personlab";
import type { Fields } from "../fields/fields";
import { letterbox, makeLetterbox } from "../transforms/letterbox";
import type { Frame, ModelName, Prediction, Reply } from "./messages";

const DIVISOR: Record<ModelName, number> = { fast: 32, small: 32 };
const STRIDE: Record<ModelName, number> = { fast: 16, small: 8 };
const BASE = new URL(import.meta.env.BASE_URL, self.location.origin).href;

let runtime: Promise<typeof Runtime> | undefined;
const sessions = new Map<ModelName, Promise<Runtime.InferenceSession>>();

async function loadRuntime(): Promise<typeof Runtime> {
  const ort = (await import(/* @vite-ignore */ `${BASE}ort/ort.wasm.min.mjs`)) as typeof Runtime;
  ort.env.wasm.wasmPaths = `${BASE}ort/`;
  ort.env.wasm.numThreads = self.crossOriginIsolated ? Math.min(navigator.hardwareConcurrency, 4) : 1;
  return ort;
}

async function predict({ pixels, model, longEdgePx }: Frame): Promise<Prediction> {
  const ort = await (runtime ??= loadRuntime());
  if (!sessions.has(model)) sessions.set(model, ort.InferenceSession.create(`${BASE}models/${model}.onnx`));
  const session = await sessions.get(model)!;
  const start = performance.now();
  const box = makeLetterbox(pixels.width, pixels.height, longEdgePx, DIVISOR[model]);
  const input = new ort.Tensor("float32", letterbox(pixels.data, box), [1, 3, box.input[1], box.input[0]]);
  const prepared = performance.now();
  const outputs = await session.run({ image: input });
  const done = performance.now();
  const [rows, columns] = outputs.heatmap!.dims.slice(2) as [number, number];
  const arrays = Object.fromEntries(Object.entries(outputs).map(([name, tensor]) => [name, tensor.data]));
  const { people, masks } = decode({ ...arrays, rows, columns, stride: STRIDE[model] } as unknown as Fields);
  const [scaleX, scaleY] = [box.content[0] / box.image[0], box.content[1] / box.image[1]];
  const onImage = people.map((person) => ({
    ...person,
    keypoints: person.keypoints.map((value, index) => value / (index % 2 ? scaleY : scaleX)),
    box_xyxy: person.box_xyxy.map((value, index) => {
      const [scale, side] = index % 2 ? [scaleY, box.image[1]] : [scaleX, box.image[0]];
      return Math.min(Math.max(value / scale, 0), side);
    }) as [number, number, number, number],
  }));
  const timings = { prepare: prepared - start, network: done - prepared, decode: performance.now() - done };
  return { people: onImage, masks, content: box.content, timings, threads: ort.env.wasm.numThreads ?? 1 };
}

self.onmessage = async (event: MessageEvent<Frame>): Promise<void> => {
  let reply: Reply;
  try {
    reply = { kind: "prediction", prediction: await predict(event.data) };
  } catch (fault) {
    reply = { kind: "fault", message: String(fault) };
  }
  self.postMessage(reply);
};
