/** An image on a network's input, at its top left: input = scale * image on each axis (poseg/transforms/letterbox.py). */
export interface Letterbox {
  image: [number, number];
  content: [number, number];
  input: [number, number];
}

/** The letterbox of an image of width and height; valid sides are divisor * n + 1 pixels. Sizes are width, height. */
export function makeLetterbox(width: number, height: number, longEdgePx: number, divisor: number): Letterbox {
  const covering = (side: number): number => divisor * Math.max(Math.ceil((side - 1) / divisor), 1) + 1;
  const long = divisor * Math.max(Math.round((longEdgePx - 1) / divisor), 1) + 1;
  const ratio = long / Math.max(width, height);
  const content: [number, number] = [Math.max(1, Math.round(width * ratio)), Math.max(1, Math.round(height * ratio))];
  return { image: [width, height], content, input: [covering(content[0]), covering(content[1])] };
}

/** Weights of source pixels for each target pixel: by area where the image shrinks, between two pixels otherwise. */
function axisWeights(from: number, to: number): { first: number; weights: number[] }[] {
  const step = from / to;
  return Array.from({ length: to }, (_, index) => {
    if (step <= 1) {
      const at = Math.min(Math.max((index + 0.5) * step - 0.5, 0), from - 1);
      const first = Math.min(Math.floor(at), Math.max(from - 2, 0));
      return { first, weights: from > 1 ? [1 - (at - first), at - first] : [1] };
    }
    const [low, high] = [index * step, Math.min((index + 1) * step, from)];
    const first = Math.floor(low + 1e-9);
    const weights: number[] = [];
    for (let pixel = first; pixel < high - 1e-9; pixel++) {
      weights.push((Math.min(pixel + 1, high) - Math.max(pixel, low)) / (high - low));
    }
    return { first, weights };
  });
}

/** The network's input (1, 3, h, w) of RGBA pixels: scaled, padded with 0 and normalised by (value - 128) / 128. */
export function letterbox(rgba: Uint8ClampedArray, box: Letterbox): Float32Array {
  const [[width, height], [columns, rows], [inputWidth, inputHeight]] = [box.image, box.content, box.input];
  const tensor = new Float32Array(3 * inputWidth * inputHeight);
  const across = axisWeights(width, columns);
  const down = axisWeights(height, rows);
  const line = new Float32Array(width * 4);
  down.forEach(({ first, weights }, row) => {
    line.fill(0);
    weights.forEach((weight, index) => {
      const start = (first + index) * width * 4;
      for (let at = 0; at < line.length; at++) line[at]! += weight * rgba[start + at]!;
    });
    across.forEach((axis, column) => {
      for (let channel = 0; channel < 3; channel++) {
        let value = 0;
        for (let index = 0; index < axis.weights.length; index++) {
          value += axis.weights[index]! * line[(axis.first + index) * 4 + channel]!;
        }
        tensor[(channel * inputHeight + row) * inputWidth + column] = (Math.round(value) - 128) / 128;
      }
    });
  });
  return tensor;
}
