"""Data sets: sequences of samples, each an image with its annotated people.

`DATASETS` builds the published ones from the folder that their files were unpacked into; `CocoPeople`, `custom_coco`
and `coco_masks` read any other file in COCO's format.
"""

from poseg.datasets.coco_people import CocoPeople, coco_masks, custom_coco
from poseg.datasets.dataset import Dataset
from poseg.datasets.published import DATASETS, coco, crowdpose, ochuman

__all__ = ["DATASETS", "CocoPeople", "Dataset", "coco", "coco_masks", "crowdpose", "custom_coco", "ochuman"]
