"""The colours of a card: one hue a scene, a golden-ratio step apart, always dark enough for light type.

Chosen in OKLCH, where equal lightness looks equal in every hue, and given as the Y'CbCr that the clip stores.
Source: B. Ottosson, A perceptual color space for image processing, https://bottosson.github.io/posts/oklab/ ;
ITU-R BT.709-6, item 3, for Y'CbCr.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass

#: Each scene's hue lies this share of the circle further: neighbours always differ well, and no hue soon returns.
_GOLDEN_STEP = 0.6180339887


@dataclass(frozen=True, slots=True)
class Colour:
    """A colour as video stores it, 8 bit, limited range (16 to 235, 16 to 240)."""

    y: float
    cb: float
    cr: float


@dataclass(frozen=True, slots=True)
class Palette:
    """The colours of one card."""

    #: The two tones of the ground.
    upper: Colour
    lower: Colour
    #: What the drifting light tends to.
    glow: Colour
    #: The scene's number and the progress line.
    accent: Colour
    #: The prompt.
    text: Colour


def palette(scene_number: int, title: str) -> Palette:
    """Give the colours of a scene; films of different titles start at different hues."""
    start = zlib.crc32(title.encode("utf-8", "replace")) / 2**32
    hue = (start + scene_number * _GOLDEN_STEP) % 1.0
    return Palette(
        upper=oklch(0.36, 0.095, hue),
        lower=oklch(0.19, 0.060, hue + 0.13),
        glow=oklch(0.47, 0.115, hue + 0.07),
        accent=oklch(0.86, 0.085, hue + 0.03),
        text=oklch(0.975, 0.006, hue),
    )


def oklch(lightness: float, chroma: float, hue: float) -> Colour:
    """Give the Y'CbCr of a colour.

    Args:
        lightness: 0 (black) to 1 (white).
        chroma: 0 (grey) to about 0.3.
        hue: share of the circle; whole turns do not matter.
    """
    a = chroma * math.cos(2 * math.pi * hue)
    b = chroma * math.sin(2 * math.pi * hue)
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    red = _gamma(4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short)
    green = _gamma(-1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short)
    blue = _gamma(-0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short)
    luma = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return Colour(16 + 219 * luma, 128 + 224 * (blue - luma) / 1.8556, 128 + 224 * (red - luma) / 1.5748)


def _gamma(linear: float) -> float:
    clipped = min(1.0, max(0.0, linear))
    return 12.92 * clipped if clipped <= 0.0031308 else 1.055 * clipped ** (1 / 2.4) - 0.055
