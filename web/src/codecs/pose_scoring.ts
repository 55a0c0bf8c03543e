import { sigmoid, toCells, type Fields } from "../fields/fields";
import type { Vote } from "../fields/hough";
import { clamp, sample } from "../fields/offsets";
import { JOINTS, OKS_SIGMAS } from "../skeletons";

const MIN_SCALE_PX = 4;
const MIN_BOX_JOINTS = 2;
const MIN_JOINT_SCORE = 0.1;

/** The heatmap's probability at each joint. */
export function keypointProbabilities(fields: Fields, keypoints: Float64Array): Float64Array {
  return Float64Array.from(JOINTS, (_, joint) =>
    sigmoid(sample(fields.heatmap, joint, fields, keypoints[2 * joint]!, keypoints[2 * joint + 1]!)),
  );
}

/** The box around the joints with a score of 0.1 and above; around all joints where those are fewer than two. */
export function poseBox(keypoints: Float64Array, scores: Float64Array): [number, number, number, number] {
  const confident = scores.filter((score) => score >= MIN_JOINT_SCORE).length >= MIN_BOX_JOINTS;
  const box: [number, number, number, number] = [Infinity, Infinity, -Infinity, -Infinity];
  scores.forEach((score, joint) => {
    if (confident && score < MIN_JOINT_SCORE) return;
    const [x, y] = [keypoints[2 * joint]!, keypoints[2 * joint + 1]!];
    box[0] = Math.min(box[0], x);
    box[1] = Math.min(box[1], y);
    box[2] = Math.max(box[2], x);
    box[3] = Math.max(box[3], y);
  });
  return box;
}

/** Lambda: the square root of the area of that box, in pixels. */
export function personScale(keypoints: Float64Array, scores: Float64Array): number {
  const [left, top, right, bottom] = poseBox(keypoints, scores);
  return Math.sqrt(Math.max((right - left) * (bottom - top), MIN_SCALE_PX ** 2));
}

/** Expected OKS of each joint under the votes within the radius of it, cast from a cell within 1.5 R (PersonLab, 3.1). */
export function expectedOks(
  votes: Vote[][],
  fields: Fields,
  keypoints: Float64Array,
  scale: number,
  radiusPx: number,
): Float64Array {
  const { rows, columns, stride } = fields;
  const reachCells = Math.ceil((1.5 * radiusPx) / stride);
  return Float64Array.from(JOINTS, (_, joint) => {
    const [x, y] = [keypoints[2 * joint]!, keypoints[2 * joint + 1]!];
    const column = clamp(Math.round(toCells(x, stride)), 0, columns - 1);
    const row = clamp(Math.round(toCells(y, stride)), 0, rows - 1);
    const reach = scale * 2 * OKS_SIGMAS[joint]!;
    let [total, expected] = [0, 0];
    for (const vote of votes[joint]!) {
      const squared = (vote.x - x) ** 2 + (vote.y - y) ** 2;
      if (squared > radiusPx ** 2) continue;
      if (Math.abs((vote.cell % columns) - column) > reachCells) continue;
      if (Math.abs(Math.floor(vote.cell / columns) - row) > reachCells) continue;
      total += vote.weight;
      expected += vote.weight * Math.exp((-0.5 * squared) / reach ** 2);
    }
    return expected / Math.max(total, 1e-9);
  });
}

/** Mean joint score of each person, where joints that a person with a higher one has already count 0. */
export function softNms(poses: Float64Array[], scores: Float64Array[], radiusPx: number): number[] {
  const means = scores.map((own) => own.reduce((sum, score) => sum + score, 0) / own.length);
  const order = means.map((_, person) => person).sort((a, b) => means[b]! - means[a]!);
  const result = new Array<number>(poses.length).fill(0);
  order.forEach((person, rank) => {
    let sum = 0;
    scores[person]!.forEach((score, joint) => {
      const duplicate = order.slice(0, rank).some((other) => {
        const dx = poses[other]![2 * joint]! - poses[person]![2 * joint]!;
        const dy = poses[other]![2 * joint + 1]! - poses[person]![2 * joint + 1]!;
        return dx * dx + dy * dy <= radiusPx ** 2;
      });
      if (!duplicate) sum += score;
    });
    result[person] = sum / JOINTS.length;
  });
  return result;
}
