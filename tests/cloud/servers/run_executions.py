"""What a loopback Cloud Run keeps: executions of jobs, each of one task or more that run side by side."""

from __future__ import annotations

import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.cloud.servers.run_tasks import How, RunJob, RunTask

__all__ = ["How", "RunExecution", "RunJob"]

#: google.cloud.run.v2.Condition.State, as numbers, since clients ask for numeric enums.
RECONCILING, FAILED, SUCCEEDED = 2, 3, 4
#: google.cloud.run.v2.Condition.ExecutionReason.
NON_ZERO_EXIT_CODE, CANCELLED = 2, 3


class RunExecution:
    """One execution: a thread that runs its tasks.

    Args:
        path: its full name.
        job: what it is an execution of.
        args: of the container.
        timeout_seconds: how long each try of a task may take.
        task_count: 1 or more.
        how: what goes wrong.
        root: for the containers' files.
    """

    def __init__(
        self, path: str, job: RunJob, args: list[str], timeout_seconds: int, task_count: int, how: How, root: Path
    ) -> None:
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
        self._cancelled = threading.Event()
        self.tasks = [
            RunTask(job, how, args, self._told(index, task_count), timeout_seconds, self._cancelled)
            for index in range(task_count)
        ]
        self.over = threading.Event()
        self.released = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def resource(self) -> dict[str, Any]:
        """Give the Execution as the API does."""
        with self._lock:
            said = {
                "name": self.path,
                "job": self.job.name,
                "createTime": self._created_at,
                "startTime": self._started_at,
                "completionTime": self._completed_at,
                "taskCount": len(self.tasks),
                "parallelism": self.job.parallelism or len(self.tasks),
                "template": {"containers": [{"args": self.args}], "timeout": f"{self._timeout_seconds}s"},
                "reconciling": not self.over.is_set(),
                "conditions": [dict(self._condition)],
                **self._counts(),
                "logUri": f"https://console.cloud.google.com/logs/{self.short}",
            }
        return {name: value for name, value in said.items() if value is not None}

    def _counts(self) -> dict[str, int]:
        succeeded = sum(task.has_succeeded for task in self.tasks)
        running = len(self.tasks) - succeeded if self._started_at and not self._completed_at else 0
        ended_badly = len(self.tasks) - succeeded if self._condition["state"] == FAILED else 0
        return {
            "runningCount": running,
            "succeededCount": succeeded,
            "failedCount": 0 if self._cancelled.is_set() else ended_badly,
            "cancelledCount": ended_badly if self._cancelled.is_set() else 0,
            "retriedCount": sum(len(task.exit_codes) > 1 for task in self.tasks),
        }

    @property
    def short(self) -> str:
        return self.path.rpartition("/")[2]

    @property
    def exit_codes(self) -> list[int]:
        """Give the exit codes of all tries so far, those of the first task first."""
        return [code for task in self.tasks for code in task.exit_codes]

    @property
    def output(self) -> bytes:
        """Give what all tasks said, their logs, those of the first one first."""
        return b"".join(task.output for task in self.tasks)

    def child_pids(self) -> list[int]:
        """Give the processes that run now."""
        return [pid for task in self.tasks for pid in task.child_pids()]

    def cancel(self) -> None:
        """Tell the processes to stop; those that do not are killed."""
        self._stop(signal.SIGTERM)

    def end(self) -> None:
        """Kill what runs and wait for the end."""
        self._stop(signal.SIGKILL)
        if self._thread.ident is not None:
            self._thread.join()

    def _stop(self, number: int) -> None:
        self._cancelled.set()
        self.released.set()
        for task in self.tasks:
            task.send(number)

    def _told(self, index: int, task_count: int) -> dict[str, str]:
        return {
            "CLOUD_RUN_JOB": self.job.name,
            "CLOUD_RUN_EXECUTION": self.short,
            "CLOUD_RUN_TASK_INDEX": str(index),
            "CLOUD_RUN_TASK_COUNT": str(task_count),
        }

    def _work(self) -> None:
        self.released.wait()
        if self._how.fails_with is not None:
            return self._complete(FAILED, self._how.fails_with, reason=self._how.common_reason)
        if self._how.never_starts:
            self._cancelled.wait()
        self._cancelled.wait(self._how.start_delay_seconds)
        if not self._cancelled.is_set():
            self._started_at = _now()
            with ThreadPoolExecutor(self.job.parallelism or len(self.tasks)) as pool:
                list(pool.map(lambda task: task.run(self._root), self.tasks))
        if all(task.has_succeeded for task in self.tasks):
            return self._complete(SUCCEEDED, "Execution completed successfully.")
        if self._cancelled.is_set():
            return self._complete(FAILED, "The execution was cancelled.", executionReason=CANCELLED)
        # As Cloud Run words it.
        failed, why = next((index, task.why) for index, task in enumerate(self.tasks) if not task.has_succeeded)
        text = f"Task {self.short}-task{failed} failed with message: {why}"
        return self._complete(FAILED, text, executionReason=NON_ZERO_EXIT_CODE)

    def _complete(self, state: int, message: str, **reason: int | None) -> None:
        with self._lock:
            self._condition = {"type": "Completed", "state": state, "message": message}
            self._condition |= {name: number for name, number in reason.items() if number is not None}
            self._completed_at = _now()
        self.over.set()


def _now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")
