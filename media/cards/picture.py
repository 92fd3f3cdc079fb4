"""The picture of a card, frame by frame: a still ground, two sheets of drifting light, type, a progress line.

Everything is prepared once as planes of 8-bit Y'CbCr 4:2:0, as the encoder wants them; a frame then costs a few
additions. Levels stay far from the ends of the scale, so that sums need no clipping.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from media.cards.colour import Colour, Palette
from media.cards.layout import Box, Layout
from media.cards.stamp import stamps

#: How far each sheet of light wanders, as a share of the short side, and how long one turn takes, in seconds. The
#: periods share no small multiple, so that the picture does not seem to loop.
_WANDER = (0.16, 0.10)
_TURN_SECONDS = (19.0, 29.0)
_GLOW_STRENGTHS = (0.85, 0.6)
#: What a soft disc adds to luma, in 8-bit steps.
_DISC_LUMA = (6.0, 4.5, 7.0)
#: Rows prepared at a time: intermediate floats of a whole 4k plane would cost more than the encoder.
_STRIP_ROWS = 128
_DITHER_SIDE = 128


@dataclass(frozen=True, slots=True)
class Planes:
    """Y'CbCr 4:2:0: luma (height, width) and two chroma planes of half its size, uint8."""

    y: Any
    cb: Any
    cr: Any


@dataclass(frozen=True, slots=True)
class _Spot:
    """A light: centre and radius as shares of the short side from the picture's middle; how strong; soft or disc."""

    x: float
    y: float
    radius: float
    strength: float
    disc: bool


@dataclass(frozen=True, slots=True)
class _Sheet:
    """Light to be added to the ground, larger than the picture by `room` on both axes so that it can move."""

    planes: Planes
    room: int
    turn_seconds: float
    phase: float

    def offset(self, seconds: float) -> tuple[int, int]:
        """Give the row and the column of the sheet that lie in the picture's corner; both even."""
        angle = 2 * math.pi * seconds / self.turn_seconds + self.phase
        across, down = (1 + math.sin(angle)) / 2, (1 + math.cos(angle * 0.8)) / 2
        return round(self.room * down * 0.5) * 2 // 2, round(self.room * across * 0.5) * 2


