"""Sound from one video file into another: copied packet by packet where the new file takes it, else coded anew."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from typing import cast

from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.stream import Discard

from poseg.io.video import Video
from poseg.io.video_formats import VideoFormat
from poseg.io.video_packets import open_container

_EVERYWHERE_HZ = (32_000, 44_100, 48_000)  # rates that every encoder and player of these formats takes


class Sound:
    """The first track of sound of a file, on its way into another.

    source   the open file it comes from, and its track
    clock_s  the first frame of that file on its own clock

    Other tracks of sound are left behind. Packets that cannot be decoded are left out.
    """

    def __init__(
        self, source: InputContainer, track: AudioStream, target: OutputContainer, kind: VideoFormat, clock_s: float
    ) -> None:
        for other in source.streams:
            if other.index != track.index:
                other.discard = Discard.all
        self._target = target
        self._kind = kind
        self._clock_s = clock_s
        self.copied = _fits(track, kind)
        self._out = (
            target.add_stream_from_template(track, opaque=True) if self.copied else _encoder(track, target, kind)
        )
        self._packets = _timed(source.demux(track))
        self._next = next(self._packets, None)

    def write(self, first_s: float, end_s: float) -> None:
        """Move on all sound up to `end_s` that has not been moved yet.

        Both times count from the first frame of the source; `first_s` is where the new file begins.
        """
        start_s = self._clock_s + first_s
        while self._next is not None and _time_s(self._next) - self._clock_s < end_s:
            packet = self._next
            if _time_s(packet) >= start_s:
                self._move(packet, start_s)
            self._next = next(self._packets, None)

    def finish(self) -> None:
        """Write what an encoder still holds."""
        if not self.copied:
            self._mux_coded(self._out.encode(None))

    def _move(self, packet: Packet[AudioStream], start_s: float) -> None:
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
            self._mux_coded(self._out.encode(frame))

    def _mux_coded(self, packets: list[Packet[AudioStream]]) -> None:
        """Write what the encoder gave, in mp4 without the run-in before 0 s, which would shift the pictures' times."""
        self._target.mux([packet for packet in packets if self._kind.coarse_clock or (packet.pts or 0) >= 0])


@contextmanager
def sound_of(video: Video, target: OutputContainer, kind: VideoFormat) -> Iterator[Sound | None]:
    """The sound of a video, ready to be written; None where there is none that we can decode. Raises VideoError."""
    with open_container(video.path) as source:
        track = source.streams.best("audio")
        known = isinstance(track, AudioStream) and track.codec_context is not None
        yield Sound(source, cast(AudioStream, track), target, kind, video.start_s) if known else None


def _fits(track: AudioStream, kind: VideoFormat) -> bool:
    """Whether packets can go over as they are; AAC of broadcasts lacks the header that other files need."""
    name = track.codec_context.codec.canonical_name
    return name in kind.sound_as_it_is and (name != "aac" or bool(track.codec_context.extradata))


def _encoder(track: AudioStream, target: OutputContainer, kind: VideoFormat) -> AudioStream:
    same = kind.sound_codec == "aac" and track.sample_rate in _EVERYWHERE_HZ
    rate = track.sample_rate if same else 48_000
    layout = "mono" if track.channels == 1 else "stereo"
    stream = target.add_stream(kind.sound_codec, rate=rate, layout=layout)
    assert isinstance(stream, AudioStream)
    return stream


def _timed(packets: Iterator[Packet[AudioStream]]) -> Iterator[Packet[AudioStream]]:
    """The packets that have a time, up to where the file ends or breaks."""
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
