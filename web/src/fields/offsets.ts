import { toCells, toImage, type Fields } from "./fields";

/** Value of one plane (h, w), which starts at `first`, between the four cells around a fractional cell inside it. */
export function bilinear(plane: Float32Array, first: number, rows: number, columns: number, x: number, y: number): number {
  const left = Math.min(Math.floor(x), Math.max(columns - 2, 0));
  const top = Math.min(Math.floor(y), Math.max(rows - 2, 0));
  const fx = x - left;
  const fy = y - top;
  const at = first + top * columns + left;
  const right = columns > 1 ? 1 : 0;
  const down = rows > 1 ? columns : 0;
  const upper = plane[at]! * (1 - fx) + plane[at + right]! * fx;
  const lower = plane[at + down]! * (1 - fx) + plane[at + down + right]! * fx;
  return upper * (1 - fy) + lower * fy;
}

export const clamp = (value: number, low: number, high: number): number => Math.min(Math.max(value, low), high);

/** A plane of a field at a point of the network's input; points outside the cells are sampled at their border. */
export function sample(field: Float32Array, channel: number, fields: Fields, x: number, y: number): number {
  const { rows, columns, stride } = fields;
  const cellX = clamp(toCells(x, stride), 0, columns - 1);
  const cellY = clamp(toCells(y, stride), 0, rows - 1);
  return bilinear(field, channel * rows * columns, rows, columns, cellX, cellY);
}

/** Follow the vectors (C, 2, h, w) of one channel: p <- p + offsets(p), each step from inside the frame of cells. */
export function follow(
  offsets: Float32Array,
  channel: number,
  fields: Fields,
  point: [number, number],
  steps: number,
): [number, number] {
  const { rows, columns, stride } = fields;
  const plane = rows * columns;
  let [x, y] = [toCells(point[0], stride), toCells(point[1], stride)];
  for (let step = 0; step < steps; step++) {
    x = clamp(x, 0, columns - 1);
    y = clamp(y, 0, rows - 1);
    const dx = bilinear(offsets, 2 * channel * plane, rows, columns, x, y);
    const dy = bilinear(offsets, (2 * channel + 1) * plane, rows, columns, x, y);
    x += dx / stride;
    y += dy / stride;
  }
  return [toImage(x, stride), toImage(y, stride)];
}
