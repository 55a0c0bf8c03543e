"""Interop: people in the files and values of other tools, and back. `docs/interop.md` says what each format loses."""

from poseg.interop.coco import from_coco, to_coco
from poseg.interop.cvat import from_cvat, to_cvat
from poseg.interop.image_people import ImagePeople
from poseg.interop.labelme import from_labelme, to_labelme
from poseg.interop.libraries import to_fiftyone, to_supervision
from poseg.interop.openpose import to_openpose
from poseg.interop.save import save
from poseg.interop.table import to_csv, to_pandas
from poseg.interop.yolo import YoloTask, from_yolo, to_yolo

__all__ = [
    "ImagePeople",
    "YoloTask",
    "from_coco",
    "from_cvat",
    "from_labelme",
    "from_yolo",
    "save",
    "to_coco",
    "to_csv",
    "to_cvat",
    "to_fiftyone",
    "to_labelme",
    "to_openpose",
    "to_pandas",
    "to_supervision",
    "to_yolo",
]
