"""The clips of `benchmarks.stitch_memory`: a moving test card with noise, so that an encoder has work."""

from __future__ import annotations

import hashlib
import subprocess
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg


@dataclass(frozen=True, slots=True)
class Kind:
    """What a clip is like; two of a kind are the same bytes."""

    seconds: float
    size: str = "1280x720"
    rate: str = "24"
    #: Sample rate in Hz and channels.
    sound: str | None = "48000 2"
    #: FFmpeg's encoder; ` 10` behind it for ten bits.
    codec: str = "libx264"
    #: Distance of key frames, in frames.
    gop: int = 48


def clip_file(kind: Kind, folder: Path) -> Path:
    """Give the clip, made at the first time."""
    recipe = f"1 {kind} {imageio_ffmpeg.get_ffmpeg_version()}"
    path = folder / f"{hashlib.sha256(recipe.encode()).hexdigest()[:16]}.mp4"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        part = path.with_suffix(".part")
        subprocess.run(
            [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", *_args(kind), "-f", "mp4", str(part)], check=True
        )
        part.replace(path)
    return path


def _args(kind: Kind) -> list[str]:
    codec, _, bits = kind.codec.partition(" ")
    card = f"testsrc2=size={kind.size}:rate={kind.rate}:duration={kind.seconds},noise=alls=6:allf=t"
    pixels = "yuv420p10le" if bits else "yuv420p"
    args = ["-f", "lavfi", "-i", f"{card},format={pixels}"]
    coded = ["-c:v", codec, "-g", str(kind.gop)]
    if codec != "mpeg4":
        coded += ["-preset", "veryfast", "-bf", "2"]
    if codec == "libx265":
        coded += ["-x265-params", "log-level=error", "-tag:v", "hvc1"]
    if kind.sound is None:
        return [*args, *coded]
    rate_hz, channels = kind.sound.split()
    args += ["-f", "lavfi", "-i", f"sine=frequency=440:sample_rate={rate_hz}:duration={kind.seconds}"]
    return [*args, *coded, "-c:a", "aac", "-ac", channels]
