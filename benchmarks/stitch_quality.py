"""Compares pictures of a film with those of the clips: how much of them encoding has cost.

A picture is compared with the very one that its barcode names, brought to the film's size by FFmpeg's usual (bicubic)
scaling; only brightness counts, as it does for most who publish such figures.
Source of SSIM: Wang et al., Image quality assessment, 2004; blocks of 8 x 8 here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from statistics import fmean

import av
import numpy as np
import numpy.typing as npt
from av.video.reformatter import Interpolation

from benchmarks.stitch_corpus import Corpus
from benchmarks.stitch_watch import Identity, Luma, luma_of

_BLOCK_PX = 8
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2


@dataclass(frozen=True, slots=True)
class Quality:
    """How like the clips a film is: the mean over the pictures that were compared."""

    psnr_db: float
    ssim: float
    picture_count: int


def quality_of(kept: Mapping[Identity, Luma], corpus: Corpus) -> Quality | None:
    """Compare pictures of a film with those of its clips; None where there are none."""
    found = [(psnr(ours, theirs), ssim(ours, theirs)) for ours, theirs in _pairs(kept, corpus)]
    if not found:
        return None
    psnrs, ssims = zip(*found, strict=True)
    return Quality(round(fmean(psnrs), 2), round(fmean(ssims), 4), len(found))


def _pairs(kept: Mapping[Identity, Luma], corpus: Corpus) -> Iterator[tuple[Luma, Luma]]:
    for clip, path in enumerate(corpus.paths):
        wanted = {frame for number, frame in kept if number == clip}
        if not wanted:
            continue
        with av.open(str(path)) as opened:
            opened.streams.video[0].thread_type = "AUTO"
            for number, frame in enumerate(opened.decode(video=0)):
                if number in wanted:
                    film = kept[clip, number]
                    height, width = film.shape
                    scaled = frame.reformat(width, height, interpolation=Interpolation.BICUBIC)
                    yield film, luma_of(scaled)


def psnr(one: Luma, other: Luma) -> float:
    """Give the peak signal-to-noise ratio in dB; 100 where two pictures are equal."""
    error = float(np.mean((one.astype(np.float32) - other) ** 2))
    return 100.0 if error == 0 else min(100.0, 10 * float(np.log10(255**2 / error)))


def ssim(one: Luma, other: Luma) -> float:
    """Give the structural similarity; 1 where two pictures are equal."""
    a, b = _blocks(one), _blocks(other)
    mean_a, mean_b = a.mean(axis=(1, 3)), b.mean(axis=(1, 3))
    spread_a, spread_b = a.var(axis=(1, 3)), b.var(axis=(1, 3))
    common = (a * b).mean(axis=(1, 3)) - mean_a * mean_b
    alike = (2 * mean_a * mean_b + _C1) * (2 * common + _C2)
    return float((alike / ((mean_a**2 + mean_b**2 + _C1) * (spread_a + spread_b + _C2))).mean())


def _blocks(picture: Luma) -> npt.NDArray[np.float64]:
    height, width = (side // _BLOCK_PX for side in picture.shape)
    cut = picture[: height * _BLOCK_PX, : width * _BLOCK_PX].astype(np.float64)
    return cut.reshape(height, _BLOCK_PX, width, _BLOCK_PX)
