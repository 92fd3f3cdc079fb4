"""Counts what is right and wrong in a film that `benchmarks.stitch` had made and decoded.

Clips of the film's own rate have to give every frame once and in order; of the others each frame has to be the one
that belongs to its time. How far each clip's beep is from its flash is compared with the clip alone; whether the low
tone goes on over each join is heard. Inside a crossfade two pictures are seen, and nothing is counted.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.stitch_corpus import Corpus
from benchmarks.stitch_pictures import TONE_HZ, beep_hz
from benchmarks.stitch_watch import Samples, Seen, Watched

#: So far around a join the tone is listened to: no beep is that near.
_AROUND = Fraction(1, 10)
#: A beep is looked for so far from where it should be. Averaging over 10 ms hears no pitch 100 Hz away.
_BEEP_WITHIN, _BEEP_AVERAGE = Fraction(6, 10), Fraction(1, 100)
#: Time stamps are rounded.
_TICK = Fraction(1, 1000)


@dataclass(frozen=True, slots=True)
class Findings:
    """What was counted in one film. Times are in milliseconds."""

    frames_expected: int
    #: There, once, after every frame that belongs before it; or, of another rate, at its time.
    frames_right: int
    frames_missing: int
    frames_repeated: int
    frames_misplaced: int
    frames_unreadable: int
    #: Frames that are not shown one frame interval, to a millisecond, after the one before.
    frames_uneven: int
    picture_ms: float
    sound_ms: float
    expected_ms: float
    #: Largest distance of a beep from its flash, beyond what the clip alone has; None if a beep or flash is missing.
    skew_ms: float | None
    #: Longest time at a join in which the tone is below half of its level, and how deep it falls there; None in fades.
    dip_ms: float | None
    dip_db: float | None
    #: Steepest step between two samples at a join against the tone's own steepest; 0 dB is no click.
    click_db: float | None

    @property
    def frames_wrong(self) -> int:
        """Everything that is not as it should be, summed."""
        extra = self.frames_repeated + self.frames_misplaced + self.frames_unreadable
        return self.frames_missing + extra + self.frames_uneven

    @property
    def badness(self) -> tuple[float, ...]:
        """Order findings, so that the worst of several runs can be shown."""
        return self.frames_wrong, self.skew_ms if self.skew_ms is not None else 1e9, self.dip_ms or 0


@dataclass(frozen=True)
class Timeline:
    """Where each clip belongs in a film."""

    corpus: Corpus
    #: Seconds of the crossfade at each join; 0 for cuts.
    fade: Fraction

    @property
    def rate(self) -> Fraction:
        """Frames a second of the film."""
        return self.corpus.shape.look.rate

    @cached_property
    def begins(self) -> list[Fraction]:
        """Give when each clip begins, its fade included; then when one more would."""
        begins = [Fraction(0)]
        for clip in range(len(self.corpus.paths)):
            begins.append(begins[-1] + self.corpus.seconds(clip) - self.fade)
        return begins

    @property
    def seconds(self) -> Fraction:
        """Give how long the film is."""
        return self.begins[-1] + self.fade

    def is_faded(self, at: Fraction) -> bool:
        """Tell whether two clips are seen at a time."""
        if not self.fade:
            return False
        clip = bisect_right(self.begins, at + _TICK, 1, len(self.corpus.paths)) - 1
        return clip > 0 and at + _TICK < self.begins[clip] + self.fade

    def is_shown_alone(self, clip: int, frame: int) -> bool:
        """Tell whether a frame is there and is seen outside the fades."""
        return clip < len(self.corpus.paths) and frame in self.shown(clip)

    def shown(self, clip: int) -> range:
        """Give the frames of a clip that are seen alone."""
        fade, count = round(self.fade * self.rate), self.corpus.frame_count(clip)
        return range(fade if clip else 0, count if clip == len(self.corpus.paths) - 1 else count - fade)


def check(film: Watched, timeline: Timeline, alone: Sequence[Fraction]) -> Findings:
    """Count what is right and wrong.

    Args:
        film: of all clips, in order.
        timeline: where they belong.
        alone: `beep_after_flash` of each clip by itself.
    """
    clips = range(len(timeline.corpus.paths))
    skews = [beep_after_flash(film, clip) for clip in clips]
    apart = [abs(heard - own) for heard, own in zip(skews, alone, strict=True) if heard is not None]
    begin, end = film.frames[0].at, film.frames[-1].at + 1 / timeline.rate
    plain = [seen for seen in film.frames if not timeline.is_faded(seen.at - begin)]
    return Findings(
        **_count(plain, timeline),
        frames_uneven=_uneven(film.frames, timeline.rate),
        picture_ms=_ms(end - begin),
        sound_ms=_ms(film.sound_seconds),
        expected_ms=_ms(timeline.seconds),
        skew_ms=_ms(max(apart)) if len(apart) == len(skews) else None,
        **({"dip_ms": None, "dip_db": None, "click_db": None} if timeline.fade else _joins(film, timeline)),
    )


def _joins(film: Watched, timeline: Timeline) -> dict[str, float]:
    tone = _Tone(film, timeline)
    clips = range(1, len(timeline.corpus.paths))
    joins = [at for clip in clips if (at := film.starts_at(clip)) is not None]
    depths = [tone.dip(at) for at in joins]
    return {
        "dip_ms": round(max((length for length, _ in depths), default=0), 1),
        "dip_db": round(min((depth for _, depth in depths), default=0), 1),
        "click_db": round(max((tone.click(at) for at in joins), default=0), 1),
    }


def _count(frames: list[Seen], timeline: Timeline) -> dict[str, int]:
    own = _CountOwn(timeline)
    others = _CountOthers(timeline)
    unreadable = 0
    for frame in frames:
        if frame.identity is None or frame.identity[0] >= len(timeline.corpus.paths):
            unreadable += 1
        elif own.is_about(frame.identity[0]):
            own.see(frame.identity)
        else:
            others.see(frame.identity, frame.at)
    return {
        "frames_expected": len(own.places) + others.expected,
        "frames_right": own.right + others.right,
        "frames_missing": len(own.places) - len(own.seen) + others.missing,
        "frames_repeated": own.repeated,
        "frames_misplaced": own.misplaced + others.misplaced,
        "frames_unreadable": unreadable,
    }


class _CountOwn:
    """Counts the frames of clips of the film's own rate: each once, in order."""

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        clips = [clip for clip in range(len(timeline.corpus.paths)) if self.is_about(clip)]
        wanted = [(clip, frame) for clip in clips for frame in timeline.shown(clip)]
        self.places = {identity: place for place, identity in enumerate(wanted)}
        self.seen: set[int] = set()
        self.right = self.repeated = self.misplaced = 0
        self._last = -1

    def is_about(self, clip: int) -> bool:
        return self._timeline.corpus.looks[clip].rate == self._timeline.rate

    def see(self, identity: tuple[int, int]) -> None:
        place = self.places.get(identity)
        if place is None:
            self.misplaced += 1
            return
        if place in self.seen:
            self.repeated += 1
        elif place < self._last:
            self.misplaced += 1
        else:
            self.right += 1
            self._last = place
        self.seen.add(place)


