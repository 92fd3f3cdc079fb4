"""Running FFmpeg: the only file of the stitch program that starts a process; always a list, never a shell.

FFmpeg's exit status 0 says little and its silence says nothing: progress is watched, what it complains about is
kept, and the finished film is verified by others afterwards.
"""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from os import getpid
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import IO, Final

from adapters.disk import disk_full
from events.errors import BadMedia, OutOfMemory, PipelineError, StitchFailed, Unavailable
from gpu_job import tether
from gpu_job.exits import NO_FFMPEG

#: The oldest version that knows all our options (`-stats_period`); Ubuntu 22.04 has it.
VERSION_MIN = (4, 4)

#: How long a look at the program may take: its version, its encoders, one black frame.
_LOOK_SECONDS = 30

#: How many lines of complaint are kept, the last ones, and how long each may be.
_COMPLAINTS_MAX = 30
_COMPLAINT_MAX_BYTES = 500

#: `code` of the error that says that FFmpeg hangs.
STALLED: Final = "encoder_stalled"

#: Complaints that are about our own order or this build of FFmpeg, never about the clip.
_OUR_FAULT = re.compile(
    r"Unrecognized option|Option .* not found|Unknown encoder|Unknown decoder|No such filter"
    r"|Error (initializing|applying|reinitializing) .*filter|Error while opening encoder|Invalid encoder type"
)


class LookFailed(StitchFailed):
    """A brief run came to nothing."""

    def __init__(self, program: Path, doing: str, *said: str) -> None:
        super().__init__(f"{doing} FFmpeg {program}: {said[0]}; name another", code=NO_FFMPEG)
        #: FFmpeg's own lines, or what became of it.
        self.said = said


@dataclass(frozen=True, slots=True)
class Encoded:
    """What one run made."""

    frame_count: int
    #: What FFmpeg said on the way although it went on; the last lines.
    complaints: tuple[str, ...]


