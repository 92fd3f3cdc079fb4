"""What a loopback Cloud Run keeps: jobs, and their executions, each a child process that runs the job's command."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

#: google.cloud.run.v2.Condition.State, as numbers, since clients ask for numeric enums.
RECONCILING, FAILED, SUCCEEDED = 2, 3, 4
#: google.cloud.run.v2.Condition.ExecutionReason.
NON_ZERO_EXIT_CODE, CANCELLED = 2, 3
#: How much of what a child says is kept.
OUTPUT_MAX_BYTES = 64 * 1024


@dataclass
class RunJob:
    """A job that is deployed."""

    name: str
    #: Environment of its container beside what Cloud Run adds.
    env: Mapping[str, str] = field(default_factory=dict)
    #: What its image's entry point is; `--work FOLDER` is added, as in infra/gpu_job.Dockerfile.
    entrypoint: Sequence[str] = (sys.executable, "-m", "gpu_job")
    #: Tries after the first.
    max_retries: int = 0
    timeout_seconds: int = 600
    #: How long a task that was told to stop may take before it is killed. Source: Cloud Run's container contract.
    stop_patience_seconds: float = 10


@dataclass
class How:
    """How the next execution goes wrong."""

    #: It waits for a container for ever.
    never_starts: bool = False
    #: Before the container starts.
    start_delay_seconds: float = 0
    #: It is killed with -9 as soon as its output holds this text, once, as one short of memory is.
    kill_when_it_says: str | None = None
    #: The container runs this instead of its command.
    command: Sequence[str] | None = None
    #: Runs twice at once, as after a maintenance event gone wrong.
    twice: bool = False
    #: The condition's text in the end, such as a quota that was exceeded; nothing is run.
    fails_with: str | None = None
    #: The condition's `reason` then: a google.cloud.run.v2.Condition.CommonReason.
    common_reason: int | None = None


class RunExecution:
    """One execution: a thread that starts the container's process, again where it may."""

    def __init__(self, path: str, job: RunJob, args: list[str], timeout_seconds: int, how: How, root: Path) -> None:
        self.path = path
        self.args = args
        self.job = job
        self._timeout_seconds = timeout_seconds
        self._how = how
        self._root = root
        self._created_at = _now()
        self._started_at: str | None = None
        self._completed_at: str | None = None
        self._condition: dict[str, Any] = {"type": "Completed", "state": RECONCILING}
        self._lock = threading.Lock()
        self._children: list[subprocess.Popen[bytes]] = []
        self._cancelled = threading.Event()
        self._kill_at = how.kill_when_it_says
        self._retried = 0
        #: Exit codes of the tries so far.
        self.exit_codes: list[int] = []
        #: What the children said, their logs.
        self.output = b""
        self.over = threading.Event()
        self.released = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def resource(self) -> dict[str, Any]:
        """Give the Execution as the API does."""
        with self._lock:
            state, running = self._condition["state"], self._started_at is not None and self._completed_at is None
            said = {
                "name": self.path,
                "job": self.job.name,
                "createTime": self._created_at,
                "startTime": self._started_at,
                "completionTime": self._completed_at,
                "taskCount": 1,
                "parallelism": 1,
                "template": {"containers": [{"args": self.args}], "timeout": f"{self._timeout_seconds}s"},
                "reconciling": not self.over.is_set(),
                "conditions": [dict(self._condition)],
                "runningCount": int(running),
                "succeededCount": int(state == SUCCEEDED),
                "failedCount": int(state == FAILED and not self._cancelled.is_set()),
                "cancelledCount": int(state == FAILED and self._cancelled.is_set()),
                "retriedCount": min(1, self._retried),
                "logUri": f"https://console.cloud.google.com/logs/{self.short}",
            }
        return {name: value for name, value in said.items() if value is not None}

    @property
    def short(self) -> str:
        return self.path.rpartition("/")[2]

    def child_pids(self) -> list[int]:
        """Give the processes that run now."""
        with self._lock:
            return [child.pid for child in self._children if child.poll() is None]

    def cancel(self) -> None:
        """Tell the processes to stop; those that do not are killed."""
        self._cancelled.set()
        self.released.set()
        self._signal(signal.SIGTERM)

    def end(self) -> None:
        """Kill what runs and wait for the end."""
        self._cancelled.set()
        self.released.set()
        self._signal(signal.SIGKILL)
        if self._thread.ident is not None:
            self._thread.join()

    def _signal(self, number: int) -> None:
        with self._lock:
            for child in self._children:
                with contextlib.suppress(ProcessLookupError):
                    child.send_signal(number)

    def _work(self) -> None:
        self.released.wait()
        if self._how.fails_with is not None:
            return self._complete(FAILED, self._how.fails_with, reason=self._how.common_reason)
        if self._how.never_starts:
            self._cancelled.wait()
        self._cancelled.wait(self._how.start_delay_seconds)
        for attempt in range(self.job.max_retries + 1):
            if self._cancelled.is_set():
                break
            self._retried = attempt
            self.exit_codes.append(self._try(attempt))
            if self.exit_codes[-1] == 0:
                return self._complete(SUCCEEDED, "Execution completed successfully.")
        if self._cancelled.is_set():
            return self._complete(FAILED, "The execution was cancelled.", executionReason=CANCELLED)
        # As Cloud Run words it.
        text = f"Task {self.short}-task0 failed with message: The container exited with an error."
        return self._complete(FAILED, text, executionReason=NON_ZERO_EXIT_CODE)

    def _complete(self, state: int, message: str, **reason: int | None) -> None:
        with self._lock:
            self._condition = {"type": "Completed", "state": state, "message": message}
            self._condition |= {name: number for name, number in reason.items() if number is not None}
            self._completed_at = _now()
        self.over.set()

    def _try(self, attempt: int) -> int:
        with tempfile.TemporaryDirectory(prefix="task-", dir=self._root) as work:
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
        told = {
            "CLOUD_RUN_JOB": self.job.name,
            "CLOUD_RUN_EXECUTION": self.short,
            "CLOUD_RUN_TASK_INDEX": "0",
            "CLOUD_RUN_TASK_ATTEMPT": str(attempt),
            "CLOUD_RUN_TASK_COUNT": "1",
        }
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
        command = self._how.command or [*self.job.entrypoint, "--work", work, *self.args]
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**kept, **self.job.env, **told},
            cwd=Path(__file__).parents[3],
            start_new_session=True,
        )
        with self._lock:
            self._children.append(child)
            self._started_at = self._started_at or _now()
        return child

    def _read(self, child: subprocess.Popen[bytes]) -> None:
        assert child.stdout is not None
        with child.stdout:
            for line in child.stdout:
                self.output = (self.output + line)[-OUTPUT_MAX_BYTES:]
                if (text := self._kill_at) and text.encode() in line:
                    self._kill_at = None
                    child.kill()

    def _wait(self, child: subprocess.Popen[bytes]) -> int:
        """Wait for a process, in slices, so that a cancelled or overdue one is stopped in time."""
        left = float(self._timeout_seconds)
        while left > 0 and not self._cancelled.is_set():
            try:
                return _exit_code(child.wait(0.05))
            except subprocess.TimeoutExpired:
                left -= 0.05
        child.terminate()
        try:
            return _exit_code(child.wait(self.job.stop_patience_seconds))
        except subprocess.TimeoutExpired:
            child.kill()
            return _exit_code(child.wait())


def _exit_code(status: int) -> int:
    """Give the exit code as a container tells it: 128 and the signal's number where a signal ended it."""
    return status if status >= 0 else 128 - status


def _now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")
