"""Draws the clips of `benchmarks.stitch`: pictures and sounds by which a decoder can tell every frame of a film.

Each picture carries a barcode of (clip, frame) over panning texture and fresh noise, so that the encoder spends its
bits. Each clip has a low tone throughout, of which the phase goes on from clip to clip, and a flash together with a
beep of the clip's own pitch: late enough that no fade at the clip's start touches them.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

#: Its periods fit whole seconds twice. The packets' grid moves these clips against each other by 5.3 ms, which is
#: a quarter of a period off: neither the best case of a join, nor the worst.
TONE_HZ = 234.5
#: The flash and the beep start this long after the clip does.
FLASH_AT, FLASH_SECONDS, BEEP_SECONDS = Fraction(3, 4), Fraction(1, 12), 0.05
#: The barcode: so many blocks in a row along the upper edge; the clip, the frame, and a check that finds a misreading.
CLIP_BITS, FRAME_BITS, CHECK_BITS = 6, 10, 4
#: How high the barcode is, as a share of the picture.
BARCODE_HEIGHT = Fraction(1, 15)
_BLACK, _WHITE = 16, 235
#: What a clip of 1280x720 gets; others by their pixels.
_BITRATE_BPS, _BITRATE_PX = 4_700_000, 1280 * 720
_CODECS = {
    "h264": ("-c:v", "libx264", "-preset", "veryfast", "-profile:v", "high", "-bf", "3", "-sc_threshold", "0"),
    "hevc": ("-c:v", "libx265", "-preset", "ultrafast", "-tag:v", "hvc1", "-x265-params", "log-level=none:scenecut=0"),
}
#: Goes into the name of the clips' folder: clips of another recipe are never taken for these.
RECIPE = f"2 {_CODECS} {FLASH_AT} {TONE_HZ}"

Picture = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Look:
    """How a clip is coded."""

    width_px: int
    height_px: int
    rate: Fraction
    rate_hz: int = 48_000
    channel_count: int = 2
    #: A key of `_CODECS`.
    codec: str = "h264"

    @property
    def words(self) -> str:
        """Give it for people."""
        sound = f"{self.rate_hz / 1000:g} kHz {'stereo' if self.channel_count == 2 else 'mono'}"
        return f"{self.width_px}x{self.height_px} at {float(self.rate):.5g} fps, {self.codec}, {sound}"

    def frame_count(self, seconds: int) -> int:
        """Give how many frames a clip has."""
        return round(seconds * self.rate)


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


def make_clip(ffmpeg: str, clip: int, look: Look, seconds: int, path: Path) -> None:
    """Make a clip; key frames come every two seconds.

    Raises:
        RuntimeError: FFmpeg failed.
    """
    frame_count = look.frame_count(seconds)
    pcm = path.with_suffix(".f32")
    pcm.write_bytes(_sound(clip, look, frame_count).tobytes())
    size = f"{look.width_px}x{look.height_px}"
    picture = ("-f", "rawvideo", "-pix_fmt", "gray", "-s", size, "-r", str(look.rate), "-i", "-")
    sound = ("-f", "f32le", "-ar", str(look.rate_hz), "-ac", str(look.channel_count), "-i", str(pcm))
    bitrate = str(_BITRATE_BPS * look.width_px * look.height_px // _BITRATE_PX)
    coded = (*_CODECS[look.codec], "-b:v", bitrate, "-g", str(round(2 * look.rate)), "-pix_fmt", "yuv420p")
    command = [ffmpeg, "-v", "error", "-y", *picture, *sound, *coded, "-c:a", "aac", "-b:a", "128k", str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        for drawn in _pictures(clip, look, frame_count):
            process.stdin.write(drawn.tobytes())
    pcm.unlink()
    if process.returncode != 0:
        raise RuntimeError(f"make {path.name}: ffmpeg ended with {process.returncode}; its message stands above")


def _pictures(clip: int, look: Look, frame_count: int) -> Iterator[Picture]:
    texture, noises = _texture(), _noises(look.width_px, look.height_px)
    high, wide = texture.shape[0] // 2, texture.shape[1] // 2
    for frame in range(frame_count):
        across, down = (2 * frame + 17 * clip) % wide, (frame + 11 * clip) % high
        picture = texture[down : down + look.height_px, across : across + look.width_px]
        picture = picture + noises[(frame + clip) % len(noises)]
        if FLASH_AT <= frame / look.rate < FLASH_AT + FLASH_SECONDS:
            picture[:] = _WHITE
        picture[: int(look.height_px * BARCODE_HEIGHT)] = _barcode(frame_number(clip, frame), look.width_px)
        yield picture


def _barcode(number: int, width_px: int) -> Picture:
    """Draw one row of pixels, the highest bit first."""
    count = CLIP_BITS + FRAME_BITS + CHECK_BITS
    blocks = np.array([_WHITE if number >> bit & 1 else _BLACK for bit in range(count - 1, -1, -1)], np.uint8)
    return blocks[np.arange(width_px) * count // width_px]


@cache
def _texture() -> Picture:
    """Draw soft clouds that wrap around, twice in each direction."""
    chance = np.random.default_rng(1)
    coarse = chance.integers(48, 176, (70, 124)).astype(np.float32)
    clouds = np.kron(coarse, np.ones((16, 16), np.float32))
    for axis in (0, 1):
        clouds = sum((np.roll(clouds, step, axis) for step in range(-8, 9)), np.zeros_like(clouds)) / 17
    return np.tile(clouds.astype(np.uint8), (2, 2))


@cache
def _noises(width_px: int, height_px: int) -> list[Picture]:
    chance = np.random.default_rng(2)
    return [chance.integers(0, 12, (height_px, width_px), np.uint8) for _ in range(16)]


def _sound(clip: int, look: Look, frame_count: int) -> npt.NDArray[np.float32]:
    at = np.arange(round(frame_count * look.rate_hz / look.rate)) / look.rate_hz
    mono = 0.15 * np.sin(2 * np.pi * TONE_HZ * at)
    start, length = round(FLASH_AT * look.rate_hz), round(BEEP_SECONDS * look.rate_hz)
    mono[start : start + length] += 0.3 * np.sin(2 * np.pi * beep_hz(clip) * at[:length])
    return np.repeat(mono.astype(np.float32), look.channel_count)
