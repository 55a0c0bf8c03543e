import { sigmoid, toImage, type Fields } from "../fields/fields";
import { follow } from "../fields/offsets";
import type { Person } from "../people";
import { JOINTS } from "../skeletons";
import type { PersonLabDecoder } from "./decoder_config";
import { personScale } from "./pose_scoring";

const MIN_PROBABILITY = 0.2;
const MIN_SCORE = 1e-3;

/** Which person each cell belongs to (poseg/codecs/pixel_assignment.py). */
export interface PixelAssignment {
  /** (h, w) that a cell is person */
  probability: Float32Array;
  /** for each person (h, w): the margin in [-1, 1] times the probability */
  margin_maps: Float32Array[];
}

/** Assign cells to people on the network's input by the long offsets (PersonLab, section 3.2). */
export function assignByOffsets(fields: Fields, people: Person[], config: PersonLabDecoder): PixelAssignment {
  const probability = fields.segmentation.map(sigmoid);
  const maps = people.map(() => new Float32Array(probability.length));
  const scales = people.map((person) => personScale(person.keypoints, person.keypoint_scores));
  const lowest = Math.min(MIN_PROBABILITY, config.mask_threshold / 2);
  const cutoff = config.max_assignment_distance;
  if (people.length) {
    probability.forEach((value, cell) => {
      if (value < lowest) return;
      const [straight, refined] = cellEmbeddings(fields, cell, config);
      const distances = people.map((person, index) => {
        const near = [straight, refined].map((joints) => paperDistance(joints, person, scales[index]!, cutoff));
        return Math.min(...near);
      });
      assignmentMargins(distances, people, cutoff).forEach((margin, index) => {
        maps[index]![cell] = margin * value;
      });
    });
  }
  return { probability, margin_maps: maps };
}

/** The joints that a cell points at, before and after refinement. */
function cellEmbeddings(fields: Fields, cell: number, config: PersonLabDecoder): [Float64Array, Float64Array] {
  const { rows, columns, stride, long_offsets: long, short_offsets: short } = fields;
  const plane = rows * columns;
  const straight = new Float64Array(2 * JOINTS.length);
  const refined = new Float64Array(2 * JOINTS.length);
  for (let joint = 0; joint < JOINTS.length; joint++) {
    const at: [number, number] = [
      toImage(cell % columns, stride) + long[2 * joint * plane + cell]!,
      toImage(Math.floor(cell / columns), stride) + long[(2 * joint + 1) * plane + cell]!,
    ];
    straight.set(at, 2 * joint);
    const further = follow(long, joint, fields, at, config.long_refine_steps);
    refined.set(follow(short, joint, fields, further, config.long_short_refine_steps), 2 * joint);
  }
  return [straight, refined];
}

/** Mean distance between the joints pointed at and a person's, in units of the person's scale.
 *
 * The distance between the weighted means is a lower bound; where it is above `cutoff` it is returned instead. */
function paperDistance(embedding: Float64Array, person: Person, scale: number, cutoff: number): number {
  let [sum, total, gapX, gapY] = [0, 0, 0, 0];
  person.keypoint_scores.forEach((weight, joint) => {
    const dx = embedding[2 * joint]! - person.keypoints[2 * joint]!;
    const dy = embedding[2 * joint + 1]! - person.keypoints[2 * joint + 1]!;
    sum += weight * Math.sqrt(dx * dx + dy * dy);
    gapX += weight * dx;
    gapY += weight * dy;
    total += weight;
  });
  if (!(total > 0)) return Infinity;
  const unit = Math.max(total, 1e-9) * scale;
  const bound = Math.hypot(gapX, gapY) / unit;
  return bound > cutoff ? bound : sum / unit;
}

/** How much closer a cell is to each person than to another or to background; people compete by distance over score. */
export function assignmentMargins(distances: number[], people: Person[], threshold: number): number[] {
  const weights = people.map((person) => Math.max(person.score, MIN_SCORE));
  const costs = distances.map((near, index) => (near <= threshold ? near / weights[index]! : Infinity));
  return distances.map((near, index) => {
    if (near === Infinity) return -1;
    const cost = Math.min(...costs.filter((_, other) => other !== index));
    const rival = Math.min(threshold, cost * weights[index]!);
    return (rival - near) / Math.max(rival + near, 1e-9);
  });
}
