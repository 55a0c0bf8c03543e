/** Settings of PersonLab's decoder, the defaults of poseg/codecs/decoder_config.py. */
export const DEFAULT = {
  disk_radius_px: 32,
  hough_stride_px: 4,
  seed_threshold: 0.2,
  nms_radius_px: 10,
  mid_refine_steps: 5,
  max_candidates: 100,
  min_candidate_score: 0,
  min_score: 0.1,
  max_people: 50,
  mask_threshold: 0.5,
  long_refine_steps: 2,
  long_short_refine_steps: 2,
  max_assignment_distance: 0.25,
};

export type PersonLabDecoder = typeof DEFAULT;
