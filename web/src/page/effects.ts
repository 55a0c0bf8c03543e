import type { Prediction } from "../runtime/messages";
import { drawWings } from "./winged";

export const EFFECTS = ["none", "blur", "replace", "cutout", "outline", "winged", "pixelate"] as const;
export type EffectName = (typeof EFFECTS)[number];

/** What an effect is given: the frame, its people, which of them are chosen, strength in [0, 1] and a colour. */
export interface Scene {
  frame: HTMLCanvasElement;
  prediction: Prediction;
  chosen: number[];
  strength: number;
  colour: string;
  wings: HTMLImageElement | undefined;
}

const FACE_JOINTS = [0, 1, 2, 3, 4];
const MIN_JOINT_SCORE = 0.2;

function layer(width: number, height: number): [HTMLCanvasElement, CanvasRenderingContext2D] {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [width, height];
  return [canvas, canvas.getContext("2d")!];
}

/** The masks of people in one colour, opaque where a mask is, in the size of the frame. */
export function silhouette(scene: Scene, people: number[], [red, green, blue]: [number, number, number]): HTMLCanvasElement {
  const { labels, width, height } = scene.prediction.masks;
  const [small, ink] = layer(width, height);
  const pixels = ink.createImageData(width, height);
  labels.forEach((label, at) => {
    if (label && people.includes(label - 1)) pixels.data.set([red, green, blue, 255], 4 * at);
  });
  ink.putImageData(pixels, 0, 0);
  const [full, onto] = layer(scene.frame.width, scene.frame.height);
  const [contentWidth, contentHeight] = scene.prediction.content;
  onto.drawImage(small, 0, 0, contentWidth, contentHeight, 0, 0, full.width, full.height);
  return full;
}

/** The pixels of people alone. */
export function cutOut(scene: Scene, people: number[]): HTMLCanvasElement {
  const mask = silhouette(scene, people, [0, 0, 0]);
  const ink = mask.getContext("2d")!;
  ink.globalCompositeOperation = "source-in";
  ink.drawImage(scene.frame, 0, 0);
  return mask;
}

function rgb(hex: string): [number, number, number] {
  return [1, 3, 5].map((at) => Number.parseInt(hex.slice(at, at + 2), 16)) as [number, number, number];
}

function background(ink: CanvasRenderingContext2D, scene: Scene, name: EffectName): void {
  const { frame, chosen, strength } = scene;
  if (name === "blur") {
    ink.filter = `blur(${Math.max(1, (strength * frame.width) / 40)}px)`;
    ink.drawImage(frame, 0, 0);
    ink.filter = "none";
  } else {
    ink.globalAlpha = strength;
    if (name === "cutout") ink.globalCompositeOperation = "destination-out";
    ink.fillStyle = scene.colour;
    ink.fillRect(0, 0, frame.width, frame.height);
    ink.globalAlpha = 1;
    ink.globalCompositeOperation = "source-over";
  }
  ink.drawImage(cutOut(scene, chosen), 0, 0);
}

function outline(ink: CanvasRenderingContext2D, scene: Scene): void {
  const width = Math.max(1, (scene.strength * scene.frame.width) / 60);
  const shape = silhouette(scene, scene.chosen, rgb(scene.colour));
  for (let step = 0; step < 24; step++) {
    const angle = (step / 24) * 2 * Math.PI;
    ink.drawImage(shape, width * Math.cos(angle), width * Math.sin(angle));
  }
  ink.drawImage(cutOut(scene, scene.chosen), 0, 0);
}

function pixelateFaces(ink: CanvasRenderingContext2D, scene: Scene): void {
  for (const index of scene.chosen) {
    const person = scene.prediction.people[index]!;
    const joints = FACE_JOINTS.filter((joint) => person.keypoint_scores[joint]! >= MIN_JOINT_SCORE);
    if (joints.length < 2) continue;
    const xs = joints.map((joint) => person.keypoints[2 * joint]!);
    const ys = joints.map((joint) => person.keypoints[2 * joint + 1]!);
    const radius = Math.max(Math.max(...xs) - Math.min(...xs), Math.max(...ys) - Math.min(...ys), 8) * 0.9;
    const [x, y] = [xs, ys].map((v) => v.reduce((sum, value) => sum + value, 0) / v.length) as [number, number];
    const blocks = Math.max(2, Math.round(14 - 10 * scene.strength));
    const [tiny, small] = layer(blocks, blocks);
    small.drawImage(scene.frame, x - radius, y - 1.2 * radius, 2 * radius, 2.4 * radius, 0, 0, blocks, blocks);
    ink.save();
    ink.beginPath();
    ink.ellipse(x, y, radius, 1.2 * radius, 0, 0, 2 * Math.PI);
    ink.clip();
    ink.imageSmoothingEnabled = false;
    ink.drawImage(tiny, x - radius, y - 1.2 * radius, 2 * radius, 2.4 * radius);
    ink.restore();
  }
}

/** Draw the frame with an effect. */
export function drawEffect(ink: CanvasRenderingContext2D, scene: Scene, name: EffectName): void {
  ink.clearRect(0, 0, scene.frame.width, scene.frame.height);
  ink.drawImage(scene.frame, 0, 0);
  if (name === "none" || !scene.chosen.length) return;
  if (name === "outline") outline(ink, scene);
  else if (name === "pixelate") pixelateFaces(ink, scene);
  else if (name === "winged") drawWings(ink, scene);
  else background(ink, scene, name);
}
