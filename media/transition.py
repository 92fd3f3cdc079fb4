"""Which frames of a film with fades are copied and which are rendered: pure, decided from the clips' indexes.

Only what lies around a join is rendered, in a *window*: from the last place before the fade where copying the one clip
can stop, to the first place behind it where copying the other can start. Everything else is copied, in one *stretch* a
clip. Of a clip where copying cannot start between its two fades nothing is copied; its windows meet in its middle, so
that no window holds more than two clips, however many clips are short.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

from events.plan import Transition


class CutPoints(Protocol):
    """Where a clip can be taken apart; see `media.clean_cuts.CleanCuts`."""

    def cut_before(self, frame: int) -> int:
        """Give the last place at or before a frame where copying can stop."""
        ...

    def start_behind(self, frame: int) -> int:
        """Give the first place at or behind a frame where copying can start; the clip's end where there is none."""
        ...


@dataclass(frozen=True, slots=True)
class Fade:
    """What happens at each join, in frames."""

    transition: Transition
    #: How many frames of the one clip fade out, and how many of the next fade in.
    out_frames: int
    in_frames: int

    @property
    def overlap_frames(self) -> int:
        """How many frames of both are seen at once."""
        return self.out_frames if self.transition is Transition.CROSSFADE else 0


@dataclass(frozen=True, slots=True)
class Stretch:
    """Frames of one clip that are copied."""

    clip: int
    #: 0-based, in the clip.
    first_frame: int
    frame_count: int
    #: The film's frame that its first one is.
    film_frame: int


@dataclass(frozen=True, slots=True)
class Span:
    """Frames of one clip that are rendered: from the first to before the end."""

    clip: int
    first_frame: int
    end_frame: int

    @property
    def frame_count(self) -> int:
        """How many there are."""
        return self.end_frame - self.first_frame


@dataclass(frozen=True, slots=True)
class Window:
    """Frames around one join that are rendered."""

    #: The clip that ends, then the one that begins.
    out: Span
    into: Span
    frame_count: int
    film_frame: int


Part = Stretch | Window


def fade_frames(duration_ms: int, frame_rate: Fraction) -> int:
    """Give how many frames a fade takes, 2 or more.

    >>> fade_frames(500, Fraction(24000, 1001))
    12
    """
    return max(2, round(Fraction(duration_ms, 1000) * frame_rate))


def fade_of(transition: Transition, frame_count: int) -> Fade:
    """Give a fade, no cut, of so many frames, 2 or more."""
    if transition is Transition.CROSSFADE:
        return Fade(transition, frame_count, frame_count)
    return Fade(transition, frame_count // 2, frame_count - frame_count // 2)


def film_starts(shown: Sequence[int], fade: Fade) -> list[int]:
    """Give the film's frame with which each clip begins, and behind the last the film's number of frames.

    >>> film_starts([48, 48, 24], fade_of(Transition.CROSSFADE, 12))
    [0, 36, 72, 96]
    """
    starts = [0]
    for count in shown:
        starts.append(starts[-1] + count - fade.overlap_frames)
    starts[-1] += fade.overlap_frames
    return starts


def lay_parts(clips: Sequence[CutPoints], shown: Sequence[int], fade: Fade, room_frames: int = 1) -> list[Part]:
    """Take a film apart into what is copied and what is rendered, in the film's order.

    Args:
        clips: where each can be taken apart; 2 or more.
        shown: how many frames of each are shown, from its start: fades in and out fit into them, and at the end of
            the last one copying can stop.
        fade: what happens at each join.
        room_frames: no stretch and no window is shorter where that can be had: what their sound needs to be joined.
    """
    starts, last = film_starts(shown, fade), len(clips) - 1
    parts: list[Part] = []
    out: Span | None = None
    for index, (points, count) in enumerate(zip(clips, shown, strict=True)):
        copied = _copied(points, count, fade, room_frames, is_first=index == 0, is_last=index == last)
        if copied is None:
            middle = _middle(count, fade, is_first=index == 0, is_last=index == last)
            copied = range(middle, middle)
        if out is not None:
            parts.append(_window(out, Span(index, 0, copied.start), fade, starts))
        if copied:
            parts.append(Stretch(index, copied.start, len(copied), starts[index] + copied.start))
        out = Span(index, copied.stop, count)
    return parts


def _copied(
    points: CutPoints, count: int, fade: Fade, room_frames: int, *, is_first: bool, is_last: bool
) -> range | None:
    """Give the frames of a clip that are copied; None where there are none."""
    first = 0 if is_first else points.start_behind(fade.in_frames)
    end = count if is_last else points.cut_before(max(0, count - max(fade.out_frames, room_frames)))
    return range(first, end) if end - first >= max(1, room_frames) else None


def _middle(count: int, fade: Fade, *, is_first: bool, is_last: bool) -> int:
    """Give where the windows of a clip meet of which nothing is copied: between its fades, or at its far end."""
    if is_first:
        return 0
    return count if is_last else (fade.in_frames + count - fade.out_frames) // 2


def _window(out: Span, into: Span, fade: Fade, starts: Sequence[int]) -> Window:
    count = out.frame_count + into.frame_count - fade.overlap_frames
    return Window(out, into, count, starts[out.clip] + out.first_frame)
