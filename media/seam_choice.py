"""Chooses the joins of a film that are looked at, where looking at all of them would cost too much.

What it costs is told by the film's index alone, so that a film always gets the same looks, on every machine.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from fractions import Fraction

from events.clip import Join
from media.movie import Movie

#: Frames that are looked at on each side.
FRAMES = 6
#: What one film's pictures may cost where they may be spared: less than what splicing thirty clips takes.
LOOK_US_MAX = 250_000
#: The most joins that are listened to where some may be spared; each takes a core 2 ms.
LISTENED_MAX = 200
#: What one core decodes in a microsecond of H.264. Bits cost most: of a picture of 720p at 5 Mb/s, four fifths. Fitted
#: to seven films of 720p and 1080p with 0.2 to 5 Mb/s, each within a third: B-frames that are left out make it less.
_PIXELS_PER_US, _BYTES_PER_US = 1700, 8
#: What comparing the pictures of a join takes, however small they are.
_COMPARE_US = 8000
#: Frames that have less than this share of a film's mean bytes may be black, or stand still.
_FAINT_SHARE = Fraction(1, 10)


def frame_of(movie: Movie, join: Join) -> int:
    """Give the number of the first frame behind a join of a film whose frames follow each other evenly."""
    assert movie.frame_interval is not None
    return round(Fraction(join.at_ms, 1000) / movie.frame_interval)


def look_cost_us(movie: Movie, join: Join) -> int:
    """Estimate what it costs one core to look at the pictures around a join, in microseconds."""
    video, needed = movie.video, _needed(movie, join)
    pixels = len(needed) * getattr(video.entry, "width_px", 0) * getattr(video.entry, "height_px", 0)
    size_bytes = video.size_sums[needed.stop] - video.size_sums[needed.start]
    return _COMPARE_US + pixels // _PIXELS_PER_US + size_bytes // _BYTES_PER_US


def seen_joins(movie: Movie, joins: Sequence[Join]) -> list[Join]:
    """Give the joins whose pictures are looked at, in order of the film.

    First come those whose frames are so small that they may be black or stand still, then the cheapest; of those that
    cost about the same, some from all over the film.

    Args:
        movie: the film.
        joins: its.
    """
    costs_us = {join: look_cost_us(movie, join) for join in _scattered(joins)}
    left_us, chosen = LOOK_US_MAX, set()
    for join in sorted(costs_us, key=lambda join: (not _is_faint(movie, join), costs_us[join].bit_length())):
        if costs_us[join] <= left_us:
            left_us -= costs_us[join]
            chosen.add(join)
    return [join for join in joins if join in chosen]


def heard_joins(joins: Sequence[Join]) -> list[Join]:
    """Give the joins that are listened to, in order of the film: all of them, or some from all over a long film."""
    chosen = set(_scattered(joins)[:LISTENED_MAX])
    return [join for join in joins if join in chosen]


def _needed(movie: Movie, join: Join) -> range:
    """Give the samples that must be decoded: from the sync sample before the first frame that is looked at."""
    frame, video = frame_of(movie, join), movie.video
    first = max(0, frame - FRAMES)
    start = first if video.sync is None else video.sync[bisect_right(video.sync, first + 1) - 1] - 1
    return range(start, min(frame + FRAMES, video.sample_count))


def _is_faint(movie: Movie, join: Join) -> bool:
    """Tell whether most frames on one side of a join are as small as frames that are black, or do not change."""
    video, frame = movie.video, frame_of(movie, join)
    most = _FAINT_SHARE * video.size_sums[-1] / max(1, video.sample_count)
    # A clip's first frame is drawn whole and tells nothing.
    sides = video.sizes[max(0, frame - FRAMES) : frame], video.sizes[frame + 1 : frame + 1 + FRAMES]
    return any(2 * sum(size < most for size in side) > len(side) for side in sides)


def _scattered(joins: Sequence[Join]) -> list[Join]:
    """Put joins into an order of which every beginning is spread over the film: first, middle, a quarter, …."""
    bits = max(1, (len(joins) - 1).bit_length())
    turns = sorted(range(len(joins)), key=lambda place: int(f"{place:0{bits}b}"[::-1], 2))
    return [joins[place] for place in turns]
