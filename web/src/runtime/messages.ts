import type { LabelMap } from "../codecs/mask_rendering";
import type { Person } from "../people";

export type ModelName = "fast" | "small";

/** To the worker: predict the people of a frame. */
export interface Frame {
  pixels: ImageData;
  model: ModelName;
  longEdgePx: number;
}

/** From the worker: people in pixels of the image, and masks on the network's input. */
export interface Prediction {
  people: Person[];
  masks: LabelMap;
  /** width and height of the image on the network's input */
  content: [number, number];
  /** milliseconds */
  timings: { prepare: number; network: number; decode: number };
  threads: number;
}

export type Reply = { kind: "prediction"; prediction: Prediction } | { kind: "fault"; message: string };
