import { cutOut, type Scene } from "./effects";

// Where the angel's wing lies from its root, in body scales (effects/art/index.json), and the root from the spine.
const BOX = [-0.56353591160221, -1.591160220994475, 2.7154696132596685, 1.792817679558011] as const;
const ROOT_OFFSET = 0.16;
const DROP = 0.15;
const MIN_SHOULDER_SCORE = 0.2;
const [LEFT_SHOULDER, RIGHT_SHOULDER] = [5, 6];

/** Wings at the shoulders, turned with them: behind a person seen from the front, before the back of one seen from behind. */
export function drawWings(ink: CanvasRenderingContext2D, scene: Scene): void {
  const { wings, prediction, chosen, strength } = scene;
  if (!wings) return;
  for (const index of chosen) {
    const { keypoints, keypoint_scores: scores } = prediction.people[index]!;
    if (Math.min(scores[LEFT_SHOULDER]!, scores[RIGHT_SHOULDER]!) < MIN_SHOULDER_SCORE) continue;
    const at = (joint: number): [number, number] => [keypoints[2 * joint]!, keypoints[2 * joint + 1]!];
    const left = at(LEFT_SHOULDER);
    const right = at(RIGHT_SHOULDER);
    const fromBehind = left[0] < right[0]; // a person seen from the front has their left on the right of the image
    const [from, to] = fromBehind ? [left, right] : [right, left];
    const scale = Math.hypot(to[0] - from[0], to[1] - from[1]);
    ink.save();
    ink.globalAlpha = strength;
    ink.translate((from[0] + to[0]) / 2, (from[1] + to[1]) / 2);
    ink.rotate(Math.atan2(to[1] - from[1], to[0] - from[0]));
    for (const side of [-1, 1]) {
      ink.save();
      ink.scale(side * scale, scale);
      ink.translate(ROOT_OFFSET, DROP);
      ink.drawImage(wings, BOX[0], BOX[1], BOX[2] - BOX[0], BOX[3] - BOX[1]);
      ink.restore();
    }
    ink.restore();
    if (!fromBehind) ink.drawImage(cutOut(scene, [index]), 0, 0);
  }
}
