"""Formats of video files that can be written, and copying audio into them.

Audio goes from one video file into another packet by packet where the new format takes it, else it is re-encoded.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from os import PathLike, fspath
from pathlib import PurePath
from typing import cast

import av
from av.audio.stream import AudioStream
from av.codec.codec import UnknownCodecError
from av.container import InputContainer, OutputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.stream import Discard

from poseg.errors import VideoError
from poseg.io.video_reader import Video
from poseg.io.video_streams import open_container

_COMMON_HZ = (32_000, 44_100, 48_000)  # supported by every encoder and player of these formats


@dataclass(frozen=True, slots=True)
class VideoFormat:
    """A format of video files.

    container        FFmpeg's name of the container
    codec            the video encoder
    options          options of that encoder
    file_options     options of the muxer, chosen so that a growing file can be played at any moment
    even_size        whether height and width must be even
    ms_timestamps    whether timestamps are whole milliseconds rather than ticks of our choice
    copyable_audio   audio codecs that this container and its players support
    audio_codec      the encoder for all other audio
    """

    container: str
    codec: str
    options: dict[str, str]
    file_options: dict[str, str]
    even_size: bool
    ms_timestamps: bool
    copyable_audio: frozenset[str]
    audio_codec: str


# No B-frames: the file starts at 0 s without an edit list, and a killed process loses less of it.
_H264 = {"preset": "veryfast", "crf": "20", "bf": "0", "rc-lookahead": "10"}
_VP9 = {"deadline": "realtime", "cpu-used": "6", "row-mt": "1", "crf": "31", "b": "0", "lag-in-frames": "0"}
# Complete fragments while the file grows, one plain index when it is closed.
_MP4_FILE = {"movflags": "hybrid_fragmented", "flush_packets": "1"}
_MATROSKA_FILE = {"cluster_time_limit": "1000", "flush_packets": "1"}
_MP4_AUDIO = frozenset({"aac", "mp3", "ac3", "eac3", "opus", "flac", "alac"})

_MP4 = VideoFormat("mp4", "libx264", _H264, _MP4_FILE, True, False, _MP4_AUDIO, "aac")
_MOV = VideoFormat("mov", "libx264", _H264, _MP4_FILE, True, False, frozenset({"aac", "mp3", "ac3", "alac"}), "aac")
_MKV = VideoFormat(
    "matroska", "libx264", _H264, _MATROSKA_FILE, True, True, _MP4_AUDIO | {"vorbis", "pcm_s16le", "dts"}, "aac"
)
_WEBM = VideoFormat(
    "webm", "libvpx-vp9", _VP9, _MATROSKA_FILE, False, True, frozenset({"opus", "vorbis"}), "libopus"
)  # fmt: skip

VIDEO_FORMATS = {".mp4": _MP4, ".m4v": _MP4, ".mov": _MOV, ".mkv": _MKV, ".webm": _WEBM}


def video_format(path: str | PathLike[str]) -> VideoFormat:
    """The format for the suffix of a name. Raises VideoError where it cannot be written."""
    suffix = PurePath(fspath(path)).suffix.lower()
    if suffix not in VIDEO_FORMATS:
        raise VideoError(
            f"Cannot write {fspath(path)}: {suffix or 'a name without a suffix'} is not a video format that can be "
            f"written; choose one of {', '.join(VIDEO_FORMATS)}."
        )
    chosen = VIDEO_FORMATS[suffix]
    try:
        av.Codec(chosen.codec, "w")
    except UnknownCodecError:
        others = sorted(name for name, other in VIDEO_FORMATS.items() if other.codec != chosen.codec)
        raise VideoError(
            f"Cannot write {fspath(path)}: this build of PyAV has no encoder {chosen.codec}; install the wheel of the "
            f"package index, or write {', '.join(others)}."
        ) from None
    return chosen


class AudioCopier:
    """Writes the best audio stream of a file into another.

    source   the open file it comes from, and its stream
    start_s  time of the first video frame of that file on its own clock

    Other audio streams are not copied. Packets that cannot be decoded are skipped.
    """

    def __init__(
        self,
        source: InputContainer,
        stream: AudioStream,
        target: OutputContainer,
        file_format: VideoFormat,
        start_s: float,
    ) -> None:
        for other in source.streams:
            if other.index != stream.index:
                other.discard = Discard.all
        self._target = target
        self._format = file_format
        self._start_s = start_s
        self.copied = _fits(stream, file_format)
        self._out = (
            target.add_stream_from_template(stream, opaque=True)
            if self.copied
            else _encoder(stream, target, file_format)
        )
        self._packets = _timed(source.demux(stream))
        self._next = next(self._packets, None)

    def write(self, first_s: float, end_s: float) -> None:
        """Write all audio up to `end_s` that has not been written yet.

        Both times count from the first video frame of the source; `first_s` is where the new file begins.
        """
        start_s = self._start_s + first_s
        while self._next is not None and _time_s(self._next) - self._start_s < end_s:
            packet = self._next
            if _time_s(packet) >= start_s:
                self._write_packet(packet, start_s)
            self._next = next(self._packets, None)

    def finish(self) -> None:
        """Flush the encoder."""
        if not self.copied:
            self._mux_encoded(self._out.encode(None))

    def _write_packet(self, packet: Packet[AudioStream], start_s: float) -> None:
        if self.copied:
            shift = round(start_s / packet.time_base)
            packet.pts = (packet.pts or 0) - shift
            packet.dts = packet.pts
            packet.stream = self._out
            self._target.mux(packet)
            return
        try:
            frames = packet.decode()
        except FFmpegError:
            return
        for frame in frames:
            if frame.pts is not None and frame.time_base:
                frame.pts -= round(start_s / frame.time_base)
            self._mux_encoded(self._out.encode(frame))

    def _mux_encoded(self, packets: list[Packet[AudioStream]]) -> None:
        """Write encoded packets, in mp4 without the encoder delay before 0 s, which would shift the video."""
        self._target.mux([packet for packet in packets if self._format.ms_timestamps or (packet.pts or 0) >= 0])


@contextmanager
def audio_copier(video: Video, target: OutputContainer, file_format: VideoFormat) -> Iterator[AudioCopier | None]:
    """Copier of the audio of a video; None where it has no audio that can be decoded. Raises VideoError."""
    with open_container(video.path) as source:
        stream = source.streams.best("audio")
        decodable = isinstance(stream, AudioStream) and stream.codec_context is not None
        yield AudioCopier(source, cast(AudioStream, stream), target, file_format, video.start_s) if decodable else None


def _fits(stream: AudioStream, file_format: VideoFormat) -> bool:
    """Whether packets can be copied as they are; AAC of broadcasts lacks the header that other containers need."""
    name = stream.codec_context.codec.canonical_name
    return name in file_format.copyable_audio and (name != "aac" or bool(stream.codec_context.extradata))


def _encoder(stream: AudioStream, target: OutputContainer, file_format: VideoFormat) -> AudioStream:
    same = file_format.audio_codec == "aac" and stream.sample_rate in _COMMON_HZ
    rate = stream.sample_rate if same else 48_000
    layout = "mono" if stream.channels == 1 else "stereo"
    encoder = target.add_stream(file_format.audio_codec, rate=rate, layout=layout)
    assert isinstance(encoder, AudioStream)
    return encoder


def _timed(packets: Iterator[Packet[AudioStream]]) -> Iterator[Packet[AudioStream]]:
    """The packets that have a timestamp, up to the end of the file or the first error."""
    while True:
        try:
            packet = next(packets, None)
        except FFmpegError:
            return
        if packet is None:
            return
        if packet.pts is not None and packet.size:
            yield packet


def _time_s(packet: Packet[AudioStream]) -> float:
    return float((packet.pts or 0) * Fraction(packet.time_base))
