"""Makes the clips that `benchmarks.stitch` joins: they conform, and a decoder can tell every frame and every sound.

Each picture carries a barcode of (clip, frame) over panning texture and fresh noise, so that the encoder spends its
bits. Each clip has a low tone throughout, of which the phase goes on from clip to clip, and a flash together with a
beep of the clip's own pitch. They come a quarter of a second in, because a join may fade the sound right at the start.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

import imageio_ffmpeg
import numpy as np
import numpy.typing as npt

WIDTH_PX, HEIGHT_PX, FPS = 1280, 720, 24
RATE_HZ = 48_000
#: Its periods fit whole seconds twice. The packets' grid moves these clips against each other by 5.3 ms, which is
#: a quarter of a period off: neither the best case of a join, nor the worst.
TONE_HZ = 234.5
#: The flash and the beep start at this frame, and are two frames and 50 ms long.
FLASH_FRAME, FLASH_FRAME_COUNT, BEEP_SECONDS = 6, 2, 0.05
#: The barcode: so many blocks in a row along the upper edge; the clip, the frame, and a check that finds a misreading.
CLIP_BITS, FRAME_BITS, CHECK_BITS = 6, 10, 4
BARCODE_PX, BLOCK_PX = 48, WIDTH_PX // (CLIP_BITS + FRAME_BITS + CHECK_BITS)
_BLACK, _WHITE = 16, 235
_VIDEO = ("-c:v", "libx264", "-preset", "veryfast", "-profile:v", "high", "-b:v", "4700k", "-g", "48", "-bf", "3")
_SOUND = ("-c:a", "aac", "-b:a", "128k")
#: Goes into the folder's name: clips of another recipe are never taken for these.
_RECIPE = f"1 {_VIDEO} {_SOUND} {FLASH_FRAME} {TONE_HZ}"

Picture = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Corpus:
    """Clips on disk, in the order of the film."""

    paths: tuple[Path, ...]
    clip_seconds: int
    size_bytes: int

    @property
    def clip_frame_count(self) -> int:
        """Frames of each clip."""
        return self.clip_seconds * FPS

    @property
    def frame_count(self) -> int:
        """Frames of the whole film."""
        return self.clip_frame_count * len(self.paths)


def beep_hz(clip: int) -> int:
    """Give the pitch of a clip's beep."""
    return 3000 + 100 * clip


def frame_number(clip: int, frame: int) -> int:
    """Give what the barcode of a frame says, its check included."""
    number = clip << FRAME_BITS | frame
    return number << CHECK_BITS | checksum(number)


def checksum(number: int) -> int:
    """Fold a number so that neither all black, all white nor one wrong block is right."""
    return (number ^ number >> 4 ^ number >> 8 ^ number >> 12 ^ 5) & 15


def clips_of(folder: Path | None, clip_count: int, clip_seconds: int, tell: Callable[[str], None]) -> Corpus:
    """Make the clips, or take those that an earlier run has made.

    Args:
        folder: where they are kept; None is a folder in the place for temporary files.
        clip_count: how many; 63 at most.
        clip_seconds: how long each is; 42 at most.
        tell: told what is being done.
    """
    ffmpeg = imageio_ffmpeg.get_ffmpeg_exe()
    recipe = f"{_RECIPE} {clip_count} {clip_seconds} {imageio_ffmpeg.get_ffmpeg_version()}"
    name = hashlib.sha256(recipe.encode()).hexdigest()[:12]
    kept = (folder or _default_folder()) / f"{clip_count}x{clip_seconds}s-{name}"
    kept.mkdir(parents=True, exist_ok=True, mode=0o700)
    paths = tuple(kept / f"clip_{clip:02d}.mp4" for clip in range(clip_count))
    index = kept / "sizes.json"
    if not index.exists() or json.loads(index.read_text()) != _sizes(paths):
        tell(f"making {clip_count} clips of {clip_seconds} s; they are kept for the next run")
        texture, noises = _texture(), _noises()
        for clip, path in enumerate(paths):
            _make_clip(ffmpeg, clip, clip_seconds * FPS, path, texture, noises)
        index.write_text(json.dumps(_sizes(paths)))
    return Corpus(paths, clip_seconds, sum(_sizes(paths).values()))


