"""The family of errors. Every message says what was expected, what came and what to do next.

PosegError
├── ShapeError        an array does not have the shape its name promises
├── SkeletonError     joints or bones that do not fit together
├── GeometryError     3D points that a camera cannot see, or an invalid camera
├── FieldError        fields that cannot be decoded (NaN, a missing head)
├── ImageError        an image that cannot be read or used
├── AnnotationError   a fault in a label or result file
├── CardError         a model file without a card, or with one we cannot read
├── WeightsError      weights that do not fit their network
├── DeviceError       a device that this installation cannot run models on
├── EffectError       invalid settings of an effect
├── VideoError        a video or a camera that cannot be read or written
└── OutputError       an output path that cannot be written

The command line prints the sentence and exits 2. Nothing below the faces catches `Exception`,
but for those of the user's code in a Python file.

ImageWarning, a UserWarning, says what was done with an image that is not quite what it should be, DeviceWarning that
a model does not run where it was asked to. The command line prints them and goes on.
"""

from __future__ import annotations


class PosegError(Exception):
    """Root of everything poseg raises on purpose; catch this to catch them all."""


class ShapeError(PosegError, ValueError):
    """An array whose shape is not the one its name promises."""

    def __init__(self, name: str, *, expected: object, got: object) -> None:
        super().__init__(f"{name} has shape {got}, expected {expected}.")
        self.name = name
        self.expected = expected
        self.got = got


class SkeletonError(PosegError, ValueError):
    """Joints, bones or a tree that do not fit together."""


class GeometryError(PosegError, ValueError):
    """3D points that a camera cannot see, or a camera with invalid parameters."""


class FieldError(PosegError, ValueError):
    """Fields that cannot be decoded."""


class ImageError(PosegError, ValueError):
    """An image that cannot be read, or is too small or too large to be of use."""


class ImageWarning(UserWarning):
    """An image that is read, but not as it is: the first frame of several, 12 bits in 16, the end missing."""


class DeviceError(PosegError, ValueError):
    """A device that this installation cannot run models on."""


class DeviceWarning(UserWarning):
    """A device that was asked for is not used, or not for all of a model."""


class AnnotationError(PosegError, ValueError):
    """A fault in a label or result file."""


class CardError(PosegError, ValueError):
    """A model file without a readable card."""


class WeightsError(PosegError, ValueError):
    """Weights that do not fit their network."""


class EffectError(PosegError, ValueError):
    """Invalid settings of an effect, or a person who does not exist."""


class VideoError(PosegError, ValueError):
    """A video or a camera that cannot be read, or a video format that cannot be written."""


class OutputError(PosegError, OSError):
    """An output path that cannot be written."""
