import { BONES } from "../skeletons";
import { silhouette, type Scene } from "./effects";

const PALETTE = ["#2f9e8f", "#e8743b", "#7a5cd6", "#d6336c", "#2b8fd9", "#b8860b", "#5a9e2f", "#c2255c"];
const MIN_JOINT_SCORE = 0.2;

export const colourOf = (index: number): string => PALETTE[index % PALETTE.length]!;

function rgb(hex: string): [number, number, number] {
  return [1, 3, 5].map((at) => Number.parseInt(hex.slice(at, at + 2), 16)) as [number, number, number];
}

/** Draw masks, skeletons, boxes and scores of the chosen people over what is there. */
export function drawOverlay(
  ink: CanvasRenderingContext2D,
  scene: Scene,
  show: { skeleton: boolean; masks: boolean; boxes: boolean; scores: boolean },
): void {
  const unit = Math.max(scene.frame.width, scene.frame.height) / 320;
  for (const index of scene.chosen) {
    const person = scene.prediction.people[index]!;
    const colour = colourOf(index);
    if (show.masks) {
      ink.globalAlpha = 0.45;
      ink.drawImage(silhouette(scene, [index], rgb(colour)), 0, 0);
      ink.globalAlpha = 1;
    }
    const [left, top, right, bottom] = person.box_xyxy;
    ink.strokeStyle = ink.fillStyle = colour;
    ink.lineWidth = unit;
    ink.lineCap = "round";
    if (show.boxes) ink.strokeRect(left, top, right - left, bottom - top);
    if (show.scores) {
      ink.font = `${9 * unit}px system-ui, sans-serif`;
      ink.fillText(person.score.toFixed(2), left + 2 * unit, Math.max(top - 2 * unit, 9 * unit));
    }
    if (show.skeleton) drawSkeleton(ink, person.keypoints, person.keypoint_scores, unit);
  }
}

function drawSkeleton(ink: CanvasRenderingContext2D, keypoints: Float64Array, scores: Float64Array, unit: number): void {
  const visible = (joint: number): boolean => scores[joint]! >= MIN_JOINT_SCORE;
  for (const [from, to] of BONES) {
    if (!visible(from) || !visible(to)) continue;
    ink.beginPath();
    ink.moveTo(keypoints[2 * from]!, keypoints[2 * from + 1]!);
    ink.lineTo(keypoints[2 * to]!, keypoints[2 * to + 1]!);
    ink.lineWidth = 2 * unit;
    ink.stroke();
  }
  scores.forEach((_, joint) => {
    if (!visible(joint)) return;
    ink.beginPath();
    ink.arc(keypoints[2 * joint]!, keypoints[2 * joint + 1]!, 2 * unit, 0, 2 * Math.PI);
    ink.fill();
  });
}
