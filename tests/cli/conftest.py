"""The real `longreel` program, run as a user runs it, and films looked at frame by frame."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import imageio_ffmpeg
import pytest

PROGRAM = Path(sys.executable).with_name("longreel")

#: The shortest scene that there is; 720p cards of it are drawn several a second.
SCENE_MS = "100"
#: Frames of such a scene at 24 a second.
SCENE_FRAMES = 2


class Door:
    """`longreel` with a home and a working folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "LONGREEL_HOME": str(self.home),
            "COLUMNS": "80",
            "PYTHONUTF8": "1",
        }
        self._started: list[subprocess.Popen[str]] = []

    def run(self, *arguments: object, stdin: str | bytes = "", **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        given = stdin.encode() if isinstance(stdin, str) else stdin
        done = subprocess.run(
            self._command(arguments), cwd=self.folder, env=self.environment | environment,
            input=given, capture_output=True, check=False, timeout=120,
        )  # fmt: skip
        return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())

    def ok(self, *arguments: object, stdin: str | bytes = "", **environment: str) -> str:
        """Run a command that must succeed without a complaint; give what it printed."""
        done = self.run(*arguments, stdin=stdin, **environment)
        assert (done.returncode, done.stderr) == (0, ""), done
        return done.stdout

    def refused(self, *arguments: object, code: int = 2, stdin: str | bytes = "", **environment: str) -> str:
        """Run a command that must fail with this code and one sentence; give the sentence."""
        done = self.run(*arguments, stdin=stdin, **environment)
        assert done.returncode == code, done
        assert "Traceback" not in done.stderr + done.stdout
        assert done.stderr.count("\n") == 1, done.stderr
        assert done.stderr.startswith("longreel: ")
        assert done.stderr.endswith((".\n", "?\n"))
        return done.stderr.removeprefix("longreel: ").rstrip("\n")

    def start(self, *arguments: object, **environment: str) -> subprocess.Popen[str]:
        """Start a command in a process group of its own; it is ended with the test."""
        child = subprocess.Popen(
            self._command(arguments), cwd=self.folder, env=self.environment | environment, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        self._started.append(child)
        return child

    def close(self) -> None:
        """End what still runs."""
        for child in self._started:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)
            child.communicate()

    def jobs(self) -> list[dict[str, Any]]:
        """Give the jobs, the newest first."""
        value: list[dict[str, Any]] = json.loads(self.ok("jobs", "--json"))
        return value

    def job(self, job_id: str) -> dict[str, Any]:
        """Give a job with its segments."""
        value: dict[str, Any] = json.loads(self.ok("status", job_id, "--json"))
        return value

    def script(self, scenes: int, name: str = "script.txt") -> Path:
        """Write a text script."""
        path = self.folder / name
        path.write_text("".join(f"Scene number {index + 1}\n" for index in range(scenes)), encoding="utf-8")
        return path

    def _command(self, arguments: tuple[object, ...]) -> list[str | bytes]:
        return [str(PROGRAM), *(each if isinstance(each, bytes) else str(each) for each in arguments)]


def next_line(child: subprocess.Popen[str], *, having: str) -> str:
    """Give the child's next line of output with such words."""
    assert child.stdout is not None
    for line in child.stdout:
        if having in line:
            return line
    raise AssertionError(f"it ended without {having!r}: {child.communicate()}")


def until(holds: Callable[[], bool], seconds: float = 20) -> None:
    """Wait for another process to bring something about."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come about in time"
        select.select([], [], [], 0.02)


def frames(film: Path) -> int:
    """Decode a film whole, sound too, and give how many pictures it has; what is broken raises."""
    with av.open(str(film)) as opened:
        assert opened.format.name.startswith("mov")
        count = 0
        # Chapters are a track of text, which nobody decodes.
        played = [stream for stream in opened.streams if stream.type in ("video", "audio")]
        for frame in opened.decode(played):
            count += isinstance(frame, av.VideoFrame)
        return count


@pytest.fixture(scope="session", autouse=True)
def _hears_ctrl_c() -> Iterator[None]:
    """A shell tells what runs in its background to ignore Ctrl-C, and the programs under test would inherit that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    door = Door(tmp_path)
    yield door
    door.close()


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """A home with one finished film, `film.mp4` of three scenes; for commands that only look."""
    door = Door(tmp_path_factory.mktemp("finished"))
    door.ok("make", door.script(3), "-o", "film.mp4", "--scene-ms", SCENE_MS, "--title", "Sea")
    yield door
    door.close()


def _make_clip(path: Path, picture: str, sound: str | None = None, *options: str) -> Path:
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-f", "lavfi", "-i", picture]
    command += ["-f", "lavfi", "-i", sound] if sound else []
    command += ["-t", "1", "-pix_fmt", "yuv420p", "-c:v", "libx264", "-preset", "ultrafast", *options, str(path)]
    subprocess.run(command, check=True)
    return path


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of one-second clips: `one`, `two` and `silent` differ in everything; `broken…` are no clips."""
    folder = tmp_path_factory.mktemp("clips")
    one = _make_clip(folder / "one.mp4", "testsrc=s=160x96:r=24", "sine=f=440:r=48000")
    _make_clip(folder / "same.mp4", "testsrc2=s=160x96:r=24", "sine=f=880:r=48000")
    _make_clip(folder / "two.mov", "testsrc2=s=96x128:r=30", "sine=f=660:r=44100", "-ac", "2")
    _make_clip(folder / "silent.mp4", "smptebars=s=128x128:r=25")
    (folder / "truncated.mp4").write_bytes(one.read_bytes()[:5000])
    (folder / "empty.mp4").touch()
    (folder / "picture.mp4").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(64))
    return folder
