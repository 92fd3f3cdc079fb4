"""Clips whose frames follow each other evenly, but in a clock too coarse to say so.

Tools that count in milliseconds write 24 frames a second as 42, 41, 42, … The frame rate does not vary, only its
rounding does. Such a picture is given a clock in which its rate is exact, so that it need not be encoded.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import accumulate
from operator import add

from media.movie import Run, Track, append_run, expand

#: Frame rates that cameras, encoders and models make.
_USUAL_RATES = tuple(
    Fraction(*rate)
    for rate in (
        (24000, 1001),
        (24, 1),
        (25, 1),
        (30000, 1001),
        (30, 1),
        (48, 1),
        (50, 1),
        (60000, 1001),
        (60, 1),
        (120, 1),
        (10, 1),
        (12, 1),
        (15, 1),
        (16, 1),
        (20, 1),
    )
)
#: Frames of the longest picture whose clock is looked into: eleven hours at 24 a second, for which it takes two seconds
#: and 150 MB.
_FRAMES_MAX = 1_000_000
#: With fewer ticks a frame, rounding could hide a rate that really varies.
_TICKS_PER_FRAME_MIN = 10
#: Usual rates that are tried, the nearest to the measured one first.
_NEIGHBOURS = 3
#: Ticks a frame of the clock that is given instead, times the denominator of the rate.
_FINE = 512


def steadied(track: Track) -> Track:
    """Give the same picture in a clock in which its frame rate is exact; the track itself if it is, or varies."""
    if track.interval is not None or not 3 <= track.sample_count <= _FRAMES_MAX:
        return track
    starts = array("q", accumulate(expand(track.durations), initial=0))[:-1]
    ticks = Fraction(starts[-1], track.sample_count - 1)
    if ticks < _TICKS_PER_FRAME_MIN:
        return track
    measured = track.timescale / ticks
    # In a short clip, rounding can move the measured rate nearer to a neighbour such as 24 for 24000/1001.
    nearest = sorted(_USUAL_RATES, key=lambda usual: abs(usual - measured))[:_NEIGHBOURS]
    for rate in nearest:
        if (turns := _turns(track, starts, rate)) is not None:
            return _rewritten(track, turns, rate)
    return track


def _turns(track: Track, starts: Sequence[int], rate: Fraction) -> Sequence[int] | None:
    """Give as which frame each sample is shown, in decoding order; None where the times do not fit the rate."""
    interval = track.timescale / rate
    if not _is_rounded(starts, interval):
        return None
    if not track.compositions:
        return range(track.sample_count)
    first = track.first_composition
    shown = array("q", (time - first for time in map(add, starts, expand(track.compositions))))
    # A half is never met, since an interval has more ticks than rounding can move a time by.
    above, below = interval.numerator, interval.denominator
    turns = array("q", ((2 * time * below + above) // (2 * above) for time in shown))
    return turns if _is_rounded(sorted(shown), interval) and len(set(turns)) == len(turns) else None


def _is_rounded(times: Sequence[int], interval: Fraction) -> bool:
    """Tell whether times are multiples of an interval, each rounded up or down to a whole tick."""
    # In whole numbers: there may be millions, and a hostile index is even until the last of them.
    below = interval.denominator
    exact = range(0, len(times) * interval.numerator, interval.numerator)
    return all(-below <= time * below - whole <= below for time, whole in zip(times, exact, strict=True))


def _rewritten(track: Track, turns: Sequence[int], rate: Fraction) -> Track:
    """Give the track in a clock of `rate`; `turns` says as which frame each sample is shown, in decoding order."""
    interval = _FINE * rate.denominator
    timescale = rate.numerator * _FINE
    delay = round(track.composition_delay * rate / track.timescale)
    compositions: list[Run] = []
    if track.compositions:
        for sample, turn in enumerate(turns):
            append_run(compositions, 1, (turn + delay - sample) * interval)
    # What the edit list says of the first frame is kept: shown from the start, late, or cut off.
    hidden = Fraction(track.media_start - track.first_composition, track.timescale)
    hidden = Fraction(0) if abs(hidden) * track.timescale <= 1 else hidden
    first = delay * interval if track.compositions else 0
    edits = [
        edit if edit.media_time < 0 else edit._replace(media_time=first + round(hidden * timescale))
        for edit in track.edits
    ]
    return replace(
        track,
        timescale=timescale,
        edits=edits,
        durations=[Run(track.sample_count, interval)],
        compositions=compositions,
    )
