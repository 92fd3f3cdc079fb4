"""Looks at the joins of a finished film: a few decoded frames and some sound on each side.

Only the groups of pictures at the joins are decoded, so that it costs a small part of what encoding would; where even
that is much, the dearest joins go unseen. Pictures are compared as thumbnails, which noise does not trouble.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import pairwise
from math import log10
from operator import mul
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

import av
from av.error import FFmpegError

from events.clip import Join
from media.ffmpeg_limits import PICTURE_PX_MAX
from media.movie import Movie
from media.mp4_index import read_movie
from media.reader import FileReader
from media.seam_report import COLOUR_JUMP_MAX, SeamLook

if TYPE_CHECKING:
    from av.container import InputContainer

#: Frames that are looked at on each side.
FRAMES = 6
#: Seconds of sound that are listened to on each side: what EBU R128 calls the momentary loudness. The first and last
#: ten milliseconds of it, where clips are crossfaded, are left out.
SOUND_SECONDS, _EDGE_SECONDS = Fraction(2, 5), Fraction(1, 100)
#: How much is decoded of one film where it may be spared, in pixels: some two seconds of one core.
DECODED_PIXELS_MAX = 1_000_000_000

_WIDTH, _HEIGHT = 64, 36
#: A pixel is black below 10 % of its range; a frame is, if 98 % of its pixels are. As FFmpeg's `blackdetect`.
_BLACK_LUMA, _BLACK_SHARE = 16 + 219 // 10, 0.98
#: Two frames are the same if their luma differs by no more than 0.1 % of its range. As FFmpeg's `freezedetect`.
_STILL = 0.255
#: A frame repeats another if its drawing differs by no more than this share of what one frame usually differs from the
#: next. A model that draws a given first frame again hits it nearly, not exactly.
_REPEATED_SHARE = 1 / 3
#: Luma may differ so much, once its mean is made equal, between two pictures of one scene: less than two shots of
#: most scenes, more than the noise of two encodes.
_ONE_SCENE = 10.0
#: What is quieter than this counts as this.
_FLOOR_DB = -90.0


class _Thumbnail(NamedTuple):
    luma: bytes
    #: Mean of Y, U and V.
    means: tuple[float, float, float]


def look_at_seams(film: Path, joins: Sequence[Join], *, spare: bool = True) -> dict[int, SeamLook | str]:
    """Look at joins.

    Args:
        film: an MP4 whose frames follow each other evenly.
        joins: of that film.
        spare: whether joins may go unseen, the dearest ones first, that cost too much.

    Returns:
        What was seen, by the index of the clip that starts there, or why it cannot be; nothing for joins left out.
    """
    with FileReader(film) as reader:
        movie = read_movie(reader, film.name)
    found: dict[int, SeamLook | str] = {}
    with av.open(str(film), format="mov") as opened:
        opened.streams.video[0].thread_type = "AUTO"
        # A clip's own parameter sets may tell of a larger picture than the film's index.
        opened.streams.video[0].codec_context.options = {"max_pixels": str(PICTURE_PX_MAX)}
        for join in _affordable(movie, joins) if spare else joins:
            try:
                found[join.clip_index] = _look(opened, movie, join)
            except (FFmpegError, ValueError) as exc:
                found[join.clip_index] = f"the film cannot be decoded there ({exc})"
    return found


def _affordable(movie: Movie, joins: Sequence[Join]) -> Iterator[Join]:
    """Give the joins that are looked at: the cheapest first, as long as all together do not cost too much."""
    entry, left = movie.video.entry, DECODED_PIXELS_MAX
    pixels = getattr(entry, "width_px", 0) * getattr(entry, "height_px", 0)
    for frames, join in sorted(((_decoded_frames(movie, join), join) for join in joins), key=lambda each: each[0]):
        left -= frames * pixels
        if left < 0:
            return
        yield join


def _decoded_frames(movie: Movie, join: Join) -> int:
    """Count the frames that must be decoded: from the sync sample before the first one that is looked at."""
    first = max(0, _frame_of(movie, join) - FRAMES)
    sync = movie.video.sync
    start = first if sync is None else sync[bisect_right(sync, first + 1) - 1] - 1
    return first - start + 2 * FRAMES


def _frame_of(movie: Movie, join: Join) -> int:
    assert movie.frame_interval is not None
    return round(Fraction(join.at_ms, 1000) / movie.frame_interval)


def _look(opened: InputContainer, movie: Movie, join: Join) -> SeamLook:
    interval = movie.frame_interval
    assert interval is not None
    frame = _frame_of(movie, join)
    thumbnails = _thumbnails(opened, frame, interval)
    before = [thumbnails[i] for i in range(frame - FRAMES, frame) if i in thumbnails]
    after = [thumbnails[i] for i in range(frame, frame + FRAMES) if i in thumbnails]
    if not before or not after:
        raise ValueError("no frames come out")
    levels = _levels(opened, frame * interval) if opened.streams.audio else (None, None)
    return _judged(before, after, levels)


def _judged(
    before: Sequence[_Thumbnail], after: Sequence[_Thumbnail], levels: tuple[int | None, int | None]
) -> SeamLook:
    steps_before, steps_after = _steps(before), _steps(after)
    jump = max(abs(a - b) for a, b in zip(before[-1].means, after[0].means, strict=True))
    shift = after[0].means[0] - before[-1].means[0]
    return SeamLook(
        frames_before=len(before),
        frames_after=len(after),
        black_before=_run(map(_is_black, reversed(before))),
        black_after=_run(map(_is_black, after)),
        # A frame that equals its neighbour makes two that stand still.
        still_before=_still(reversed(steps_before)),
        still_after=_still(steps_after),
        # Black is black, and told as such.
        repeated=0 if _is_black(before[-1]) else _repeated(before, after),
        colour_jump=round(jump),
        is_one_scene=_difference(before[-1], after[0], shift) <= _ONE_SCENE,
        level_before_centi_db=levels[0],
        level_after_centi_db=levels[1],
    )


def _thumbnails(opened: InputContainer, frame: int, interval: Fraction) -> dict[int, _Thumbnail]:
    """Decode the frames around one, by their number in the film."""
    stream = opened.streams.video[0]
    assert stream.time_base is not None
    first = max(0, frame - FRAMES)
    opened.seek(int((first * interval + interval / 2) / stream.time_base), stream=stream, backward=True)
    found = {}
    for decoded in opened.decode(stream):
        number = round((decoded.pts or 0) * stream.time_base / interval)
        if first <= number < frame + FRAMES:
            small = decoded.reformat(width=_WIDTH, height=_HEIGHT, format="yuv444p")
            found[number] = _thumbnail([bytes(plane) for plane in small.planes], small.planes[0].line_size)
        if number >= frame + FRAMES - 1:
            break
    return found


def _thumbnail(planes: Sequence[bytes], line_bytes: int) -> _Thumbnail:
    cut = [b"".join(plane[i * line_bytes : i * line_bytes + _WIDTH] for i in range(_HEIGHT)) for plane in planes]
    y, u, v = (sum(plane) / len(plane) for plane in cut)
    return _Thumbnail(cut[0], (y, u, v))


def _steps(pictures: Sequence[_Thumbnail]) -> list[float]:
    return [_difference(one, other) for one, other in pairwise(pictures)]


def _difference(one: _Thumbnail, other: _Thumbnail, shift: float = 0.0) -> float:
    """Give the mean difference of luma, where the other is `shift` lighter all over."""
    pairs = zip(one.luma, other.luma, strict=True)
    return sum(abs(b - a - shift) for a, b in pairs) / len(one.luma)


def _is_black(picture: _Thumbnail) -> bool:
    return sum(luma <= _BLACK_LUMA for luma in picture.luma) >= _BLACK_SHARE * len(picture.luma)


def _run(each: Iterator[bool]) -> int:
    """Count how many are true in a row from the start."""
    count = 0
    for one in each:
        if not one:
            break
        count += 1
    return count


def _still(steps: Iterator[float] | Sequence[float]) -> int:
    run = _run(step <= _STILL for step in steps)
    return run + 1 if run else 0


def _repeated(before: Sequence[_Thumbnail], after: Sequence[_Thumbnail]) -> int:
    """Count the first frames that show what the last one before them showed; none where the picture stands still."""
    moved = [_drawing_difference(one, other) for side in (before, after) for one, other in pairwise(side)]
    motion = median(moved) if moved else 0.0
    if motion <= _STILL:
        return 0
    most = max(_STILL, _REPEATED_SHARE * motion)
    return _run(_is_redrawn(before[-1], picture, most) for picture in after)


def _is_redrawn(one: _Thumbnail, other: _Thumbnail, most: float) -> bool:
    jump = max(abs(a - b) for a, b in zip(one.means, other.means, strict=True))
    return jump <= COLOUR_JUMP_MAX and _drawing_difference(one, other) <= most


def _drawing_difference(one: _Thumbnail, other: _Thumbnail) -> float:
    """Give the difference of two drawings, whatever their brightness: a still that went through RGB is a level off."""
    return _difference(one, other, other.means[0] - one.means[0])


def _levels(opened: InputContainer, at: Fraction) -> tuple[int | None, int | None]:
    """Measure the level of the sound before and after a moment, in hundredths of a decibel of full scale."""
    stream = opened.streams.audio[0]
    assert stream.time_base is not None
    opened.seek(
        int(max(Fraction(0), at - SOUND_SECONDS - Fraction(1, 10)) / stream.time_base), stream=stream, backward=True
    )
    resampler = av.AudioResampler(format="fltp")
    sides = (_Loudness(at - SOUND_SECONDS, at - _EDGE_SECONDS), _Loudness(at + _EDGE_SECONDS, at + SOUND_SECONDS))
    for decoded in opened.decode(stream):
        for heard in resampler.resample(decoded):
            start = (heard.pts or 0) * (heard.time_base or Fraction(0))
            samples = [array("f", bytes(plane)[: 4 * heard.samples]) for plane in heard.planes]
            for side in sides:
                side.hear(start, heard.sample_rate, samples)
            if start > sides[1].end:
                return sides[0].level_centi_db, sides[1].level_centi_db
    return sides[0].level_centi_db, sides[1].level_centi_db


class _Loudness:
    """The level of a stretch of sound, from `begin` to `end`, in seconds."""

    def __init__(self, begin: Fraction, end: Fraction) -> None:
        self.begin, self.end = begin, end
        self._energy, self._count = 0.0, 0

    def hear(self, start: Fraction, rate_hz: int, channels: Sequence[array[float]]) -> None:
        """Hear some samples that begin at `start`; what is outside of the stretch is not counted."""
        first = max(0, round((self.begin - start) * rate_hz))
        last = max(first, round((self.end - start) * rate_hz))
        for channel in channels:
            part = channel[first:last]
            self._energy += sum(map(mul, part, part))
            self._count += len(part)

    @property
    def level_centi_db(self) -> int | None:
        """Give its level; None where nothing was heard."""
        if not self._count:
            return None
        power = self._energy / self._count
        return round(100 * max(_FLOOR_DB, 10 * log10(power) if power > 0 else _FLOOR_DB))
