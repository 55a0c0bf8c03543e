import type { Fields } from "../fields/fields";
import type { Seed } from "../fields/hough";
import { follow } from "../fields/offsets";
import { EDGES, JOINTS } from "../skeletons";

/** All joints of the person of a seed, along the tree (PersonLab, section 3.1): x and y of each. */
export function decodeSeed(fields: Fields, seed: Seed, midRefineSteps: number): Float64Array {
  const keypoints = new Float64Array(2 * JOINTS.length);
  keypoints.set([seed.x, seed.y], 2 * seed.joint);
  const reached: [number, number][] = [[seed.joint, -1]];
  for (let next = reached.pop(); next; next = reached.pop()) {
    const [joint, parent] = next;
    EDGES.forEach(([source, target], edge) => {
      if (source !== joint || target === parent) return;
      const from: [number, number] = [keypoints[2 * source]!, keypoints[2 * source + 1]!];
      const guess = follow(fields.mid_offsets, edge, fields, from, 1);
      keypoints.set(follow(fields.short_offsets, target, fields, guess, midRefineSteps), 2 * target);
      reached.push([target, source]);
    });
  }
  return keypoints;
}

/** Accept people in the order of their seeds, unless a seed lies on the same joint of an accepted person. */
export function growPoses(
  fields: Fields,
  seeds: Seed[],
  options: { nmsRadiusPx: number; midRefineSteps: number; maxCandidates: number },
): Float64Array[] {
  const poses: Float64Array[] = [];
  for (const seed of seeds) {
    if (poses.length >= options.maxCandidates) break;
    const near = poses.some((pose) => {
      const dx = pose[2 * seed.joint]! - seed.x;
      const dy = pose[2 * seed.joint + 1]! - seed.y;
      return dx * dx + dy * dy <= options.nmsRadiusPx ** 2;
    });
    if (!near) poses.push(decodeSeed(fields, seed, options.midRefineSteps));
  }
  return poses;
}
