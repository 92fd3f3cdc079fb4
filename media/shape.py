"""The film's size, shape and frame rate when no clip prescribes them: arithmetic on what was probed.

A size is `(width_px, height_px)` as shown. Every choice weighs clips by how long they are seen.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from fractions import Fraction
from typing import TypeVar

from events.clip import ClipFacts
from events.plan import Orientation

Choice = TypeVar("Choice", bound=Hashable)

#: What screens and editors expect; a clip of another rate is brought to one of these.
STANDARD_FRAME_RATES = (
    Fraction(24000, 1001),
    Fraction(24),
    Fraction(25),
    Fraction(30000, 1001),
    Fraction(30),
    Fraction(50),
    Fraction(60000, 1001),
    Fraction(60),
)

#: Longest side of a film: 4K UHD, the largest picture that H.264 level 5.1 hardware decoders take.
LONG_SIDE_MAX_PX = 3840

#: Shape of a film whose orientation none of its clips has.
_WIDE = Fraction(16, 9)

#: Rate of a film none of whose clips tells its rate.
_USUAL_FRAME_RATE = Fraction(30)


def orientation_of(width_px: int, height_px: int) -> Orientation:
    """Tell how a picture lies.

    >>> orientation_of(720, 1280)
    <Orientation.PORTRAIT: 'portrait'>
    """
    if width_px == height_px:
        return Orientation.SQUARE
    return Orientation.LANDSCAPE if width_px > height_px else Orientation.PORTRAIT


def lies_as(facts: ClipFacts, orientation: Orientation) -> bool:
    """Tell whether a clip lies as the film does."""
    return orientation_of(facts.width_px, facts.height_px) is orientation


def film_orientation(clips: Sequence[ClipFacts], wanted: Orientation) -> Orientation:
    """Give the film's orientation: the wanted one, or for `source` the one seen for longest."""
    if wanted is not Orientation.SOURCE:
        return wanted
    return heaviest(clips, lambda clip: orientation_of(clip.width_px, clip.height_px))


def film_size(clips: Sequence[ClipFacts], orientation: Orientation) -> tuple[int, int]:
    """Give the film's even width and height.

    The size seen for longest among clips of that orientation. Where there is no such clip, 16:9 (or a square)
    whose short side is that of the largest clip, so that nothing is blown up beyond it.
    """
    fitting = [clip for clip in clips if lies_as(clip, orientation)]
    if fitting:
        return _within_limits(*heaviest(fitting, lambda clip: (clip.width_px, clip.height_px)))
    short = max(min(clip.width_px, clip.height_px) for clip in clips)
    long = short if orientation is Orientation.SQUARE else int(short * _WIDE)
    return _within_limits(*((short, long) if orientation is Orientation.PORTRAIT else (long, short)))


def _within_limits(width_px: int, height_px: int) -> tuple[int, int]:
    over = max(Fraction(max(width_px, height_px), LONG_SIDE_MAX_PX), Fraction(1))
    return _even(int(width_px / over)), _even(int(height_px / over))


def _even(side_px: int) -> int:
    # 4:2:0 stores colour for blocks of 2 x 2, so that a side must be even.
    return max(2, side_px - side_px % 2)


def film_frame_rate(clips: Sequence[ClipFacts]) -> Fraction:
    """Give the standard rate that most of the film's time has; clips that vary count only where all do."""
    constant = [clip for clip in clips if clip.frame_rate is not None]
    if constant:
        return heaviest(constant, lambda clip: standard_frame_rate(Fraction(clip.frame_rate or 0)))
    counted = [clip for clip in clips if clip.frame_count and clip.duration_ms]
    if not counted:
        return _USUAL_FRAME_RATE
    return heaviest(counted, lambda clip: standard_frame_rate(_mean_frame_rate(clip)))


def _mean_frame_rate(clip: ClipFacts) -> Fraction:
    return Fraction((clip.frame_count or 0) * 1000, clip.duration_ms)


def standard_frame_rate(rate: Fraction) -> Fraction:
    """Give the standard rate that shows a rate best: itself, a multiple or part within 1 %, else the nearest.

    >>> standard_frame_rate(Fraction(15)), standard_frame_rate(Fraction(100))
    (Fraction(30, 1), Fraction(50, 1))
    >>> standard_frame_rate(Fraction(2997, 100))
    Fraction(30000, 1001)
    """
    if rate <= 0:
        return _USUAL_FRAME_RATE
    # Each frame shown once, else each shown two, three, … times, else every second, third, … left out.
    for times in _EVEN_PACES:
        nearest = _nearest_standard(rate * times)
        if abs(nearest - rate * times) <= nearest / 100:
            return nearest
    return _nearest_standard(rate)


#: How often a frame may be shown so that motion stays even; the gentlest first.
_EVEN_PACES = (
    *(Fraction(times) for times in (1, 2, 3, 4, 5, 6)),
    *(Fraction(1, part) for part in range(2, 17)),
)


def _nearest_standard(rate: Fraction) -> Fraction:
    return min(STANDARD_FRAME_RATES, key=lambda standard: abs(standard - rate))


def frames_shown(facts: ClipFacts, frame_rate: Fraction) -> int:
    """Give how many frames a clip has at a film's rate; at least 1."""
    if facts.frame_count and facts.frame_rate is not None and Fraction(facts.frame_rate) == frame_rate:
        return facts.frame_count
    return max(1, round(Fraction(facts.duration_ms, 1000) * frame_rate))


def heaviest(clips: Iterable[ClipFacts], key: Callable[[ClipFacts], Choice]) -> Choice:
    """Give the key that the most time is seen of; of equals the one that comes first. At least one clip."""
    seen_ms: dict[Choice, int] = {}
    for clip in clips:
        seen_ms[key(clip)] = seen_ms.get(key(clip), 0) + clip.duration_ms
    return max(seen_ms, key=seen_ms.__getitem__)
