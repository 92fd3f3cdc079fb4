"""Looks at the joins of a finished film: a few decoded frames and some sound on each side.

Only what these frames need is decoded, from the key frame before them on, so that it costs a small part of what
encoding would; where even that is much, some joins go unseen (`media/seam_choice.py`).
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import chain
from math import hypot, log10
from pathlib import Path
from typing import TYPE_CHECKING

import av
from av.error import FFmpegError
from av.stream import Discard
from av.video.reformatter import Interpolation, VideoReformatter

from events.clip import Join
from media.ffmpeg_limits import PICTURE_PX_MAX
from media.movie import Movie
from media.mp4_index import read_movie
from media.reader import FileReader
from media.seam_choice import FRAMES, frame_of, heard_joins, seen_joins
from media.seam_picture import HEIGHT_PX, WIDTH_PX, compared, thumbnail
from media.seam_report import SeamLook

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.stream import Stream
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

    _Packet = Packet[VideoStream]

#: Seconds of sound that are listened to on each side: what EBU R128 calls the momentary loudness. The first and last
#: ten milliseconds of it, where clips are crossfaded, are left out.
SOUND_SECONDS, _EDGE_SECONDS = Fraction(2, 5), Fraction(1, 100)
#: Decoders that can be told, from frame to frame, to leave out those that no other frame refers to.
_LEAVE_OUT = frozenset({"h264", "hevc"})
#: One sample of so many is measured: several thousand tell the level to a tenth of a decibel.
_SAMPLE_STEP = 5
#: What is quieter than this counts as this.
_FLOOR_DB = -90.0


def look_at_seams(film: Path, joins: Sequence[Join], *, spare: bool = True) -> dict[int, SeamLook | str]:
    """Look at joins.

    Args:
        film: an MP4 whose frames follow each other evenly.
        joins: of that film.
        spare: whether joins may go unseen, for what looking costs; they are listened to nevertheless.

    Returns:
        What was seen and heard, by the index of the clip that starts there, or why it cannot be; nothing for joins left
        out. What is only heard has no frames.
    """
    with FileReader(film) as reader:
        movie = read_movie(reader, film.name)
    seen = set(seen_joins(movie, joins) if spare else joins)
    heard = set(heard_joins(joins)) if spare and movie.sound else set()
    found: dict[int, SeamLook | str] = {}
    with av.open(str(film), format="mov") as opened:
        _prepare(opened.streams.video[0], spare=spare)
        for join in joins:
            if join not in seen and join not in heard:
                continue
            try:
                found[join.clip_index] = _look(opened, movie, join, has_pictures=join in seen)
            except (FFmpegError, ValueError) as exc:
                found[join.clip_index] = f"the film cannot be decoded there ({exc})"
    return found


def _prepare(stream: VideoStream, *, spare: bool) -> None:
    # A clip's own parameter sets may tell of a larger picture than the film's index.
    stream.codec_context.options = {"max_pixels": str(PICTURE_PX_MAX)}
    # Several threads are sooner done, and cost up to a fifth more.
    stream.thread_type = "AUTO"
    if spare:
        stream.codec_context.thread_count = 1


def _look(opened: InputContainer, movie: Movie, join: Join, *, has_pictures: bool) -> SeamLook:
    interval, frame = movie.frame_interval, frame_of(movie, join)
    assert interval is not None
    look = _seen(opened, movie, frame) if has_pictures else SeamLook(frames_before=0, frames_after=0)
    if not opened.streams.audio:
        return look
    before, after = _levels(opened, frame * interval)
    return replace(look, level_before_centi_db=before, level_after_centi_db=after)


def _seen(opened: InputContainer, movie: Movie, frame: int) -> SeamLook:
    assert movie.frame_interval is not None
    wanted = range(max(0, frame - FRAMES), min(frame + FRAMES, movie.video.sample_count))
    _read_only(opened, opened.streams.video[0])
    reformatter, found = VideoReformatter(), {}
    for number, decoded in decode_frames(opened, wanted, movie.frame_interval):
        small = reformatter.reformat(
            decoded, WIDTH_PX, HEIGHT_PX, "yuv444p", interpolation=Interpolation.AREA, threads=1
        )
        found[number] = thumbnail([bytes(plane) for plane in small.planes], small.planes[0].line_size)
    before = [found[number] for number in range(wanted.start, frame) if number in found]
    after = [found[number] for number in range(frame, wanted.stop) if number in found]
    if not before or not after:
        raise ValueError("no frames come out")
    return compared(before, after)


def decode_frames(opened: InputContainer, wanted: range, interval: Fraction) -> Iterator[tuple[int, VideoFrame]]:
    """Decode a few frames, and before them only what they need: they are what decoding the whole film gives.

    Args:
        opened: a film whose frames follow each other evenly.
        wanted: numbers of frames, from 0.
        interval: seconds that each frame is shown.

    Yields:
        Each frame that comes out, with its number.
    """
    stream = opened.streams.video[0]
    assert stream.time_base is not None
    # How many frames one tick of the stream is.
    tick = stream.time_base / interval
    for packet in _needed(stream, _packets_from(opened, stream, wanted.start, tick), wanted, tick):
        for decoded in stream.codec_context.decode(packet):
            number = round((decoded.pts or 0) * tick)
            if number in wanted:
                yield number, decoded


def _packets_from(opened: InputContainer, stream: VideoStream, frame: int, tick: Fraction) -> Iterator[_Packet]:
    """Give packets in order of decoding, from a key frame on that is not shown after a certain frame."""
    at = int((frame + Fraction(1, 2)) / tick)
    while True:
        opened.seek(at, stream=stream, backward=True)
        packets = opened.demux(stream)
        first = next(packets)
        # In an open group, frames that are shown before the key frame need what was decoded before it.
        if first.pts is None or first.dts is None or round(first.pts * tick) <= frame or first.dts > at:
            return chain([first], packets)
        at = first.dts - 1


def _needed(stream: VideoStream, packets: Iterator[_Packet], wanted: range, tick: Fraction) -> Iterator[_Packet | None]:
    """Give what must be decoded; None at the end, so that frames come out that wait for others.

    Each time it tells the decoder whether a frame that no other refers to may be left out. That changes no other frame.
    """
    coder, missing = stream.codec_context, set(wanted)
    can_leave_out = coder.name in _LEAVE_OUT
    for packet in packets:
        if packet.pts is None:
            break
        number = round(packet.pts * tick)
        if can_leave_out:
            coder.skip_frame = "DEFAULT" if number in wanted else "NONREF"
        yield packet
        missing.discard(number)
        if not missing:
            break
    yield None


def _read_only(opened: InputContainer, wanted: Stream) -> None:
    """Leave the packets of all other streams unread."""
    for stream in opened.streams:
        stream.discard = Discard.default if stream is wanted else Discard.all


def _levels(opened: InputContainer, at: Fraction) -> tuple[int | None, int | None]:
    """Measure the level of the sound before and after a moment, in hundredths of a decibel of full scale."""
    stream = opened.streams.audio[0]
    assert stream.time_base is not None
    _read_only(opened, stream)
    opened.seek(
        int(max(Fraction(0), at - SOUND_SECONDS - Fraction(1, 10)) / stream.time_base), stream=stream, backward=True
    )
    resampler = av.AudioResampler(format="fltp")
    sides = (_Loudness(at - SOUND_SECONDS, at - _EDGE_SECONDS), _Loudness(at + _EDGE_SECONDS, at + SOUND_SECONDS))
    for decoded in opened.decode(stream):
        for heard in resampler.resample(decoded):
            # Counted in samples, which are whole numbers: they are calculated with hundreds of times at each join.
            rate_hz = heard.sample_rate
            start = (heard.pts or 0) * _whole((heard.time_base or Fraction(0)) * rate_hz)
            samples = [array("f", bytes(plane)[: 4 * heard.samples]) for plane in heard.planes]
            for side in sides:
                side.hear(start, rate_hz, samples)
            if start > sides[1].end * rate_hz:
                return sides[0].level_centi_db, sides[1].level_centi_db
    return sides[0].level_centi_db, sides[1].level_centi_db


def _whole(number: Fraction) -> Fraction | int:
    """Give the same number, as an integer if it is one."""
    return number.numerator if number.denominator == 1 else number


class _Loudness:
    """The level of a stretch of sound, from `begin` to `end`, in seconds."""

    def __init__(self, begin: Fraction, end: Fraction) -> None:
        self.begin, self.end = begin, end
        self._energy, self._count = 0.0, 0
        # Both in samples, of so many a second.
        self._rate_hz = 0
        self._begin: Fraction | int = 0
        self._end: Fraction | int = 0

    def hear(self, start: Fraction | int, rate_hz: int, channels: Sequence[array[float]]) -> None:
        """Hear some samples of which the first is number `start`; what is outside of the stretch is not counted."""
        if rate_hz != self._rate_hz:
            self._rate_hz = rate_hz
            self._begin, self._end = _whole(self.begin * rate_hz), _whole(self.end * rate_hz)
        first = max(0, round(self._begin - start))
        last = max(first, round(self._end - start))
        for channel in channels:
            part = channel[first:last:_SAMPLE_STEP]
            # The root of the sum of the squares, in one call.
            self._energy += hypot(*part) ** 2
            self._count += len(part)

    @property
    def level_centi_db(self) -> int | None:
        """Give its level; None where nothing was heard."""
        if not self._count:
            return None
        power = self._energy / self._count
        return round(100 * max(_FLOOR_DB, 10 * log10(power) if power > 0 else _FLOOR_DB))
