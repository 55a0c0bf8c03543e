import type { Fields } from "../fields/fields";
import { castVotes, houghPeaks } from "../fields/hough";
import type { Person } from "../people";
import { DEFAULT, type PersonLabDecoder } from "./decoder_config";
import { maskScore, renderMasks, type LabelMap } from "./mask_rendering";
import { assignByOffsets } from "./pixel_assignment";
import { growPoses } from "./pose_growing";
import { expectedOks, keypointProbabilities, personScale, poseBox, softNms } from "./pose_scoring";

/** All poses, highest score first, in pixels of the network's input: vote, find peaks, grow, score, suppress. */
export function detect(fields: Fields, config: PersonLabDecoder = DEFAULT): Person[] {
  const votes = castVotes(fields, fields.heatmap.length / (fields.rows * fields.columns), config.disk_radius_px);
  const seeds = houghPeaks(votes, fields, config.hough_stride_px, config.seed_threshold);
  const poses = growPoses(fields, seeds, {
    nmsRadiusPx: config.nms_radius_px,
    midRefineSteps: config.mid_refine_steps,
    maxCandidates: config.max_candidates,
  });
  const probabilities = poses.map((pose) => keypointProbabilities(fields, pose));
  const scores = poses.map((pose, person) => {
    const scale = personScale(pose, probabilities[person]!);
    const expected = expectedOks(votes, fields, pose, scale, config.disk_radius_px);
    return expected.map((value, joint) => value * probabilities[person]![joint]!);
  });
  const people = softNms(poses, scores, config.nms_radius_px).map((score, person) => ({
    keypoints: poses[person]!,
    keypoint_scores: scores[person]!,
    score,
    box_xyxy: poseBox(poses[person]!, probabilities[person]!),
  }));
  return people.sort((a, b) => b.score - a.score);
}

/** The people of one view with masks, highest score first, on the network's input: detect, assign, render, cut. */
export function decode(fields: Fields, config: PersonLabDecoder = DEFAULT): { people: Person[]; masks: LabelMap } {
  const lowest = Math.max(config.min_score ** 2, config.min_candidate_score);
  const poses = detect(fields, config).filter((person) => person.score >= lowest);
  const assignment = assignByOffsets(fields, poses, config);
  const scored = poses.map((person, index) => {
    const confidence = maskScore(assignment, index, person, fields, config.mask_threshold);
    return { person: { ...person, score: Math.sqrt(person.score * confidence) }, map: assignment.margin_maps[index]! };
  });
  const kept = scored
    .filter(({ person }) => person.score >= config.min_score)
    .sort((a, b) => b.person.score - a.person.score)
    .slice(0, config.max_people);
  const own = { probability: assignment.probability, margin_maps: kept.map(({ map }) => map) };
  return { people: kept.map(({ person }) => person), masks: renderMasks(own, fields, config.mask_threshold) };
}
