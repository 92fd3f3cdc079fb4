"""One task of an execution on the loopback Cloud Run: its tries, each a child process that runs the job's command."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

#: How much of what a child says is kept.
OUTPUT_MAX_BYTES = 64 * 1024
#: As Cloud Run words them. Source: see adapters/cloud_run_ends.py.
_ENDED_BADLY = "The container exited with an error."
_OUT_OF_MEMORY = "The configured memory limit was reached."
_OUT_OF_TIME = "The configured timeout was reached."


@dataclass
class RunJob:
    """A job that is deployed."""

    name: str
    #: Environment of its container beside what Cloud Run adds.
    env: Mapping[str, str] = field(default_factory=dict)
    #: What its image's entry point is; `--work FOLDER` is added, as in infra/gpu_job.Dockerfile.
    entrypoint: Sequence[str] = (sys.executable, "-m", "gpu_job")
    #: Tries of a task after the first.
    max_retries: int = 0
    timeout_seconds: int = 600
    #: Tasks of an execution that run at the same time; 0 for all.
    parallelism: int = 0
    #: How long a task that was told to stop may take before it is killed. Source: Cloud Run's container contract.
    stop_patience_seconds: float = 10


@dataclass
class How:
    """How the next execution goes wrong."""

    #: It waits for a container for ever.
    never_starts: bool = False
    #: Before the container starts.
    start_delay_seconds: float = 0
    #: A task is killed with -9 as soon as its output holds this text, once, as one short of memory is.
    kill_when_it_says: str | None = None
    #: What Cloud Run says of it then; without more, a memory limit is met as silently as any other death.
    is_out_of_memory: bool = False
    #: A task's time is up as soon as its output holds this text, once: it is told to stop, and later killed.
    time_is_up_when_it_says: str | None = None
    #: A task stands still from the moment when its output holds this text, once, as on a machine that hangs.
    freeze_when_it_says: str | None = None
    #: Which task that happens to.
    task: int = 0
    #: The container runs this instead of its command.
    command: Sequence[str] | None = None
    #: Runs twice at once, as after a maintenance event gone wrong.
    twice: bool = False
    #: The condition's text in the end, such as a quota that was exceeded; nothing is run.
    fails_with: str | None = None
    #: The condition's `reason` then: a google.cloud.run.v2.Condition.CommonReason.
    common_reason: int | None = None


class RunTask:
    """A task: its container's process is started, again where it may.

    Args:
        job: whose container it is.
        how: what goes wrong.
        args: of the container.
        told: what Cloud Run adds to its environment, but for the try's number.
        timeout_seconds: how long each try may take.
        cancelled: set when it is to stop.
    """

    def __init__(
        self,
        job: RunJob,
        how: How,
        args: Sequence[str],
        told: Mapping[str, str],
        timeout_seconds: int,
        cancelled: threading.Event,
    ) -> None:
        self._job = job
        self._how = how
        self._args = args
        self._told = told
        self._timeout_seconds = timeout_seconds
        self._cancelled = cancelled
        self._lock = threading.Lock()
        self._children: list[subprocess.Popen[bytes]] = []
        is_meant = told["CLOUD_RUN_TASK_INDEX"] == str(how.task)
        self._kill_at = how.kill_when_it_says if is_meant else None
        self._freeze_at = how.freeze_when_it_says if is_meant else None
        self._late_at = how.time_is_up_when_it_says if is_meant else None
        self._is_late = threading.Event()
        #: Why the latest try ended badly, as Cloud Run words it.
        self.why = _ENDED_BADLY
        #: Exit codes of the tries so far.
        self.exit_codes: list[int] = []
        #: What the children said, their logs.
        self.output = b""

    @property
    def has_succeeded(self) -> bool:
        return self.exit_codes[-1:] == [0]

    def child_pids(self) -> list[int]:
        """Give the processes that run now."""
        with self._lock:
            return [child.pid for child in self._children if child.poll() is None]

    def send(self, number: int) -> None:
        """Send every process a signal."""
        with self._lock:
            for child in self._children:
                with contextlib.suppress(ProcessLookupError):
                    child.send_signal(number)

    def run(self, root: Path) -> None:
        """Try until one try ends well, or as often as may be."""
        for attempt in range(self._job.max_retries + 1):
            if self._cancelled.is_set() or self.has_succeeded:
                break
            self.exit_codes.append(self._try(attempt, root))

    def _try(self, attempt: int, root: Path) -> int:
        self.why = _ENDED_BADLY
        with tempfile.TemporaryDirectory(prefix="task-", dir=root) as work:
            children = [self._child(attempt, f"{work}/{number}") for number in range(1 + self._how.twice)]
            readers = [threading.Thread(target=self._read, args=(child,), daemon=True) for child in children]
            for reader in readers:
                reader.start()
            codes = [self._wait(child) for child in children]
            for reader in readers:
                reader.join()
            shutil.rmtree(work, ignore_errors=True)
            Path(work).mkdir()
        return max(codes)

    def _child(self, attempt: int, work: str) -> subprocess.Popen[bytes]:
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
        command = self._how.command or [*self._job.entrypoint, "--work", work, *self._args]
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**kept, **self._job.env, **self._told, "CLOUD_RUN_TASK_ATTEMPT": str(attempt)},
            cwd=Path(__file__).parents[3],
            start_new_session=True,
        )
        with self._lock:
            self._children.append(child)
        return child

    def _read(self, child: subprocess.Popen[bytes]) -> None:
        assert child.stdout is not None
        with child.stdout:
            for line in child.stdout:
                self.output = (self.output + line)[-OUTPUT_MAX_BYTES:]
                if (text := self._kill_at) and text.encode() in line:
                    self._kill_at = None
                    self.why = _OUT_OF_MEMORY if self._how.is_out_of_memory else _ENDED_BADLY
                    child.kill()
                if (text := self._late_at) and text.encode() in line:
                    self._late_at = None
                    self._is_late.set()
                if (text := self._freeze_at) and text.encode() in line:
                    self._freeze_at = None
                    child.send_signal(signal.SIGSTOP)

    def _wait(self, child: subprocess.Popen[bytes]) -> int:
        """Wait for a process, in slices, so that a cancelled or overdue one is stopped in time."""
        end = time.monotonic() + self._timeout_seconds
        while time.monotonic() < end and not self._cancelled.is_set() and not self._is_late.is_set():
            try:
                return _exit_code(child.wait(0.05))
            except subprocess.TimeoutExpired:
                continue
        self._is_late.clear()
        self.why = _OUT_OF_TIME
        child.terminate()
        try:
            return _exit_code(child.wait(self._job.stop_patience_seconds))
        except subprocess.TimeoutExpired:
            child.kill()
            return _exit_code(child.wait())


def _exit_code(status: int) -> int:
    """Give the exit code as a container tells it: 128 and the signal's number where a signal ended it."""
    return status if status >= 0 else 128 - status
