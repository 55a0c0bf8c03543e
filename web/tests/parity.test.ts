/** The decoder in TypeScript against the one in Python, on fields that the models predicted (write_fixtures.py). */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { decode } from "../src/codecs/personlab";
import type { Fields } from "../src/fields/fields";

interface Expected {
  rows: number;
  columns: number;
  stride: number;
  fields: string[];
  channels: number[];
  scores: number[];
  keypoints: [number, number][][];
  keypoint_scores: number[][];
  label_runs: [number, number][];
}

const folders = [join(import.meta.dirname, "fixtures"), process.env.POSEG_PARITY].filter((folder) => folder !== undefined);
const names = folders.flatMap((folder) =>
  readdirSync(folder)
    .filter((name) => name.endsWith(".json"))
    .map((name) => join(folder, name.slice(0, -5))),
);

function half(bits: number): number {
  const [sign, exponent, fraction] = [bits >> 15 ? -1 : 1, (bits >> 10) & 31, bits & 1023];
  return sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : (2 ** -14 * fraction) / 1024);
}

function readFields(name: string, expected: Expected): Fields {
  const bytes = readFileSync(`${name}.f16`);
  const plane = expected.rows * expected.columns;
  let at = 0;
  const arrays = expected.fields.map((field, index) => {
    const values = Float32Array.from({ length: expected.channels[index]! * plane }, () => half(bytes.readUInt16LE(2 * at++)));
    return [field, values];
  });
  const { rows, columns, stride } = expected;
  return { ...Object.fromEntries(arrays), rows, columns, stride } as Fields;
}

describe.each(names)("%s", (name) => {
  const expected = JSON.parse(readFileSync(`${name}.json`, "utf8")) as Expected;
  const { people, masks } = decode(readFields(name, expected));

  it("has the same people, with scores within 0.001", () => {
    expect(people).toHaveLength(expected.scores.length);
    people.forEach((person, index) => {
      expect(Math.abs(person.score - expected.scores[index]!)).toBeLessThan(1e-3);
    });
  });

  it("has keypoints within 0.05 px, where a joint is visible", () => {
    people.forEach((person, index) => {
      expected.keypoints[index]!.forEach(([x, y], joint) => {
        if (expected.keypoint_scores[index]![joint]! < 0.1) return;
        const distance = Math.hypot(person.keypoints[2 * joint]! - x, person.keypoints[2 * joint + 1]! - y);
        expect(distance).toBeLessThan(0.05);
      });
    });
  });

  it("has masks with an IoU of at least 0.99", () => {
    const labels = expected.label_runs.flatMap(([count, label]) => new Array<number>(count).fill(label));
    people.forEach((_, index) => {
      let [shared, union] = [0, 0];
      masks.labels.forEach((label, pixel) => {
        const [mine, theirs] = [label === index + 1, labels[pixel] === index + 1];
        if (mine && theirs) shared++;
        if (mine || theirs) union++;
      });
      if (union) expect(shared / union).toBeGreaterThanOrEqual(0.99);
    });
  });
});