class Picture:
    """Paints the frames of one card.

    Args:
        palette: its colours.
        layout: its parts.
        seed: places the lights.
        width_px: even.
        height_px: even.
        entrance_frames: how long the type takes to enter.
    """

    def __init__(
        self, palette: Palette, layout: Layout, *, seed: int, width_px: int, height_px: int, entrance_frames: float
    ) -> None:
        chance = np.random.default_rng(seed & 0xFFFFFFFFFFFFFFFF)
        self._size = (height_px, width_px)
        dither = _dither(chance)
        self._ground = _ground(palette, self._size, chance, dither)
        self._sheets = [
            _sheet(palette, self._size, index, spots, chance, dither)
            for index, spots in enumerate((_glows(chance, self._size), _discs(chance, self._size)))
        ]
        self._stamps = stamps(layout.inks, palette, width_px=width_px, height_px=height_px)
        self._entrance_frames = max(1.0, entrance_frames)
        self._progress = layout.progress
        self._palette = palette

    def paint(self, planes: Planes, *, frame_index: int, frame_count: int, seconds: float) -> None:
        """Paint one frame.

        Args:
            planes: painted over.
            frame_index: from 0.
            frame_count: of the clip.
            seconds: the frame's place in time, for the drift.
        """
        self._light(planes, seconds)
        entered = frame_index / self._entrance_frames
        for stamp in self._stamps:
            stamp.press(planes.y, planes.cb, planes.cr, entered=entered)
        self._draw_progress(planes, (frame_index + 1) / frame_count)

    def _light(self, planes: Planes, seconds: float) -> None:
        first, second = self._sheets
        rows, columns = self._size
        (row_1, column_1), (row_2, column_2) = first.offset(seconds), second.offset(seconds)
        for target, ground, one, two, half in (
            (planes.y, self._ground.y, first.planes.y, second.planes.y, 1),
            (planes.cb, self._ground.cb, first.planes.cb, second.planes.cb, 2),
            (planes.cr, self._ground.cr, first.planes.cr, second.planes.cr, 2),
        ):
            h, w = rows // half, columns // half
            r, c = row_1 // half, column_1 // half
            np.add(ground, one[r : r + h, c : c + w], out=target)
            r, c = row_2 // half, column_2 // half
            np.add(target, two[r : r + h, c : c + w], out=target)

    def _draw_progress(self, planes: Planes, share: float) -> None:
        box, ink = self._progress, self._palette.accent
        track = planes.y[box.top : box.bottom, box.left : box.right]
        track += ((round(self._palette.text.y) - track.astype(np.uint16)) * 56 >> 8).astype(np.uint8)
        filled = box.width * share
        whole = int(filled)
        track[:, :whole] = round(ink.y)
        if whole < box.width:
            edge = track[:, whole : whole + 1]
            edge += ((round(ink.y) - edge) * (filled - whole)).astype(np.uint8)
        half = Box(box.left // 2, box.top // 2, whole // 2, max(1, box.height // 2))
        planes.cb[half.top : half.bottom, half.left : half.right] = round(ink.cb)
        planes.cr[half.top : half.bottom, half.left : half.right] = round(ink.cr)


def _dither(chance: np.random.Generator) -> Any:
    """Give a tile of noise, two uniform halves summed, that keeps slow gradients from showing steps."""
    side = (_DITHER_SIDE, _DITHER_SIDE)
    return (chance.random(side, dtype=np.float32) + chance.random(side, dtype=np.float32) - 1.0) * 0.5


def _glows(chance: np.random.Generator, size: tuple[int, int]) -> list[_Spot]:
    """Place two wide lights in opposite halves of the picture."""
    wide, high = size[1] / min(size) / 2, size[0] / min(size) / 2
    side = 1 if chance.random() < 0.5 else -1
    x, y = chance.uniform(0.35, 0.8, 2), chance.uniform(0.2, 0.8, 2)
    return [
        _Spot(side * x[0] * wide, -y[0] * high, 0.62, _GLOW_STRENGTHS[0], disc=False),
        _Spot(-side * x[1] * wide, y[1] * high, 0.5, _GLOW_STRENGTHS[1], disc=False),
    ]


def _discs(chance: np.random.Generator, size: tuple[int, int]) -> list[_Spot]:
    """Place three large discs, out of focus, each near another edge of the picture."""
    wide, high = size[1] / min(size) / 2, size[0] / min(size) / 2
    start = chance.uniform(0, 2 * math.pi)
    spots = []
    for index, luma in enumerate(_DISC_LUMA):
        angle = start + index * 2.4 + chance.uniform(-0.3, 0.3)
        radius = float(chance.uniform(0.26, 0.62))
        spots.append(_Spot(math.cos(angle) * wide * 0.95, math.sin(angle) * high * 0.95, radius, luma, disc=True))
    return spots


def _ground(palette: Palette, size: tuple[int, int], chance: np.random.Generator, dither: Any) -> Planes:
    """Paint the slope from one tone to the other, a little darker towards the corners."""
    angle = chance.uniform(0.6, 1.0) * (1 if chance.random() < 0.5 else -1)

    def plane(half: int, upper: float, lower: float, black: float) -> Any:
        rows, columns = size[0] // half, size[1] // half
        x = (np.arange(columns, dtype=np.float32) + 0.5) / columns - 0.5
        y = (np.arange(rows, dtype=np.float32) + 0.5) / rows - 0.5

        def strip(first: int, last: int) -> Any:
            down = y[first:last, None]
            slope = np.clip(0.5 + down * math.cos(angle) + x * math.sin(angle), 0.0, 1.0)
            value = upper + (lower - upper) * (slope * slope * (3 - 2 * slope))
            return black + (value - black) * (1 - 0.35 * (x * x + down * down))

        return _quantised(strip, rows, columns, dither)

    upper, lower = palette.upper, palette.lower
    return Planes(plane(1, upper.y, lower.y, 16), plane(2, upper.cb, lower.cb, 128), plane(2, upper.cr, lower.cr, 128))


def _sheet(
    palette: Palette,
    size: tuple[int, int],
    index: int,
    spots: Sequence[_Spot],
    chance: np.random.Generator,
    dither: Any,
) -> _Sheet:
    short = min(size)
    room = round(short * _WANDER[index]) // 2 * 2
    rows, columns = size[0] + room, size[1] + room
    middle = _between(palette.upper, palette.lower)
    reach = Colour(palette.glow.y - middle.y, palette.glow.cb - middle.cb, palette.glow.cr - middle.cr)

    def plane(half: int, gain: float) -> Any:
        x = ((np.arange(columns // half, dtype=np.float32) + 0.5) * half - columns / 2) / short
        y = ((np.arange(rows // half, dtype=np.float32) + 0.5) * half - rows / 2) / short

        def strip(first: int, last: int) -> Any:
            return sum(_spot_light(spot, x, y[first:last, None], short) * (spot.strength * gain) for spot in spots)

        return _quantised(strip, rows // half, columns // half, dither)

    glowing = index == 0
    # A disc's strength is in steps of luma; its colour moves as far as its light would take the glow's.
    gains = (reach.y, reach.cb, reach.cr) if glowing else (1.0, reach.cb / 60, reach.cr / 60)
    planes = Planes(plane(1, gains[0]), plane(2, gains[1]), plane(2, gains[2]))
    return _Sheet(planes, room, _TURN_SECONDS[index], float(chance.uniform(0, 2 * math.pi)))


def _spot_light(spot: _Spot, x: Any, y: Any, short: int) -> Any:
    """Give a spot's light, 0 to 1, over columns x and rows y."""
    if not spot.disc:
        across = np.exp(-(((x - spot.x) / spot.radius) ** 2))
        return across * np.exp(-(((y - spot.y) / spot.radius) ** 2))
    distance = np.sqrt((x - spot.x) ** 2 + (y - spot.y) ** 2)
    softness = max(0.03, 4 / short)
    edge = np.clip((spot.radius - distance) / softness + 0.5, 0.0, 1.0)
    return edge * edge * (3 - 2 * edge)


def _quantised(strip: Any, rows: int, columns: int, dither: Any) -> Any:
    """Give the rows that `strip(first, last)` computes as uint8, dithered; a negative value wraps, as a sum undoes."""
    plane = np.empty((rows, columns), dtype=np.uint8)
    noise = np.tile(dither, (1, -(-columns // _DITHER_SIDE)))[:, :columns]
    for first in range(0, rows, _STRIP_ROWS):
        last = min(rows, first + _STRIP_ROWS)
        plane[first:last] = np.rint(strip(first, last) + noise[: last - first]).astype(np.int16).astype(np.uint8)
    return plane


def _between(one: Colour, other: Colour) -> Colour:
    return Colour((one.y + other.y) / 2, (one.cb + other.cb) / 2, (one.cr + other.cr) / 2)
