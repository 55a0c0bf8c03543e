"""Which kinds of video are written, and how each is coded."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import PurePath

import av
from av.codec.codec import UnknownCodecError

from poseg.errors import VideoError


@dataclass(frozen=True, slots=True)
class VideoFormat:
    """One kind of file.

    container        FFmpeg's name of it
    codec            the encoder of the pictures
    options          of that encoder
    file_options     of the file's writer, chosen so that what is on the disk can be played at any moment
    even             whether both sides need an even number of pixels
    coarse_clock     whether the file counts whole milliseconds rather than ticks of our choice
    sound_as_it_is   codecs of sound that such a file takes and that browsers or players of it know
    sound_codec      the encoder for all other sound
    """

    container: str
    codec: str
    options: dict[str, str]
    file_options: dict[str, str]
    even: bool
    coarse_clock: bool
    sound_as_it_is: frozenset[str]
    sound_codec: str


# No B-frames: the file starts at 0 s without an edit list, and a killed process loses less.
_H264 = {"preset": "veryfast", "crf": "20", "bf": "0", "rc-lookahead": "10"}
_VP9 = {"deadline": "realtime", "cpu-used": "6", "row-mt": "1", "crf": "31", "b": "0", "lag-in-frames": "0"}
# Whole fragments while the file grows, one plain index when it is closed.
_MP4_FILE = {"movflags": "hybrid_fragmented", "flush_packets": "1"}
_MATROSKA_FILE = {"cluster_time_limit": "1000", "flush_packets": "1"}
_MP4_SOUND = frozenset({"aac", "mp3", "ac3", "eac3", "opus", "flac", "alac"})

_MP4 = VideoFormat("mp4", "libx264", _H264, _MP4_FILE, True, False, _MP4_SOUND, "aac")
_MOV = VideoFormat("mov", "libx264", _H264, _MP4_FILE, True, False, frozenset({"aac", "mp3", "ac3", "alac"}), "aac")
_MKV = VideoFormat(
    "matroska", "libx264", _H264, _MATROSKA_FILE, True, True, _MP4_SOUND | {"vorbis", "pcm_s16le", "dts"}, "aac"
)
_WEBM = VideoFormat(
    "webm", "libvpx-vp9", _VP9, _MATROSKA_FILE, False, True, frozenset({"opus", "vorbis"}), "libopus"
)  # fmt: skip

VIDEO_FORMATS = {".mp4": _MP4, ".m4v": _MP4, ".mov": _MOV, ".mkv": _MKV, ".webm": _WEBM}


def video_format(path: str | PathLike[str]) -> VideoFormat:
    """The kind of file that a name asks for. Raises VideoError where we do not write it."""
    suffix = PurePath(fspath(path)).suffix.lower()
    if suffix not in VIDEO_FORMATS:
        raise VideoError(
            f"Cannot write {fspath(path)}: {suffix or 'a name without a suffix'} is not a kind of video that we write; "
            f"choose one of {', '.join(VIDEO_FORMATS)}."
        )
    chosen = VIDEO_FORMATS[suffix]
    try:
        av.Codec(chosen.codec, "w")
    except UnknownCodecError:
        others = sorted(name for name, one in VIDEO_FORMATS.items() if one.codec != chosen.codec)
        raise VideoError(
            f"Cannot write {fspath(path)}: this build of PyAV has no encoder {chosen.codec}; install the wheel of the "
            f"package index, or write {', '.join(others)}."
        ) from None
    return chosen