class _CountOthers:
    """Counts the frames of clips of other rates: each the one of its time, to one frame of the slower rate."""

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self._looks = timeline.corpus.looks
        clips = [clip for clip, look in enumerate(self._looks) if look.rate != timeline.rate]
        self._wanted = {clip: round(timeline.corpus.seconds(clip) * timeline.rate) for clip in clips}
        self._seen = dict.fromkeys(clips, 0)
        #: When each clip's own time is 0, by the first of its frames that is seen.
        self._starts: dict[int, Fraction] = {}
        self.right = self.misplaced = 0

    @property
    def expected(self) -> int:
        return sum(self._wanted.values())

    @property
    def missing(self) -> int:
        """One frame more or less is rounding."""
        return sum(max(0, abs(count - self._seen[clip]) - 1) for clip, count in self._wanted.items())

    def see(self, identity: tuple[int, int], at: Fraction) -> None:
        clip, frame = identity
        rate = self._looks[clip].rate
        start = self._starts.setdefault(clip, at - frame / rate)
        self._seen[clip] += 1
        tolerance = max(1 / rate, 1 / self._timeline.rate) + _TICK
        if abs(at - start - frame / rate) <= tolerance:
            self.right += 1
        else:
            self.misplaced += 1


def _uneven(frames: list[Seen], rate: Fraction) -> int:
    return sum(abs(b.at - a.at - 1 / rate) > _TICK for a, b in pairwise(frames))


