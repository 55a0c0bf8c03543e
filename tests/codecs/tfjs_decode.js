// Runs the published TensorFlow.js decoder on tensors given as JSON: node tfjs_decode.js PACKAGE < in > out
const path = require('path');
const decoders = path.join(process.argv[2], 'dist', 'multi_person');
const {decodeMultiplePoses} = require(path.join(decoders, 'decode_multiple_poses.js'));
const {decodeMultipleMasksCPU} = require(path.join(decoders, 'decode_multiple_masks_cpu.js'));

const given = JSON.parse(require('fs').readFileSync(0, 'utf8'));
const tensor = ({shape, values}) => ({
  shape,
  get: (y, x, c) => values[(y * shape[1] + x) * shape[2] + c],
});
const poses = decodeMultiplePoses(
    tensor(given.heatmap), tensor(given.short), tensor(given.forward), tensor(given.backward),
    given.stride, given.most, given.threshold, given.radius);
const result = {
  poses: poses.map(({score, keypoints}) => ({
    score,
    keypoints: keypoints.map(({score, position}) => [position.x, position.y, score]),
  })),
};
if (given.long) {
  const [height, width] = given.size;
  const padding = {top: 0, bottom: 0, left: 0, right: 0};
  const masks = decodeMultipleMasksCPU(
      given.person, given.long.values, poses, height, width, given.stride, [height, width], padding, given.steps);
  result.masks = masks.map((mask) => Array.from(mask));
}
process.stdout.write(JSON.stringify(result));
