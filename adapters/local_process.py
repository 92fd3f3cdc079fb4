"""Running `gpu_job` as a child process: reads its progress, and turns its end into one of our errors."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from typing import IO, Any

from adapters.disk import DiskObjectStore
from events.errors import OutOfMemory, PipelineError, StitchFailed, Unavailable
from pipeline.retry import STOPPED

#: How long a child that was told to stop may take.
STOP_PATIENCE_SECONDS = 10
#: How it ends by SIGKILL, and by SIGTERM: as Popen tells it, as a shell does, and as the program itself does.
_KILLED, _STOPPED = frozenset({-9, 137}), frozenset({-15, 143})


def run_stitch_program(
    objects: DiskObjectStore,
    plan_uri: str,
    ffmpeg: str | None,
    on_progress: Callable[[int], None],
    *,
    larger: bool = False,
) -> None:
    """Carry out a plan in a child process that ends with this one.

    Args:
        objects: where the plan, the clips and the film are.
        plan_uri: `gs://bucket/object` of the plan.
        ffmpeg: the program to encode with; None for the one that came with pip.
        on_progress: called with 0–100; raises to stop the child.
        larger: whether it was too much for this machine before: less is done at a time.

    Raises:
        StitchFailed: the program said why.
        OutOfMemory: it was killed as by a machine that is short of memory.
        Unavailable: it was stopped, or died without a word.
    """
    command = [sys.executable, "-m", "gpu_job", "--plan", str(objects.path(plan_uri)), "--stop-on-stdin-eof"]
    command += ["--objects", str(objects.root)]
    if larger:
        command += ["--processes", "1"]
    if ffmpeg is not None:
        command += ["--ffmpeg", ffmpeg]
    with tempfile.TemporaryDirectory(prefix="stitch-", dir=objects.parts) as work, tempfile.TemporaryFile() as errors:
        # In a session of its own, so that Ctrl-C reaches us alone: a child that a signal ended looks like a failure.
        child = subprocess.Popen(
            [*command, "--work", work],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
        )
        try:
            failure = _follow(child, on_progress)
        finally:
            _stop(child)
        if child.returncode != 0:
            raise _error(plan_uri, child.returncode, failure, errors)


def _follow(child: subprocess.Popen[str], on_progress: Callable[[int], None]) -> dict[str, Any] | None:
    assert child.stdout is not None
    failure = None
    for line in child.stdout:
        said = json.loads(line)
        if said["type"] == "progress":
            on_progress(said["percent"])
        elif said["type"] == "error":
            failure = said
    child.wait()
    return failure


def _stop(child: subprocess.Popen[str]) -> None:
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.close()
    child.stdout.close()
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(STOP_PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _error(plan_uri: str, code: int, failure: dict[str, Any] | None, errors: IO[bytes]) -> PipelineError:
    if failure is not None:
        return StitchFailed(
            failure["message"],
            code=failure["code"],
            retryable=failure["retryable"],
            segment_index=failure.get("segmentIndex"),
        )
    errors.seek(0)
    last = errors.read().decode(errors="replace").strip().splitlines()[-1:]
    said = f"; it said: {last[0]}" if last else ""
    if code in _KILLED:
        return OutOfMemory(f"stitch by {plan_uri}: the program was killed, as a machine short of memory does{said}")
    if code in _STOPPED:
        return Unavailable(f"stitch by {plan_uri}: the program was stopped from outside{said}", code=STOPPED)
    return Unavailable(f"stitch by {plan_uri}: the stitch program ended with {code}{said}", code="stitch_program_died")
