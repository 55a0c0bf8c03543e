"""What finds the people for `predict`, as its options describe it: one model, or one after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from poseg.cli.options import build_lifter, build_poser, build_predictor, is_poser, refined
from poseg.errors import PosegError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from rich.console import Console

    from poseg.cli.options import BottomUpCodec
    from poseg.cli.people_files import Find, Prepare
    from poseg.people import People
    from poseg.runtime.crop_pose import TopDownPose

FILES = (".json", ".gz")
MOST_PEOPLE, LEAST_SCORE = 20, 0.4


@dataclass(frozen=True)
class Finding:
    """The options of `predict` that say who finds people.

    model, size, max_people, min_score, scales, flip, threads   as the options are called
    refine   model that gives them masks
    boxes    for a model of crops: another model, or a file, that says where people are
    lift     whether they are lifted into space
    """

    model: str | None
    size: int | None
    max_people: int
    min_score: float
    scales: str | None
    flip: bool | None
    refine: str | None
    boxes: str | None
    lift: bool
    threads: int | None

    def __post_init__(self) -> None:
        if self.boxes is not None and not is_poser(self.model):
            raise PosegError(
                "--boxes says where people are for a model of crops; add --model multitask, or leave it out."
            )
        idle = self._idle() if self.boxes is None or self.from_file else []
        if idle and is_poser(self.model):
            raise PosegError(
                f"{self.model} is told where people are and looks for nobody, so {', '.join(idle)} would do nothing; "
                "leave it out, or give --boxes a model that looks for them, such as small."
            )

    @property
    def from_file(self) -> bool:
        """Whether a file says where people are, picture by picture."""
        return self.boxes is not None and Path(self.boxes).suffix in FILES

    def finder(self) -> BottomUpCodec:
        """Finds the people of any picture. Raises PosegError where only a file knows where they are."""
        if self.from_file:
            raise PosegError(f"{self.boxes} knows people of pictures; for videos give --boxes a model, such as small.")
        if not is_poser(self.model):
            return refined(self._predictor(self.model, self.flip), self.refine, threads=self.threads)
        from poseg.runtime.crop_pose import TopDownPipeline

        poser = self._poser()
        if self.boxes is None:
            return poser
        return TopDownPipeline(refined(self._predictor(self.boxes), self.refine, threads=self.threads), poser)

    def lifter(self) -> Callable[[People], People]:
        """Lifts people into space, where that is asked for."""
        return build_lifter(threads=self.threads) if self.lift else lambda people: people

    def prepare(self, finder: Callable[[], BottomUpCodec]) -> Prepare:
        """Gets ready for pictures: by `finder`, or by the file that knows where people are."""

        def by_finder(paths: Sequence[Path], _: Console) -> tuple[Find, Any]:
            from poseg.io.sources import image_ids

            find, lift = finder(), self.lifter()
            return lambda image, path: lift(find(image)), image_ids(paths)

        return self._by_file if self.from_file else by_finder

    def _by_file(self, paths: Sequence[Path], console: Console) -> tuple[Find, Any]:
        from poseg.cli.people_files import tell_silence
        from poseg.io.given_people import match_pictures, read_people
        from poseg.io.sources import image_ids

        given, numbers, poser = read_people(self.boxes or ""), image_ids(paths), self._poser()
        matched = match_pictures(given, paths, [numbers[path] for path in paths])
        tell_silence(given, paths, matched, console)
        theirs = dict(zip(paths, matched, strict=True))
        lift = self.lifter()

        def find_in(image: NDArray[np.uint8], path: Path) -> People:
            return lift(poser(image, given.people(theirs[path]).boxes_xyxy))

        return find_in, {path: number if theirs[path] is None else theirs[path] for path, number in numbers.items()}

    def _idle(self) -> list[str]:
        """The options given that only a model that looks for people takes."""
        given = {"--size": self.size, "--scales": self.scales, "--refine": self.refine}
        names = [name for name, value in given.items() if value is not None]
        names += ["--max-people"] if self.max_people != MOST_PEOPLE else []
        return names + (["--min-score"] if self.min_score != LEAST_SCORE else [])

    def _predictor(self, model: str | None, flip: bool | None = None) -> Any:
        return build_predictor(
            model, threads=self.threads, size=self.size, scales=self.scales, flip=flip, max_people=self.max_people,
            min_score=self.min_score,
        )  # fmt: skip

    def _poser(self) -> TopDownPose:
        return build_poser(self.model or "", threads=self.threads, flip=self.flip)
