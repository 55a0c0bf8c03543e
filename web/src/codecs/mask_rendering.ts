import type { Fields } from "../fields/fields";
import { bilinear, sample } from "../fields/offsets";
import type { Person } from "../people";
import type { PixelAssignment } from "./pixel_assignment";

/** Masks on the network's input, one byte a pixel: 0 for background, or 1 + the index of the person. */
export interface LabelMap {
  labels: Uint8Array;
  width: number;
  height: number;
}

/** A pixel is a person's where the interpolated probability and margin say so; the person listed first goes first. */
export function renderMasks(assignment: PixelAssignment, fields: Fields, threshold: number): LabelMap {
  const { rows, columns, stride } = fields;
  const [height, width] = [(rows - 1) * stride + 1, (columns - 1) * stride + 1];
  const labels = new Uint8Array(width * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const at = (map: Float32Array): number => bilinear(map, 0, rows, columns, x / stride, y / stride);
      if (at(assignment.probability) < threshold) continue;
      // A map is 0 on cells that are no candidates: a block of the person's own cells bounds the mask.
      labels[y * width + x] = assignment.margin_maps.findIndex((map) => near(map, fields, x, y) && at(map) >= 0) + 1;
    }
  }
  return { labels, width, height };
}

/** Whether one of the four cells around a pixel is the person's own. */
function near(map: Float32Array, { rows, columns, stride }: Fields, x: number, y: number): boolean {
  const [left, top] = [Math.floor(x / stride), Math.floor(y / stride)];
  const [right, bottom] = [Math.min(left + 1, columns - 1), Math.min(top + 1, rows - 1)];
  return [top * columns, bottom * columns].some((row) => map[row + left]! > 0 || map[row + right]! > 0);
}

/** Confidence of a person's mask from its probabilities and from the joints that lie on it, in [0, 1]. */
export function maskScore(assignment: PixelAssignment, index: number, person: Person, fields: Fields, threshold: number): number {
  const { probability, margin_maps: maps } = assignment;
  const map = maps[index]!;
  let [sum, count] = [0, 0];
  map.forEach((margin, cell) => {
    if (!(margin > 0) || probability[cell]! < threshold) return;
    sum += probability[cell]!;
    count += 1;
  });
  const mean = count ? sum / count : threshold;
  let [inside, total] = [0, 0];
  person.keypoint_scores.forEach((score, joint) => {
    const [x, y] = [person.keypoints[2 * joint]!, person.keypoints[2 * joint + 1]!];
    const on = sample(map, 0, fields, x, y) > 0 && sample(probability, 0, fields, x, y) >= threshold;
    if (on) inside += score;
    total += score;
  });
  return (mean ** 2 * (1 + inside / Math.max(total, 1e-9))) / 2;
}
