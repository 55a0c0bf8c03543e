"""People over time in one step: who is who, masks that do not flicker, joints that do not shake."""

from __future__ import annotations

from dataclasses import dataclass, field

from poseg.people import People
from poseg.runtime.smoothing import Smoother
from poseg.runtime.steady_masks import MaskSteadier
from poseg.runtime.tracker import Tracker


@dataclass(slots=True)
class Follower:
    """Follows the people of one clip or camera: `follower.update(people, time_s)` for frame after frame, in order.

    smooth  False gives ids and leaves everything else as it was found

    It needs the extra `video`.
    """

    smooth: bool = True
    tracker: Tracker = field(default_factory=Tracker)
    steadier: MaskSteadier = field(default_factory=MaskSteadier)
    smoother: Smoother = field(default_factory=Smoother)

    def update(self, people: People, time_s: float) -> People:
        """The same people, in their order, with ids; steadied unless `smooth` is False. Raises VideoError."""
        known = self.tracker.update(people, time_s)
        if not self.smooth:
            return known
        return self.smoother.update(self.steadier.update(known, time_s), time_s)
