"""Compares the pictures around a join, as thumbnails, which noise does not trouble. Nothing here decodes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from operator import sub
from statistics import median
from typing import NamedTuple

from media.seam_report import COLOUR_JUMP_MAX, SeamLook

#: Of a thumbnail.
WIDTH_PX, HEIGHT_PX = 64, 36
#: A pixel is black below 10 % of its range; a frame is, if 98 % of its pixels are. As FFmpeg's `blackdetect`.
_BLACK_LUMA, _BLACK_SHARE = 16 + 219 // 10, 0.98
_TO_BLACK = bytes(luma <= _BLACK_LUMA for luma in range(256))
#: Two frames are the same if their luma differs by no more than 0.1 % of its range. As FFmpeg's `freezedetect`.
_STILL = 0.255
#: A frame repeats another if its drawing differs by no more than this share of what one frame usually differs from the
#: next. A model that draws a given first frame again hits it nearly, not exactly.
_REPEATED_SHARE = 1 / 3
#: Luma may differ so much, once its mean is made equal, between two pictures of one scene: less than two shots of
#: most scenes, more than the noise of two encodes.
_ONE_SCENE = 10.0


class Thumbnail(NamedTuple):
    """A small picture."""

    luma: bytes
    #: Mean of Y, U and V.
    means: tuple[float, float, float]


class _Change(NamedTuple):
    """How a picture differs from another."""

    #: Mean difference of luma, and what is left of it once both have the same mean: a still that went through RGB is a
    #: level off.
    luma: float
    drawing: float
    #: The largest difference of a mean of Y, U and V.
    colour: float


def thumbnail(planes: Sequence[bytes], line_bytes: int) -> Thumbnail:
    """Make one of three planes of full size, of which each line has so many bytes."""
    cut = [b"".join(plane[i * line_bytes : i * line_bytes + WIDTH_PX] for i in range(HEIGHT_PX)) for plane in planes]
    y, u, v = (sum(plane) / len(plane) for plane in cut)
    return Thumbnail(cut[0], (y, u, v))


def compared(before: Sequence[Thumbnail], after: Sequence[Thumbnail]) -> SeamLook:
    """Say what is seen around a join; its sound is not known here.

    Args:
        before: at least one picture, in the order in which they are shown.
        after: the same.
    """
    changes_before, changes_after = _changes(before), _changes(after)
    cut = _change(before[-1], after[0])
    moved = [change.drawing for change in (*changes_before, *changes_after)]
    return SeamLook(
        frames_before=len(before),
        frames_after=len(after),
        black_before=_run(map(_is_black, reversed(before))),
        black_after=_run(map(_is_black, after)),
        still_before=_still(reversed(changes_before)),
        still_after=_still(changes_after),
        # Black is black, and told as such.
        repeated=0 if _is_black(before[-1]) else _repeated(before[-1], after, median(moved) if moved else 0.0),
        colour_jump=round(cut.colour),
        is_one_scene=cut.drawing <= _ONE_SCENE,
    )


def _changes(pictures: Sequence[Thumbnail]) -> list[_Change]:
    return [_change(one, other) for one, other in pairwise(pictures)]


def _change(one: Thumbnail, other: Thumbnail) -> _Change:
    # Counted first: most of the many differences are equal to one another.
    counts = Counter(map(sub, other.luma, one.luma))
    shift = other.means[0] - one.means[0]
    luma = sum(count * abs(step) for step, count in counts.items())
    drawing = sum(count * abs(step - shift) for step, count in counts.items())
    colour = max(abs(b - a) for a, b in zip(one.means, other.means, strict=True))
    return _Change(luma / len(one.luma), drawing / len(one.luma), colour)


def _is_black(picture: Thumbnail) -> bool:
    return picture.luma.translate(_TO_BLACK).count(1) >= _BLACK_SHARE * len(picture.luma)


def _run(each: Iterable[bool]) -> int:
    """Count how many are true in a row from the start."""
    count = 0
    for one in each:
        if not one:
            break
        count += 1
    return count


def _still(changes: Iterable[_Change]) -> int:
    run = _run(change.luma <= _STILL for change in changes)
    # A frame that equals its neighbour makes two that stand still.
    return run + 1 if run else 0


def _repeated(last: Thumbnail, after: Sequence[Thumbnail], motion: float) -> int:
    """Count the first frames that show what the last one before them showed; none where the picture stands still."""
    if motion <= _STILL:
        return 0
    most = max(_STILL, _REPEATED_SHARE * motion)
    changes = (_change(last, picture) for picture in after)
    return _run(change.colour <= COLOUR_JUMP_MAX and change.drawing <= most for change in changes)
