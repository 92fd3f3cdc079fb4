"""Who joins the clips in `benchmarks.stitch`, and by what command: ours, and what people use instead."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg

_HERE = Path(__file__).parent
MOVIEPY_PYTHON = _HERE.parent / ".venv" / "moviepy" / "bin" / "python"
HOW_TO_GET_MOVIEPY = (
    "python3 -m venv .venv/moviepy && .venv/moviepy/bin/pip install moviepy==2.2.1 (it needs an older Pillow than ours)"
)
#: (clips, folder for whatever the contender writes, film) → command.
Command = Callable[[list[str], Path, Path], list[str]]


@dataclass(frozen=True, slots=True)
class Contender:
    """One way of joining clips."""

    key: str
    #: What the table calls it.
    name: str
    command: Command
    #: It decodes and encodes everything, which takes minutes.
    is_slow: bool = False
    #: Its output is no film, only bytes.
    is_floor: bool = False
    is_ours: bool = False
    #: It is ffmpeg copying packets, what ours are compared with.
    is_copy: bool = False
    #: How to get what is missing here; empty if it can run.
    missing: str = ""


COPY = "ffmpeg_copy"


def contenders() -> Iterator[Contender]:
    """Give all, those that are missing on this machine too."""
    ffmpeg = imageio_ffmpeg.get_ffmpeg_exe()
    yield Contender("cat", "cat (bytes only, no film)", _cat, is_floor=True)
    yield Contender(COPY, "ffmpeg concat demuxer, copy", _copy_by(ffmpeg), is_copy=True)
    yield Contender("longreel", "longreel stitch", _longreel, is_ours=True)
    yield Contender("splice_grid", "our splice alone, grid audio", _splice("grid"), is_ours=True)
    yield Contender("splice_smart", "our splice alone, smart audio", _splice("smart"), is_ours=True)
    system = shutil.which("ffmpeg")
    missing = "" if system else "apt-get install ffmpeg"
    yield Contender(
        "system_ffmpeg_copy", "the system's ffmpeg, copy", _copy_by(system or "ffmpeg"), is_copy=True, missing=missing
    )
    yield Contender("ffmpeg_filter", "ffmpeg concat filter, veryfast", _filter_by(ffmpeg), is_slow=True)
    missing = "" if MOVIEPY_PYTHON.exists() else HOW_TO_GET_MOVIEPY
    yield Contender("moviepy", "MoviePy 2.2.1, veryfast", _moviepy, is_slow=True, missing=missing)


def _longreel(clips: list[str], folder: Path, film: Path) -> list[str]:
    command = Path(sys.executable).with_name("longreel")
    return [str(command), "stitch", *clips, "-o", str(film), "--home", str(folder / "home")]


def _splice(sound: str) -> Command:
    return lambda clips, _, film: [sys.executable, str(_HERE / "stitch_splice.py"), sound, str(film), *clips]


def _copy_by(ffmpeg: str) -> Command:
    def command(clips: list[str], folder: Path, film: Path) -> list[str]:
        listed = folder / "clips.txt"
        listed.write_text("".join(f"file '{clip}'\n" for clip in clips))
        return [*_quiet(ffmpeg), "-f", "concat", "-safe", "0", "-i", str(listed), "-c", "copy", str(film)]

    return command


def _filter_by(ffmpeg: str) -> Command:
    def command(clips: list[str], _: Path, film: Path) -> list[str]:
        inputs = [word for clip in clips for word in ("-i", clip)]
        joined = f"concat=n={len(clips)}:v=1:a=1[v][a]"
        coded = ["-c:v", "libx264", "-preset", "veryfast", "-c:a", "aac"]
        return [*_quiet(ffmpeg), *inputs, "-filter_complex", joined, "-map", "[v]", "-map", "[a]", *coded, str(film)]

    return command


def _quiet(ffmpeg: str) -> list[str]:
    return [ffmpeg, "-v", "error", "-nostdin", "-y"]


def _moviepy(clips: list[str], _: Path, film: Path) -> list[str]:
    return [str(MOVIEPY_PYTHON), str(_HERE / "stitch_moviepy.py"), str(film), *clips]


def _cat(clips: list[str], _: Path, film: Path) -> list[str]:
    return ["sh", "-c", 'film=$1; shift; exec cat "$@" > "$film"', "sh", str(film), *clips]
