"""The clips of each case of `benchmarks.stitch`: made once, kept for the next run."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from pathlib import Path

import imageio_ffmpeg

from benchmarks.stitch_pictures import RECIPE, Look, make_clip

_NTSC = Fraction(24000, 1001), Fraction(30000, 1001)
#: What differs from clip to clip where all do; together no two of 30 are alike.
_RATES = (Fraction(24), Fraction(25), Fraction(30), *_NTSC)
_SOUNDS = ((48_000, 2), (44_100, 2), (48_000, 1), (44_100, 1))


@dataclass(frozen=True, slots=True)
class Shape:
    """How many clips of what length and size."""

    name: str
    clip_count: int
    clip_seconds: int
    look: Look
    #: Sizes of the clips where all differ; the first is the film's.
    sizes: Sequence[tuple[int, int]]
    #: Whether also those contenders run with them that take longest.
    with_tedious: bool = True


_SMALLER = ((960, 540), (640, 360), (1024, 576))
SHAPES = (
    Shape(
        "30x6s-720p",
        30,
        6,
        Look(1280, 720, Fraction(24)),
        ((1280, 720), (1920, 1080), *_SMALLER, (1600, 900)),
    ),
    Shape(
        "12x8s-1080p",
        12,
        8,
        Look(1920, 1080, Fraction(24)),
        ((1920, 1080), (1280, 720), (1600, 900), (960, 540)),
        with_tedious=False,
    ),
)
#: For a quick look whether everything runs.
QUICK_SHAPES = (Shape("4x2s-180p", 4, 2, Look(320, 180, Fraction(24)), ((320, 180), (480, 270), (640, 360))),)


@dataclass(frozen=True)
class Corpus:
    """Clips on disk, in the order of the film."""

    shape: Shape
    paths: tuple[Path, ...]
    looks: tuple[Look, ...]

    @cached_property
    def size_bytes(self) -> int:
        """Bytes of all clips."""
        return sum(path.stat().st_size for path in self.paths)

    def frame_count(self, clip: int) -> int:
        """Frames of a clip, at its own rate."""
        return self.looks[clip].frame_count(self.shape.clip_seconds)

    def seconds(self, clip: int) -> Fraction:
        """Give how long a clip is."""
        return self.frame_count(clip) / self.looks[clip].rate

    @property
    def facts(self) -> dict[str, object]:
        """Say in a few words what the clips are."""
        usual = self.shape.look
        return {
            "name": self.shape.name,
            "clip_count": len(self.paths),
            "clip_seconds": self.shape.clip_seconds,
            "size_bytes": self.size_bytes,
            "film": usual.words,
            "odd": [look.words for look in self.looks if look != usual],
        }


def _same(shape: Shape) -> list[Look]:
    return [shape.look] * shape.clip_count


def _one_tenth_odd(shape: Shape) -> list[Look]:
    """Every tenth clip differs: by size, by rate and sound, by codec."""
    usual = shape.look
    width, height = shape.sizes[1]
    ways = (
        replace(usual, width_px=width, height_px=height),
        replace(usual, rate=Fraction(30), rate_hz=44_100, channel_count=1),
        replace(usual, codec="hevc"),
    )
    looks = _same(shape)
    for number, clip in enumerate(range(min(4, shape.clip_count // 2), shape.clip_count, 10)):
        if number < max(1, shape.clip_count // 10):
            looks[clip] = ways[number % len(ways)]
    return looks


def _all_different(shape: Shape) -> list[Look]:
    looks = []
    for clip in range(shape.clip_count):
        width, height = shape.sizes[clip % len(shape.sizes)]
        rate_hz, channel_count = _SOUNDS[clip % len(_SOUNDS)]
        looks.append(Look(width, height, _RATES[clip % len(_RATES)], rate_hz, channel_count))
    return looks


#: Case → how its clips look.
LOOKS: Mapping[str, Callable[[Shape], list[Look]]] = {
    "conforming": _same,
    "odd": _one_tenth_odd,
    "different": _all_different,
    "crossfades": _same,
}


def corpus_of(case: str, shape: Shape, folder: Path | None, tell: Callable[[str], None]) -> Corpus:
    """Make the clips of a case, or take those that an earlier run has made.

    Args:
        case: a key of `LOOKS`.
        shape: of all clips together.
        folder: where they are kept; None is a folder in the place for temporary files.
        tell: told what is being done.
    """
    kept = folder or Path(tempfile.gettempdir()) / f"longreel-benchmark-{os.getuid()}"
    kept.mkdir(parents=True, exist_ok=True, mode=0o700)
    looks = LOOKS[case](shape)
    paths = [_clip(kept, clip, look, shape.clip_seconds, tell) for clip, look in enumerate(looks)]
    return Corpus(shape, tuple(paths), tuple(looks))


def _clip(kept: Path, clip: int, look: Look, seconds: int, tell: Callable[[str], None]) -> Path:
    recipe = f"{RECIPE} {clip} {look} {seconds} {imageio_ffmpeg.get_ffmpeg_version()}"
    path = kept / f"clip_{clip:02d}-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}.mp4"
    if not path.exists():
        tell(f"making clip {clip + 1}: {look.words}; it is kept for the next run")
        making = path.with_name(f"making-{path.name}")
        make_clip(imageio_ffmpeg.get_ffmpeg_exe(), clip, look, seconds, making)
        making.rename(path)
    return path


def source_facts(corpus: Corpus) -> str:
    """Give a digest of what the clips are, so that results of other clips are not taken for these."""
    told = json.dumps([f"{path.name}:{path.stat().st_size}" for path in corpus.paths])
    return hashlib.sha256(told.encode()).hexdigest()[:16]
