"""The films of which the embedded program is killed: every way in which a film is made on one machine."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg

from tests.cli.conftest import Door


@dataclass(frozen=True, slots=True)
class Recipe:
    """A film to order.

    Attributes:
        name: what people call it; begins the name of its file.
        arguments: of `longreel`, without the output.
    """

    name: str
    arguments: tuple[object, ...]


def recipes(door: Door) -> list[Recipe]:
    """Write the scripts and clips into the door's folder, and give the films of one round."""
    clips = door.folder / "clips"
    clips.mkdir()
    one = _clip(clips / "one.mp4", "testsrc=s=160x96:r=24", "sine=f=440:r=48000")
    same = _clip(clips / "same.mp4", "testsrc2=s=160x96:r=24", "sine=f=880:r=48000")
    odd = _clip(clips / "odd.mov", "testsrc2=s=96x128:r=30", "sine=f=660:r=44100")
    silent = _clip(clips / "silent.mp4", "smptebars=s=128x128:r=25")
    truncated = clips / "truncated.mp4"
    truncated.write_bytes(one.read_bytes()[:5000])
    short = ("--scene-ms", 100)
    fades = ("--scene-ms", 500, "--transition", "crossfade", "--transition-ms", 200)
    return [
        Recipe("scenes", ("make", door.script(12, "scenes.txt"), *short)),
        Recipe("chained", ("make", door.script(5, "chained.txt"), *short, "--daisy-chain")),
        Recipe("faded", ("make", door.script(3, "faded.txt"), *fades)),
        Recipe("joined", ("stitch", one, same, one)),
        Recipe("encoded", ("stitch", one, odd, silent, truncated, same, "--on-bad-clip", "skip")),
    ]


def _clip(path: Path, picture: str, sound: str | None = None) -> Path:
    """Make a clip of one second."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-f", "lavfi", "-i", picture]
    command += ["-f", "lavfi", "-i", sound] if sound else []
    command += ["-t", "1", "-pix_fmt", "yuv420p", "-c:v", "libx264", "-preset", "ultrafast", str(path)]
    subprocess.run(command, check=True)
    return path
