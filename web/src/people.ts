/** One detected person (poseg/people.py): positions are continuous pixels of the image or of the network's input. */
export interface Person {
  /** x and y of each joint */
  keypoints: Float64Array;
  /** in [0, 1] */
  keypoint_scores: Float64Array;
  score: number;
  box_xyxy: [number, number, number, number];
}