class FFmpeg:
    """One FFmpeg program, looked at once.

    Raises:
        StitchFailed: `no_ffmpeg`: it does not start, is too old, or has no libx264 or AAC encoder.
    """

    def __init__(self, program: Path) -> None:
        self.program = program
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self.version = _version(self._text(["-version"]), program)
        self.encoders = frozenset(re.findall(r"^ [VA]\S{5} (\S+)", self._text(["-hide_banner", "-encoders"]), re.M))
        for needed in ("libx264", "aac"):
            if needed not in self.encoders:
                raise StitchFailed(f"use FFmpeg {program}: it has no {needed} encoder; name another", code=NO_FFMPEG)

    def encode(
        self, args: Sequence[str], name: str, *, on_frames: Callable[[int], None], stall_seconds: float
    ) -> Encoded:
        """Run with `args`, which ask for progress on standard output, until it ends.

        Args:
            args: without the program's name.
            name: what is encoded, for error texts.
            on_frames: called with the number of frames made so far.
            stall_seconds: how long it may make no progress before it is killed.

        Raises:
            BadMedia: the clip cannot be decoded.
            DiskFull: the disk is full.
            OutOfMemory, Unavailable: it was killed from outside; by -9 most likely because memory ran out.
            StitchFailed: it hangs (retryable) or refuses what we ask for.
        """
        with self._process(args) as process:
            complaints = _drained(process.stderr)
            frames = _watch(process, name, on_frames, stall_seconds)
            status = process.wait()
            said = complaints()
        if status != 0:
            raise _failure(status, said, name, Path(args[-1].removeprefix("file:")).parent)
        return Encoded(frames, said)

    def kill(self) -> None:
        """Kill every run that is under way, whichever thread waits for it."""
        with self._lock:
            for process in self._running:
                process.kill()

    def _started(self, args: Sequence[str]) -> subprocess.Popen[bytes]:
        with self._lock:
            process = subprocess.Popen(
                self._command(args), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
            self._running.add(process)
        return process

    @contextmanager
    def _process(self, args: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
        process = self._started(args)
        try:
            with process:
                try:
                    yield process
                finally:
                    # Before the pipes are closed and the process awaited: it must not outlive a failure of ours.
                    process.kill()
        finally:
            process.kill()
            with self._lock:
                self._running.discard(process)

    def _command(self, args: Sequence[str]) -> list[str]:
        command = [str(self.program), *args]
        if sys.platform != "linux":
            return command
        # Without `site`, which takes longer than all the rest of it.
        return [sys.executable, "-I", "-S", str(Path(tether.__file__)), str(getpid()), *command]

    def look(self, args: Sequence[str], given: bytes = b"", *, limit_seconds: float = _LOOK_SECONDS) -> bytes:
        """Run with `args`, briefly, and give what it wrote to standard output; `given` is its standard input.

        Raises:
            LookFailed: it does not start, hangs, or refuses.
        """
        command = [str(self.program), *args]
        try:
            done = subprocess.run(command, input=given, capture_output=True, timeout=limit_seconds, check=False)
        except subprocess.TimeoutExpired as exc:
            raise LookFailed(self.program, "start", f"it was not done within {limit_seconds:g} seconds") from exc
        except OSError as exc:
            raise LookFailed(self.program, "start", str(exc)) from exc
        if done.returncode != 0:
            said = done.stderr[: _COMPLAINTS_MAX * _COMPLAINT_MAX_BYTES].decode(errors="replace").strip()
            raise LookFailed(self.program, "use", *(said or f"exit status {done.returncode}").splitlines())
        return done.stdout

    def _text(self, args: Sequence[str]) -> str:
        return self.look(args).decode(errors="replace")


def _version(text: str, program: Path) -> str:
    found = re.match(r"ffmpeg version (\S+)", text)
    if not found:
        raise StitchFailed(f"use FFmpeg {program}: this is not FFmpeg; name another program", code=NO_FFMPEG)
    # A build from the development branch has no number and is newer than any that has.
    numbers = re.match(r"n?(\d+)\.(\d+)", found[1])
    if numbers and (int(numbers[1]), int(numbers[2])) < VERSION_MIN:
        raise StitchFailed(
            f"use FFmpeg {program}: version {found[1]} is too old; "
            f"{'.'.join(map(str, VERSION_MIN))} or later is needed",
            code=NO_FFMPEG,
        )
    return found[1]


def _drained(stream: IO[bytes] | None) -> Callable[[], tuple[str, ...]]:
    """Read a stream in the background, keeping its last lines; gives the function that waits for its end."""
    assert stream is not None
    lines: deque[str] = deque(maxlen=_COMPLAINTS_MAX)

    def drain() -> None:
        for line in iter(lambda: stream.readline(_COMPLAINT_MAX_BYTES), b""):
            if text := line.decode(errors="replace").strip():
                lines.append(text)

    thread = threading.Thread(target=drain, daemon=True)
    thread.start()

    def wait() -> tuple[str, ...]:
        thread.join()
        return tuple(lines)

    return wait


def _watch(process: subprocess.Popen[bytes], name: str, on_frames: Callable[[int], None], stall_seconds: float) -> int:
    """Follow the progress lines to their end and give the number of frames; a process that hangs is killed."""
    lines: SimpleQueue[bytes] = SimpleQueue()
    stream = process.stdout
    assert stream is not None

    def read() -> None:
        for line in stream:
            lines.put(line)
        lines.put(b"")

    threading.Thread(target=read, daemon=True).start()
    moved_at = time.monotonic()
    seen: dict[bytes, bytes] = {}
    while line := _next_line(lines, moved_at + stall_seconds - time.monotonic()):
        key, _, value = line.strip().partition(b"=")
        if key in _MOVING and seen.get(key) != value:
            # FFmpeg goes on printing while it hangs: only a number that changes is progress.
            seen[key], moved_at = value, time.monotonic()
            if key == b"frame":
                on_frames(int(value))
    if line is None:
        process.kill()
        raise StitchFailed(
            f"encode {name}: FFmpeg made no progress for {stall_seconds:.0f} seconds and was stopped",
            code=STALLED,
            retryable=True,
        )
    return int(seen.get(b"frame", b"0"))


#: The progress numbers of which one changes as long as anything happens.
_MOVING = frozenset({b"frame", b"out_time_us", b"total_size"})


def _next_line(lines: SimpleQueue[bytes], timeout_seconds: float) -> bytes | None:
    """Give the next line, empty at the end, None when time is up."""
    try:
        return lines.get(timeout=max(0.0, timeout_seconds))
    except Empty:
        return None


def _failure(status: int, complaints: Sequence[str], name: str, folder: Path) -> PipelineError:
    """Turn an exit status and what was said into the error that tells whose fault it is."""
    said = " | ".join(complaints[-3:]) or f"exit status {status}, nothing said"
    if "No space left on device" in said:
        return disk_full(f"encode {name}", folder)
    if status == -signal.SIGKILL:
        return OutOfMemory(f"encode {name}: FFmpeg was killed by signal 9, as a machine short of memory does")
    if status < 0:
        return Unavailable(f"encode {name}: FFmpeg was killed by signal {-status}")
    if any(_OUR_FAULT.search(line) for line in complaints):
        return StitchFailed(f"encode {name}: FFmpeg refused our order: {said}")
    return BadMedia(f"decode {name}: the clip is broken or not supported: {said}")
