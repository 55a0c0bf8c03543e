/** The fields of one view (poseg/fields/spec.py) on PersonLab's grid: image = 0.5 + stride * cell (poseg/geometry/grid.py). */
export interface Fields {
  /** (17, h, w) logits */
  heatmap: Float32Array;
  /** (17, 2, h, w) pixels of the network's input */
  short_offsets: Float32Array;
  /** (32, 2, h, w) of the directed edges */
  mid_offsets: Float32Array;
  /** (h, w) logits */
  segmentation: Float32Array;
  /** (17, 2, h, w) */
  long_offsets: Float32Array;
  rows: number;
  columns: number;
  stride: number;
}

export const PIXEL_CENTRE = 0.5;

export const toImage = (cell: number, stride: number): number => cell * stride + PIXEL_CENTRE;
export const toCells = (point: number, stride: number): number => (point - PIXEL_CENTRE) / stride;
export const sigmoid = (logit: number): number => Math.tanh(logit * 0.5) * 0.5 + 0.5;