def _default_folder() -> Path:
    return Path(tempfile.gettempdir()) / f"longreel-benchmark-{os.getuid()}"


def _sizes(paths: tuple[Path, ...]) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in paths if path.exists()}


def _make_clip(ffmpeg: str, clip: int, frame_count: int, path: Path, texture: Picture, noises: list[Picture]) -> None:
    pcm = path.with_suffix(".f32")
    pcm.write_bytes(_sound(clip, frame_count * RATE_HZ // FPS).tobytes())
    picture = ("-f", "rawvideo", "-pix_fmt", "gray", "-s", f"{WIDTH_PX}x{HEIGHT_PX}", "-r", str(FPS), "-i", "-")
    sound = ("-f", "f32le", "-ar", str(RATE_HZ), "-ac", "2", "-i", str(pcm))
    coded = (*_VIDEO, "-pix_fmt", "yuv420p", *_SOUND, str(path))
    command = [ffmpeg, "-v", "error", "-y", *picture, *sound, *coded]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        _write_pictures(process.stdin, clip, frame_count, texture, noises)
    pcm.unlink()
    if process.returncode != 0:
        raise RuntimeError(f"make {path.name}: ffmpeg ended with {process.returncode}; its message stands above")


def _write_pictures(pipe: IO[bytes], clip: int, frame_count: int, texture: Picture, noises: list[Picture]) -> None:
    for frame in range(frame_count):
        across, down = 2 * frame + 17 * clip, frame + 11 * clip
        picture = np.roll(texture, (-down, -across), (0, 1))[:HEIGHT_PX, :WIDTH_PX]
        picture = picture + noises[(frame + clip) % len(noises)]
        if FLASH_FRAME <= frame < FLASH_FRAME + FLASH_FRAME_COUNT:
            picture[:] = _WHITE
        picture[:BARCODE_PX] = barcode(frame_number(clip, frame))
        pipe.write(picture.tobytes())


def barcode(number: int) -> Picture:
    """Draw one row of pixels, the highest bit first."""
    bits = range(CLIP_BITS + FRAME_BITS + CHECK_BITS - 1, -1, -1)
    return np.repeat(np.array([_WHITE if number >> bit & 1 else _BLACK for bit in bits], np.uint8), BLOCK_PX)


def _texture() -> Picture:
    """Draw soft clouds, larger than the picture, that wrap around."""
    chance = np.random.default_rng(1)
    coarse = chance.integers(48, 176, (60, 100)).astype(np.float32)
    clouds = np.kron(coarse, np.ones((16, 16), np.float32))
    for axis in (0, 1):
        clouds = sum((np.roll(clouds, step, axis) for step in range(-8, 9)), np.zeros_like(clouds)) / 17
    return clouds.astype(np.uint8)


def _noises() -> list[Picture]:
    chance = np.random.default_rng(2)
    return [chance.integers(0, 12, (HEIGHT_PX, WIDTH_PX), np.uint8) for _ in range(16)]


def _sound(clip: int, sample_count: int) -> npt.NDArray[np.float32]:
    at = np.arange(sample_count) / RATE_HZ
    mono = 0.15 * np.sin(2 * np.pi * TONE_HZ * at)
    start = FLASH_FRAME * RATE_HZ // FPS
    length = round(BEEP_SECONDS * RATE_HZ)
    mono[start : start + length] += 0.3 * np.sin(2 * np.pi * beep_hz(clip) * at[:length])
    return np.repeat(mono.astype(np.float32), 2)


def recipe_facts(corpus: Corpus) -> dict[str, object]:
    """Say in a few words what the clips are."""
    facts = asdict(corpus)
    del facts["paths"]
    return facts | {
        "clip_count": len(corpus.paths),
        "frame_count": corpus.frame_count,
        "picture": f"{WIDTH_PX}x{HEIGHT_PX} at {FPS} fps, H.264 High with B-frames",
        "sound": f"AAC {RATE_HZ} Hz, stereo",
    }
