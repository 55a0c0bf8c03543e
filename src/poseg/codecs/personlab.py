"""PersonLab: people to fields and back (Papandreou et al., ECCV 2018).

Letters: N people, K joints, E = 2 (K - 1) directed tree edges, h x w cells.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseg.fields import Fields, FieldSpec
from poseg.geometry.grid import Grid
from poseg.people import People
from poseg.skeletons import COCO17, Skeleton


@dataclass(frozen=True, slots=True)
class PersonLabCodec:
    """How PersonLab paints people into fields and reads them back.

    skeleton        joints and tree; its directed edges are the channels of the mid offsets
    stride          pixels between cells
    disk_radius_px  radius R of the disk around a joint, the same for every person (section 3.1)
    """

    skeleton: Skeleton = COCO17
    stride: int = 16
    disk_radius_px: float = 32.0

    @property
    def grid(self) -> Grid:
        """Cell 0 stands on the first pixel's centre."""
        return Grid(self.stride)

    @property
    def specs(self) -> tuple[FieldSpec, ...]:
        """The five fields of the paper's figure 2, in the order of its heads."""
        k, e, grid = len(self.skeleton), len(self.skeleton.edges), self.grid
        return (
            FieldSpec("heatmap", ("joint",), (k,), "logit", grid),
            FieldSpec("short_offsets", ("joint", "xy"), (k, 2), "px", grid),
            FieldSpec("mid_offsets", ("edge", "xy"), (e, 2), "px", grid),
            FieldSpec("segmentation", (), (), "logit", grid),
            FieldSpec("long_offsets", ("joint", "xy"), (k, 2), "px", grid),
        )
