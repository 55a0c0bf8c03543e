"""2D poses of any source to 3D poses (the lifter)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from poseg.errors import PosegError
from poseg.people import People
from poseg.runtime.inference import InferenceModel

Floats = NDArray[np.float32]

SYSTEM = "lifter"


@dataclass(frozen=True, slots=True, eq=False)
class Lifter:
    """Gives people 3D joints: `lifter(people)`.

    model  a model of the system "lifter"; another raises PosegError

    Depth and size are estimated from the 2D pose alone: joints are in millimetres of an average adult. One lifter may
    serve several threads.
    """

    model: InferenceModel

    def __post_init__(self) -> None:
        card = self.model.card
        if card.system != SYSTEM:
            raise PosegError(
                f"The model {card.name!r} is of the system {card.system!r}; people are lifted to 3D by a model "
                f"of the system {SYSTEM!r}."
            )

    def __call__(self, people: People) -> People:
        """The people with `keypoints_3d` (N, K, 3) mm about the pelvis, in camera axes: x right, y down, z away.

        Joints of any skeleton are remapped by name. A person with too few of them gets NaN. Raises FieldError where the
        network's outputs are not finite.
        """
        start = perf_counter()
        codec = self.model.codec
        inputs, liftable = codec.network_inputs(people)
        if liftable.any():
            fields = self.model.run(np.ascontiguousarray(inputs[liftable]))
        else:
            none = {spec.name: np.zeros((0, spec.channels, 1, 1), np.float32) for spec in codec.specs}
            fields = codec.fields_from_outputs(none)
        lifted: People = codec.decode(fields, people, liftable)
        spent = people.timings
        if spent is None:
            return lifted
        return replace(
            lifted, timings=replace(spent, postprocess_ms=spent.postprocess_ms + 1e3 * (perf_counter() - start))
        )
