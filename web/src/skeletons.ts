/** COCO's 17 joints (poseg/skeletons/catalog.py). */
export const JOINTS = ["nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle"] as const;

/** Directed edges of the tree, source and target: the channels of the mid offsets. */
export const EDGES: readonly (readonly [number, number])[] = [[0, 1], [1, 3], [0, 2], [2, 4], [0, 5], [5, 7], [7, 9], [5, 11], [11, 13], [13, 15], [0, 6], [6, 8], [8, 10], [6, 12], [12, 14], [14, 16], [1, 0], [3, 1], [2, 0], [4, 2], [5, 0], [7, 5], [9, 7], [11, 5], [13, 11], [15, 13], [6, 0], [8, 6], [10, 8], [12, 6], [14, 12], [16, 14]];

/** Lines to draw. */
export const BONES: readonly (readonly [number, number])[] = [[0, 1], [0, 2], [1, 3], [2, 4], [3, 5], [4, 6], [5, 6], [5, 7], [7, 9], [6, 8], [8, 10], [5, 11], [6, 12], [11, 12], [11, 13], [13, 15], [12, 14], [14, 16]];

/** The annotators' standard deviations. */
export const OKS_SIGMAS: readonly number[] = [0.026, 0.025, 0.025, 0.035, 0.035, 0.079, 0.079, 0.072, 0.072, 0.062, 0.062, 0.107, 0.107, 0.087, 0.087, 0.089, 0.089];
