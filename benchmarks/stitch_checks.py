"""Watches and hears a film that `benchmarks.stitch` had made, from its first frame to its last sample.

Everything is counted in what a decoder gives, edit lists honoured, at the times that the film says: which frames are
there, in which order and when; how far each clip's beep is from its flash, compared with the clip alone; whether the
low tone goes on over each join.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from benchmarks.stitch_corpus import (
    BARCODE_PX,
    BLOCK_PX,
    CHECK_BITS,
    FPS,
    FRAME_BITS,
    TONE_HZ,
    Corpus,
    beep_hz,
    checksum,
)

#: The barcodes' centres, the middle row; and what is looked at to see the flash.
_ROW_PX, _FLASH_ROWS, _WHITE = BARCODE_PX // 2, slice(BARCODE_PX + 24, None, 40), 200
#: So far around a join the tone is listened to: no beep is that near.
_AROUND = Fraction(1, 10)
#: A beep is looked for so far from where it should be. Averaging over 10 ms hears no pitch 100 Hz away.
_BEEP_WITHIN, _BEEP_AVERAGE = Fraction(9, 10), Fraction(1, 100)

Samples = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Seen:
    """One frame as it was decoded."""

    #: Clip and frame by its barcode; None where that cannot be read.
    identity: tuple[int, int] | None
    #: When it is shown, in seconds.
    at: Fraction
    is_flash: bool


@dataclass(frozen=True, slots=True)
class Watched:
    """A film, decoded."""

    frames: list[Seen]
    #: One channel from second 0 on; silence where there is none.
    sound: Samples
    rate_hz: int
    #: How long the file says that its sound is; what is decoded may go on to the end of a packet.
    sound_seconds: Fraction

    def flash_at(self, clip: int) -> Fraction | None:
        """Say when the flash of a clip is seen first."""
        return next(
            (seen.at for seen in self.frames if seen.is_flash and seen.identity and seen.identity[0] == clip), None
        )

    def starts_at(self, clip: int) -> Fraction | None:
        """Say when the first frame of a clip is seen."""
        return next((seen.at for seen in self.frames if seen.identity == (clip, 0)), None)


@dataclass(frozen=True, slots=True)
class Findings:
    """What was counted in one film. Times are in milliseconds."""

    frames_expected: int
    #: There, once, after every frame that belongs before it.
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
    #: Longest time at a join in which the tone is below half of its level, and how deep it falls there.
    dip_ms: float
    dip_db: float
    #: Steepest step between two samples at a join against the tone's own steepest; 0 dB is no click.
    click_db: float

    @property
    def frames_wrong(self) -> int:
        """Everything that is not as it should be, summed."""
        extra = self.frames_repeated + self.frames_misplaced + self.frames_unreadable
        return self.frames_missing + extra + self.frames_uneven

    @property
    def badness(self) -> tuple[float, ...]:
        """Order findings, so that the worst of several runs can be shown."""
        return self.frames_wrong, self.skew_ms if self.skew_ms is not None else 1e9, self.dip_ms


def watch(path: Path) -> Watched:
    """Decode a film: every frame, every sample."""
    with av.open(str(path)) as opened:
        frames = list(_see(opened))
    with av.open(str(path)) as opened:
        stream = opened.streams.audio[0]
        sound = _hear(opened, stream)
        assert stream.duration is not None
        assert stream.time_base is not None
        return Watched(frames, sound, stream.rate, stream.duration * stream.time_base)


def _see(opened: av.container.InputContainer) -> Iterator[Seen]:
    stream = opened.streams.video[0]
    stream.thread_type = "AUTO"
    for frame in opened.decode(stream):
        plane = frame.planes[0]
        luma = np.frombuffer(memoryview(plane), np.uint8).reshape(frame.height, plane.line_size)[:, : frame.width]
        assert frame.pts is not None
        assert frame.time_base is not None
        is_flash = bool(luma[_FLASH_ROWS, ::40].mean() > _WHITE)
        yield Seen(_identity(luma[_ROW_PX, BLOCK_PX // 2 :: BLOCK_PX]), frame.pts * frame.time_base, is_flash)


def _identity(blocks: npt.NDArray[np.uint8]) -> tuple[int, int] | None:
    number = 0
    for block in blocks:
        number = number << 1 | bool(block > 128)
    check, number = number & ((1 << CHECK_BITS) - 1), number >> CHECK_BITS
    return divmod(number, 1 << FRAME_BITS) if check == checksum(number) else None


def _hear(opened: av.container.InputContainer, stream: av.AudioStream) -> Samples:
    pieces: list[tuple[int, Samples]] = []
    for frame in opened.decode(stream):
        assert frame.pts is not None
        assert frame.time_base is not None
        pieces.append((round(frame.pts * frame.time_base * stream.rate), frame.to_ndarray()[0].astype(np.float32)))
    sound = np.zeros(max(start + len(piece) for start, piece in pieces), np.float32)
    for start, piece in pieces:
        sound[max(0, start) : start + len(piece)] = piece[max(0, -start) :]
    return sound


def check(film: Watched, corpus: Corpus, alone: Sequence[Fraction]) -> Findings:
    """Count what is right and wrong.

    Args:
        film: of all clips, in order.
        corpus: the clips.
        alone: `beep_after_flash` of each clip by itself.
    """
    clips = range(len(corpus.paths))
    skews = [beep_after_flash(film, clip) for clip in clips]
    tone = _Tone(film, corpus)
    joins = [at for clip in clips[1:] if (at := film.starts_at(clip)) is not None]
    depths = [tone.dip(at) for at in joins]
    apart = [abs(heard - own) for heard, own in zip(skews, alone, strict=True) if heard is not None]
    begin, end = film.frames[0].at, film.frames[-1].at + Fraction(1, FPS)
    return Findings(
        frames_expected=corpus.frame_count,
        **_count(film.frames, corpus),
        frames_uneven=_uneven(film.frames),
        picture_ms=_ms(end - begin),
        sound_ms=_ms(film.sound_seconds),
        expected_ms=_ms(Fraction(corpus.frame_count, FPS)),
        skew_ms=_ms(max(apart)) if len(apart) == len(skews) else None,
        dip_ms=round(max((length for length, _ in depths), default=0), 1),
        dip_db=round(min((depth for _, depth in depths), default=0), 1),
        click_db=round(max((tone.click(at) for at in joins), default=0), 1),
    )


def _count(frames: list[Seen], corpus: Corpus) -> dict[str, int]:
    places = {
        (clip, frame): clip * corpus.clip_frame_count + frame
        for clip in range(len(corpus.paths))
        for frame in range(corpus.clip_frame_count)
    }
    found = dict.fromkeys(("frames_right", "frames_repeated", "frames_misplaced", "frames_unreadable"), 0)
    seen, last = set(), -1
    for frame in frames:
        place = places.get(frame.identity) if frame.identity else None
        if place is None:
            found["frames_unreadable"] += 1
        elif place in seen:
            found["frames_repeated"] += 1
        elif place < last:
            found["frames_misplaced"] += 1
        else:
            found["frames_right"] += 1
            last = place
        seen |= {place} if place is not None else set()
    return found | {"frames_missing": len(places) - len(seen)}


def _uneven(frames: list[Seen]) -> int:
    interval, tolerance = Fraction(1, FPS), Fraction(1, 1000)
    return sum(abs(b.at - a.at - interval) > tolerance for a, b in pairwise(frames))


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

    def __init__(self, film: Watched, corpus: Corpus) -> None:
        self._film = film
        self._half_period = round(film.rate_hz / TONE_HZ / 2)
        middle = [Fraction(corpus.clip_seconds * (2 * clip + 1), 2) for clip in range(len(corpus.paths))]
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
        part = self._film.sound[start : start + length]
        # Where the film has ended already there is silence.
        return np.pad(part, (0, length - len(part)))

    def _levels(self, part: Samples) -> npt.NDArray[np.float64]:
        levels: npt.NDArray[np.float64] = np.sqrt(
            np.maximum(_average(part.astype(np.float64) ** 2, self._half_period), 0)
        )
        return levels


def _average(values: npt.NDArray[Any], width: int) -> npt.NDArray[Any]:
    summed = np.cumsum(np.concatenate(([0], values)))
    averages: npt.NDArray[Any] = (summed[width:] - summed[:-width]) / width
    return averages


def _decibels(ratio: float) -> float:
    return 20 * float(np.log10(max(ratio, 1e-6)))


def _ms(seconds: Fraction) -> float:
    return round(float(seconds * 1000), 2)
