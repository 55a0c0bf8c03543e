"""What an annotation file holds, in numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from poseg.datasets.check.table import Table
from poseg.skeletons import Skeleton

PERCENTILES = (5, 25, 50, 75, 95)
SMALL_PX, LARGE_PX = 32.0, 96.0  # COCO's borders: sides of squares of the same area


@dataclass(frozen=True, slots=True)
class Summary:
    """Counts of a file.

    joints      by name: how many are seen (v = 2), and hidden (v = 1)
    sides_px    percentiles (`PERCENTILES`) of the longer side of people's boxes
    sizes       people by COCO's classes of area: small, medium, large
    """

    pictures: int = 0
    pictures_with_people: int = 0
    people: int = 0
    with_joints: int = 0
    with_masks: int = 0
    crowds: int = 0
    skeleton: str = ""
    joints: dict[str, tuple[int, int]] = field(default_factory=dict)
    sides_px: tuple[float, ...] = ()
    sizes: dict[str, int] = field(default_factory=dict)

    def to_plain(self) -> dict[str, Any]:
        """As plain data for JSON."""
        return asdict(self)


def summarise(table: Table, pictures: int, skeleton: Skeleton | None, masked: Sequence[bool]) -> Summary:
    """Counts of the sound records of a file."""
    people = ~table.crowds
    v, placed = table.triplets[people, :, 2], table.placed[people]
    names = skeleton.joints if skeleton is not None else [f"joint {i + 1}" for i in range(v.shape[1])]
    sides = table.boxes_xywh[people, 2:].max(axis=1, initial=0)
    sides = sides[np.isfinite(sides) & (sides > 0)]
    areas = np.where(table.areas > 0, table.areas, table.boxes_xywh[:, 2:].prod(axis=1) / 2)[people]
    areas = areas[np.isfinite(areas)]
    return Summary(
        pictures=pictures,
        pictures_with_people=len({r["image_id"] for r, person in zip(table.records, people, strict=True) if person}),
        people=int(people.sum()),
        with_joints=int(placed.any(axis=1).sum()),
        with_masks=int((np.array(masked, bool).reshape(-1) & people).sum()),
        crowds=int(table.crowds.sum()),
        skeleton="" if skeleton is None else skeleton.name,
        joints={n: (int((v[:, i] >= 2).sum()), int((placed[:, i] & (v[:, i] < 2)).sum())) for i, n in enumerate(names)},
        sides_px=tuple(round(float(p), 1) for p in np.percentile(sides, PERCENTILES)) if len(sides) else (),
        sizes={
            "small": int((areas < SMALL_PX**2).sum()),
            "medium": int(((areas >= SMALL_PX**2) & (areas < LARGE_PX**2)).sum()),
            "large": int((areas >= LARGE_PX**2).sum()),
        },
    )