def beep_after_flash(film: Watched, clip: int) -> Fraction | None:
    """Say how many seconds after its flash the beep of a clip is heard; None if either is missing."""
    flash = film.flash_at(clip)
    if flash is None:
        return None
    start = max(0, round((flash - _BEEP_WITHIN) * film.rate_hz))
    part = film.sound[start : round((flash + _BEEP_WITHIN) * film.rate_hz)]
    turns = np.exp(-2j * np.pi * beep_hz(clip) / film.rate_hz * np.arange(len(part)))
    width = round(_BEEP_AVERAGE * film.rate_hz)
    level = np.abs(_average(part * turns, width))
    # The beep's level is 0.15 in this measure.
    if level.size == 0 or level.max() < 0.05:
        return None
    first = int(np.argmax(level > level.max() / 2))
    return Fraction(start + first + width // 2, film.rate_hz) - flash


class _Tone:
    """The low tone of a film, and what it is like far from every join."""

    def __init__(self, film: Watched, timeline: Timeline) -> None:
        self._film = film
        self._half_period = round(film.rate_hz / TONE_HZ / 2)
        clips = range(len(timeline.corpus.paths))
        middle = [timeline.begins[clip] + timeline.corpus.seconds(clip) / 2 for clip in clips]
        stretches = [self._around(at) for at in middle]
        self._usual = float(np.median([np.median(self._levels(part)) for part in stretches]))
        self._steepest = float(np.median([np.abs(np.diff(part)).max() for part in stretches]))

    def dip(self, at: Fraction) -> tuple[float, float]:
        """Say for how many milliseconds the tone is below half of its level around here, and its lowest level in dB."""
        levels = self._levels(self._around(at)) / max(self._usual, 1e-6)
        length = float((levels < 0.5).sum()) * 1000 / self._film.rate_hz
        return length, _decibels(float(levels.min()))

    def click(self, at: Fraction) -> float:
        """Give the steepest step around here in dB over the tone's own."""
        return _decibels(float(np.abs(np.diff(self._around(at))).max()) / max(self._steepest, 1e-6))

    def _around(self, at: Fraction) -> Samples:
        rate_hz = self._film.rate_hz
        start, length = round((at - _AROUND) * rate_hz), round(2 * _AROUND * rate_hz)
        part = self._film.sound[max(0, start) : start + length]
        # Where the film has ended already there is silence.
        return np.pad(part, (0, length - len(part)))

    def _levels(self, part: Samples) -> npt.NDArray[np.float64]:
        powers = _average(part.astype(np.float64) ** 2, self._half_period)
        levels: npt.NDArray[np.float64] = np.sqrt(np.maximum(powers, 0))
        return levels


def _average(values: npt.NDArray[Any], width: int) -> npt.NDArray[Any]:
    summed = np.cumsum(np.concatenate(([0], values)))
    averages: npt.NDArray[Any] = (summed[width:] - summed[:-width]) / width
    return averages


def _decibels(ratio: float) -> float:
    return 20 * float(np.log10(max(ratio, 1e-6)))


def _ms(seconds: Fraction) -> float:
    return round(float(seconds * 1000), 2)
