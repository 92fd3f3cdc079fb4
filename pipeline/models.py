"""What each video model can make and what it bills. A model is configuration; this table is what is known of it.

Source: Google's model pages and price lists as collected on 2026-11-22; `PRICED_ON` says when they were looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from events.requests import AspectRatio, Resolution

#: When the prices below were looked at.
PRICED_ON = "2026-11-22"

_HD, _FULL_HD, _UHD = Resolution.HD, Resolution.FULL_HD, Resolution.UHD
_RATIOS = frozenset({AspectRatio.LANDSCAPE, AspectRatio.PORTRAIT})


@dataclass(frozen=True, slots=True)
class VideoModel:
    """What is known of a model, or of every model whose name begins alike."""

    #: Name of the generator that speaks to it.
    generator: str
    #: Lengths that can be asked for, in milliseconds, ascending.
    durations_ms: tuple[int, ...]
    #: Price of a second of output, in millionths of a US dollar; a resolution that is missing cannot be made.
    second_micro_usd: Mapping[Resolution, int]
    aspect_ratios: frozenset[AspectRatio] = _RATIOS

    def asked_duration_ms(self, wanted_ms: int) -> int | None:
        """Give the shortest length that is enough; None when nothing is."""
        return next((each for each in self.durations_ms if each >= wanted_ms), None)


_VEO_DURATIONS_MS = (4000, 6000, 8000)

#: Beginning of a model's name → what is known; the longest beginning that fits is meant.
MODELS: dict[str, VideoModel] = {
    # A Veo that is not known yet is taken for the dearest that is.
    "veo-": VideoModel("veo", _VEO_DURATIONS_MS, {_HD: 400_000, _FULL_HD: 400_000, _UHD: 600_000}),
    "veo-3.1-fast-": VideoModel("veo", _VEO_DURATIONS_MS, {_HD: 100_000, _FULL_HD: 120_000, _UHD: 300_000}),
    "veo-3.1-lite-": VideoModel("veo", _VEO_DURATIONS_MS, {_HD: 50_000, _FULL_HD: 80_000}),
    # 5,792 output tokens a second at 17.50 USD a million; no other resolution has a public price, so all bill alike.
    "gemini-omni-": VideoModel(
        "omni", tuple(range(3000, 15_001, 1000)), {_HD: 101_360, _FULL_HD: 101_360, _UHD: 101_360}
    ),
    "gemini-omni-1.1-": VideoModel(
        "omni", tuple(range(3000, 10_001, 1000)), {_HD: 101_360, _FULL_HD: 101_360, _UHD: 101_360}
    ),
}


def model_of(name: str) -> VideoModel | None:
    """Give what is known of a model; None for one of no known family.

    >>> model_of("veo-3.1-fast-generate-001").durations_ms
    (4000, 6000, 8000)
    """
    beginnings = [each for each in MODELS if name.startswith(each)]
    return MODELS[max(beginnings, key=len)] if beginnings else None


def clip_micro_usd(model: VideoModel, resolution: Resolution, asked_ms: int) -> int:
    """Give what a clip of `asked_ms` costs, in millionths of a US dollar."""
    return model.second_micro_usd[resolution] * asked_ms // 1000
