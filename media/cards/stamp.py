"""Type pressed onto a frame: coverage prepared once, blended into each frame's planes, rising as it enters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from media.cards.colour import Colour, Palette
from media.cards.layout import Box, Ink

#: How far below its place entering type starts, as a share of the short side.
_RISE = 0.022
#: What part of the entrance one ink takes; the rest is for inks that start later.
_ENTRANCE_SHARE = 0.75
#: Blending weights run from 0 to this.
_FULL = 256


def stamps(inks: Sequence[Ink], palette: Palette, *, width_px: int, height_px: int) -> list[Stamp]:
    """Give one stamp for all inks that look and enter alike and bear one name."""
    groups: dict[tuple[str, float, bool, float | None], list[Ink]] = {}
    for ink in inks:
        groups.setdefault((ink.name, ink.strength, ink.accent, ink.enters_at), []).append(ink)
    size = (height_px, width_px)
    return [Stamp(group, palette.accent if group[0].accent else palette.text, size) for group in groups.values()]


class Stamp:
    """Inks that are blended in one go.

    Args:
        inks: alike in all but place; what lies outside the picture is not shown.
        colour: of all of them.
        size: rows and columns of the picture.
    """

    def __init__(self, inks: Sequence[Ink], colour: Colour, size: tuple[int, int]) -> None:
        self._enters_at = inks[0].enters_at
        self._rise = _RISE * min(size)
        self._colour = (round(colour.y), round(colour.cb), round(colour.cr))
        room_below = 0 if self._enters_at is None else math.ceil(self._rise) + 1
        self._box = _around([ink.box for ink in inks], size, room_below)
        coverage = np.zeros((self._box.height, self._box.width), dtype=np.uint8)
        for ink in inks:
            _lay(coverage, ink, self._box)
        luma = (coverage.astype(np.uint16) * round(inks[0].strength * 257)) >> 8
        chroma = (luma[::2, ::2] + luma[1::2, ::2] + luma[::2, 1::2] + luma[1::2, 1::2] + 2) >> 2
        self._weights = (luma, chroma, chroma)
        self._settled = [_blend_terms(weight, level) for weight, level in zip(self._weights, self._colour, strict=True)]

    def press(self, y: Any, cb: Any, cr: Any, *, entered: float) -> None:
        """Blend into a frame.

        Args:
            y: luma, changed in place.
            cb: chroma, changed in place.
            cr: chroma, changed in place.
            entered: how much of the entrance is over; 1 or more: all of it.
        """
        progress = 1.0 if self._enters_at is None else (entered - self._enters_at) / _ENTRANCE_SHARE
        if progress <= 0:
            return
        box = self._box
        for plane, half, index in ((y, 1, 0), (cb, 2, 1), (cr, 2, 2)):
            top, left = box.top // half, box.left // half
            rows, columns = self._weights[index].shape
            if progress >= 1:
                keep, add = self._settled[index]
            else:
                keep, add = self._entering(index, progress, half)
            target = plane[top : top + rows, left : left + columns]
            target[:] = (target * keep + add) >> 8

    def _entering(self, index: int, progress: float, half: int) -> tuple[Any, Any]:
        shift = self._rise * (1 - progress) ** 3 / half
        strength = progress * progress * (3 - 2 * progress)
        weight = _shifted_down(self._weights[index], shift, strength)
        return _blend_terms(weight, self._colour[index])


def _blend_terms(weight: Any, level: int) -> tuple[Any, Any]:
    """Give what a plane is multiplied by and what is added, in 256ths; their sum stays within 16 bits."""
    return (_FULL - weight).astype(np.uint16), (weight * level + _FULL // 2 - 1).astype(np.uint16)


def _shifted_down(weight: Any, rows: float, strength: float) -> Any:
    """Give the weights moved down by a fraction of rows, so that slow movement has no steps, and weakened."""
    whole = int(rows)
    fraction = rows - whole
    near = round(_FULL * strength * (1 - fraction))
    far = round(_FULL * strength * fraction)
    moved = np.zeros_like(weight)
    height = weight.shape[0]
    for first, share in ((whole, near), (whole + 1, far)):
        if first < height:
            moved[first:] += (weight[: height - first] * share) >> 8
    return moved


def _around(boxes: Sequence[Box], size: tuple[int, int], room_below: int) -> Box:
    """Give the box around all and the room below them, on even pixels as chroma needs, within the picture."""
    left = max(0, min(box.left for box in boxes)) // 2 * 2
    top = max(0, min(box.top for box in boxes)) // 2 * 2
    right = max(left, min(size[1], -(-max(box.right for box in boxes) // 2) * 2))
    bottom = max(top, min(size[0], -(-(max(box.bottom for box in boxes) + room_below) // 2) * 2))
    return Box(left, top, right - left, bottom - top)


def _lay(coverage: Any, ink: Ink, around: Box) -> None:
    """Lay one ink into the coverage of the box around it; where two meet, the stronger stays."""
    top, left = max(ink.box.top, around.top), max(ink.box.left, around.left)
    bottom, right = min(ink.box.bottom, around.bottom), min(ink.box.right, around.right)
    if top >= bottom or left >= right:
        return
    target = coverage[top - around.top : bottom - around.top, left - around.left : right - around.left]
    if ink.coverage is None:
        target[:] = 255
        return
    part = ink.coverage[top - ink.box.top : bottom - ink.box.top, left - ink.box.left : right - ink.box.left]
    np.maximum(target, part, out=target)
