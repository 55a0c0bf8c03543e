"""The family of errors. Every message says what was wanted, what came and what to do next.

PosegError
├── ShapeError        an array does not have the shape its name promises
├── SkeletonError     joints or bones that do not fit together
├── GeometryError     points in space that a camera cannot see, or a camera that is none
├── FieldError        fields that cannot be decoded (NaN, a missing head)
├── ImageError        a picture that cannot be read or is of no use
├── AnnotationError   a label or result file with a fault in it
├── CardError         a model file without a card, or with one we cannot read
├── WeightsError      weights that do not fit the network they are meant for
├── EffectError       settings of an effect that make no sense
├── VideoError        a video or a camera that cannot be read or written
└── OutputError       a place we were told to write to that cannot be written

The command line prints the sentence and exits 2. Nothing below the faces catches `Exception`.
"""

from __future__ import annotations


class PosegError(Exception):
    """Root of everything poseg raises on purpose; catch this to catch them all."""


class ShapeError(PosegError, ValueError):
    """An array whose shape is not the one its name promises."""

    def __init__(self, name: str, *, wanted: object, got: object) -> None:
        super().__init__(f"{name} has shape {got}, wanted {wanted}.")
        self.name = name
        self.wanted = wanted
        self.got = got


class SkeletonError(PosegError, ValueError):
    """Joints, bones or a tree that do not fit together."""


class GeometryError(PosegError, ValueError):
    """Points in space that a camera cannot see, or a camera whose numbers make no sense."""


class FieldError(PosegError, ValueError):
    """Fields that cannot be decoded."""


class ImageError(PosegError, ValueError):
    """A picture that cannot be read, or is too small or too large to be of use."""


class AnnotationError(PosegError, ValueError):
    """A label or result file with a fault in it."""


class CardError(PosegError, ValueError):
    """A model file without a readable card."""


class WeightsError(PosegError, ValueError):
    """Weights that do not fit the network they are meant for."""


class EffectError(PosegError, ValueError):
    """Settings of an effect that make no sense, or a person who is not there."""


class VideoError(PosegError, ValueError):
    """A video or a camera that cannot be read, or a kind of video that cannot be written."""


class OutputError(PosegError, OSError):
    """A destination that cannot be written."""
