import { sigmoid, toCells, toImage, type Fields } from "./fields";

export const MIN_VOTE = 0.01;

/** One cell's vote for the position of a joint, in pixels of the network's input. */
export interface Vote {
  cell: number;
  x: number;
  y: number;
  weight: number;
}

/** A starting point of a person. */
export interface Seed {
  joint: number;
  x: number;
  y: number;
  score: number;
}

/** The votes of all cells with a probability above `MIN_VOTE`, joint by joint (PersonLab, section 3.1). */
export function castVotes(fields: Fields, joints: number, radiusPx: number): Vote[][] {
  const { heatmap, short_offsets: short, rows, columns, stride } = fields;
  const plane = rows * columns;
  const lowest = Math.log(MIN_VOTE / (1 - MIN_VOTE));
  const unit = stride ** 2 / (Math.PI * radiusPx ** 2);
  return Array.from({ length: joints }, (_, joint) => {
    const votes: Vote[] = [];
    for (let cell = 0; cell < plane; cell++) {
      const logit = heatmap[joint * plane + cell]!;
      if (!(logit > lowest)) continue;
      const x = toImage(cell % columns, stride) + short[2 * joint * plane + cell]!;
      const y = toImage(Math.floor(cell / columns), stride) + short[(2 * joint + 1) * plane + cell]!;
      votes.push({ cell, x, y, weight: sigmoid(logit) * unit });
    }
    return votes;
  });
}

/** Peaks of the votes on a finer map, each at the centroid of its 3 x 3 cells, highest score first. */
export function houghPeaks(votes: Vote[][], fields: Fields, stridePx: number, threshold: number): Seed[] {
  const rows = Math.ceil(((fields.rows - 1) * fields.stride) / stridePx) + 3; // with a frame of one cell
  const columns = Math.ceil(((fields.columns - 1) * fields.stride) / stridePx) + 3;
  const map = new Float64Array(rows * columns);
  const seeds: Seed[] = [];
  votes.forEach((own, joint) => {
    if (!own.length) return;
    tally(own, map.fill(0), rows, columns, stridePx);
    for (let row = 1; row < rows - 1; row++) {
      for (let column = 1; column < columns - 1; column++) {
        const seed = peakAt(map, row, column, columns, threshold, stridePx);
        if (seed) seeds.push({ joint, ...seed });
      }
    }
  });
  return seeds.sort((a, b) => b.score - a.score);
}

function tally(votes: Vote[], map: Float64Array, rows: number, columns: number, stridePx: number): void {
  for (const vote of votes) {
    const x = toCells(vote.x, stridePx) + 1;
    const y = toCells(vote.y, stridePx) + 1;
    if (!(x >= 0 && x < columns - 1 && y >= 0 && y < rows - 1)) continue;
    const [left, top] = [Math.floor(x), Math.floor(y)];
    const [fx, fy] = [x - left, y - top];
    const at = top * columns + left;
    map[at]! += vote.weight * (1 - fx) * (1 - fy);
    map[at + 1]! += vote.weight * fx * (1 - fy);
    map[at + columns]! += vote.weight * (1 - fx) * fy;
    map[at + columns + 1]! += vote.weight * fx * fy;
  }
}

function peakAt(
  map: Float64Array,
  row: number,
  column: number,
  columns: number,
  threshold: number,
  stridePx: number,
): Omit<Seed, "joint"> | undefined {
  const centre = map[row * columns + column]!;
  if (centre < threshold / 9) return undefined;
  let [score, x, y] = [0, 0, 0];
  for (let dy = -1; dy <= 1; dy++) {
    for (let dx = -1; dx <= 1; dx++) {
      const value = map[(row + dy) * columns + column + dx]!;
      if (value > centre) return undefined;
      score += value;
      x += dx * value;
      y += dy * value;
    }
  }
  if (score < threshold) return undefined;
  return { x: toImage(column - 1 + x / score, stridePx), y: toImage(row - 1 + y / score, stridePx), score };
}
