"""A teacher runs on every training image once; its fields are kept on disk (`training.teacher`).

run    python -m poseg.recipes.write_teacher_fields --data DATA --teacher bodypix.onnx --out TEACHER
time   4 minutes for 4,900 images at 801 px on two cores
"""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.progress import track

from poseg.recipes.training_sets import photo_mixture
from poseg.runtime.onnx_model import OnnxModel
from poseg.training.teacher import TeacherFields, teacher_path

SKIPPED_SETS = ("lspet", "backgrounds_inria")  # tight crops of one person, and images without people: nothing to add


def main() -> None:
    """Write teacher fields on the command line; images that have them already are skipped."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds one folder for each data set")
    parser.add_argument("--teacher", type=Path, required=True, help="model with five heads, such as imported BodyPix")
    parser.add_argument("--long-edge", type=int, default=801, help="long edge of the teacher's input, in pixels")
    parser.add_argument("--out", type=Path, required=True, help="folder for the fields")
    args = parser.parse_args()

    args.out.mkdir(parents=True, exist_ok=True)
    model = OnnxModel(args.teacher)
    for part in photo_mixture(args.data):
        if part.data.name in SKIPPED_SETS:
            continue
        for index in track(range(len(part.data)), description=part.data.name):
            path = teacher_path(args.out, part.data.sample_id(index))
            if not path.exists():
                tensor, letterbox = model.prepare(part.data[index].image, args.long_edge)
                TeacherFields.from_fields(model.run(tensor), letterbox).save(path)


if __name__ == "__main__":
    main()
