"""Fields of the bundled models and what Python reads from them, for the parity tests of the decoder in TypeScript.

Without `--images` it writes the bundled fixtures: the astronaut, alone and in groups of two and three. With it, one
fixture for each of the first images of a folder, which `POSEG_PARITY=OUT npm test` compares too.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

import poseg
from poseg.fields import Fields
from poseg.io.images import read_image

HERE = Path(__file__).parent


def group(count: int) -> NDArray[np.uint8]:
    """Astronauts side by side, each smaller than the one before, every other one flipped."""
    astronaut = poseg.examples.astronaut()
    canvas = np.full((512, 360 * count + 152, 3), 128, np.uint8)
    for index in range(count):
        side = 512 - 96 * index
        image = cv2.resize(astronaut, (side, side), interpolation=cv2.INTER_AREA)
        canvas[512 - side :, 360 * index : 360 * index + side] = image[:, ::-1] if index % 2 else image
    return canvas


def write(name: str, image: NDArray[np.uint8], model: str, long_edge_px: int, out: Path) -> None:
    """The fields, rounded to half precision, and the people that Python decodes from the rounded ones."""
    predictor = poseg.load(model)
    tensor, letterbox = predictor.model.prepare(image, long_edge_px)
    raw = predictor.model.run(tensor)
    arrays = {key: array.astype(np.float16) for key, array in raw.items()}
    fields = Fields(raw.specs, {key: array.astype(np.float32) for key, array in arrays.items()})
    people = predictor.model.codec.decode(fields)
    masks = people.masks.full() if people.masks is not None else np.zeros((0, *letterbox.input_size), bool)
    labels = np.zeros(letterbox.input_size, np.uint8)
    for index in reversed(range(len(people))):
        labels[masks[index]] = index + 1
    runs = np.flatnonzero(np.diff(labels.reshape(-1), prepend=255, append=255))
    rows, columns = fields.shape_hw
    plain = {
        "rows": rows,
        "columns": columns,
        "stride": fields.grid.stride,
        "fields": [spec.name for spec in fields.specs],
        "channels": [spec.channels for spec in fields.specs],
        "scores": people.scores.round(5).tolist(),
        "keypoints": people.keypoints.round(3).tolist(),
        "keypoint_scores": people.keypoint_scores.round(5).tolist(),
        "label_runs": [[int(n), int(labels.reshape(-1)[at])] for at, n in zip(runs[:-1], np.diff(runs), strict=True)],
    }
    out.mkdir(parents=True, exist_ok=True)
    (out / f"{name}.json").write_text(json.dumps(plain))
    (out / f"{name}.f16").write_bytes(b"".join(array.astype("<f2").tobytes() for array in arrays.values()))


def main() -> None:
    """Write the fixtures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=Path, help="a folder")
    parser.add_argument("--out", type=Path, default=HERE / "fixtures")
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--model", default="fast")
    parser.add_argument("--long-edge", type=int, default=513)
    args = parser.parse_args()
    if args.images:
        for path in sorted(args.images.glob("*.jpg"))[: args.count]:
            write(path.stem, read_image(path), args.model, args.long_edge, args.out)
        return
    write("one", group(1), "fast", 257, args.out)
    write("two", group(2), "fast", 385, args.out)
    write("three", group(3), "fast", 513, args.out)


if __name__ == "__main__":
    main()
