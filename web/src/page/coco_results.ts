import { PIXEL_CENTRE } from "../fields/fields";
import type { Prediction } from "../runtime/messages";

/** Run lengths of a person's mask on an image of width and height, down the columns (COCO's uncompressed form). */
export function runLengths(prediction: Prediction, index: number, width: number, height: number): number[] {
  const { masks, content } = prediction;
  const counts: number[] = [];
  let [run, inside] = [0, false];
  for (let x = 0; x < width; x++) {
    const column = Math.min(Math.floor(((x + 0.5) * content[0]) / width), masks.width - 1);
    for (let y = 0; y < height; y++) {
      const row = Math.min(Math.floor(((y + 0.5) * content[1]) / height), masks.height - 1);
      if ((masks.labels[row * masks.width + column] === index + 1) !== inside) {
        counts.push(run);
        [run, inside] = [0, !inside];
      }
      run++;
    }
  }
  return [...counts, run];
}

/** People as COCO's results: keypoints as pixel indices, boxes as x, y, width, height. */
export function cocoResults(prediction: Prediction, chosen: number[], width: number, height: number): object[] {
  return chosen.map((index) => {
    const { keypoints, keypoint_scores: scores, score, box_xyxy: box } = prediction.people[index]!;
    return {
      image_id: 0,
      category_id: 1,
      keypoints: Array.from(scores).flatMap((value, joint) => [
        keypoints[2 * joint]! - PIXEL_CENTRE,
        keypoints[2 * joint + 1]! - PIXEL_CENTRE,
        value,
      ]),
      bbox: [box[0], box[1], box[2] - box[0], box[3] - box[1]],
      score,
      segmentation: { size: [height, width], counts: runLengths(prediction, index, width, height) },
    };
  });
}
