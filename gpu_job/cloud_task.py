"""What a container on Cloud Run is told by its environment, and the papers that it leaves beside its plan.

    progress.json   {"execution": …, "taskAttempt": 0, "percent": 40, "message": "Encoding… 2 of 7 parts are done"}
    error.json      {"execution": …, "taskAttempt": 0, "code": …, "message": …, "retryable": …, "segmentIndex": …}

Of several tasks, those behind the first write `progress-1.json`, `progress-2.json`, …; each writes its own anew as long
as it lives, and at its end with `"ended": true`, so that one that hangs can be told from one that has done its share.

Source of the variables: https://cloud.google.com/run/docs/container-contract#jobs-env-vars.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import IO, Any

from events.errors import BadMessage, InvalidRequest, PipelineError
from events.log_lines import LABELS, LABELS_FIELD, fields, redacted
from events.names import uri_fault
from events.own_words import own_words
from gpu_job.cloud_objects import CloudObjects
from gpu_job.peak_memory import peak_memory_bytes
from gpu_job.reporter import Reporter

#: Shortest time between two progress lines: each is a line of the log and a paid write.
_INTERVAL_SECONDS = 10

PROGRESS, ERROR = "progress.json", "error.json"

#: Type of a line → what it is about in the log, and how bad that is.
_LOGGED = {
    "progress": ("stitching", "INFO"),
    "note": ("note", "INFO"),
    "result": ("stitched", "INFO"),
    "error": ("stitch_failed", "ERROR"),
}
_WORK = re.compile(r"/jobs/(?P<job>[^/]+)/stitch/(?P<attempt>[0-9]+)$")


@dataclass(frozen=True, slots=True)
class CloudTask:
    """One try of one task of an execution."""

    #: The project that everything is in.
    project: str
    #: 0-based; each task makes its share of what is encoded.
    index: int = 0
    #: 0-based number of this try, counted up when the platform starts the container again.
    attempt: int = 0
    #: Name of the execution; empty elsewhere than on Cloud Run.
    execution: str = ""
    #: How many tasks the execution has.
    count: int = 1


def read_task(environment: Mapping[str, str]) -> CloudTask:
    """Read what Cloud Run says of this container; elsewhere it is the first try of the only task.

    Args:
        environment: GOOGLE_CLOUD_PROJECT, which the job's own configuration must set, and what Cloud Run adds.

    Raises:
        InvalidRequest: a variable is missing or cannot be used; names it.
    """
    if environment.get("STORAGE_EMULATOR_HOST") and environment.get("LONGREEL_EMULATED") != "on":
        raise InvalidRequest(
            "STORAGE_EMULATOR_HOST", "is only for emulators; remove it, or set LONGREEL_EMULATED=on on a laptop"
        )
    if not environment.get("GOOGLE_CLOUD_PROJECT"):
        raise InvalidRequest("GOOGLE_CLOUD_PROJECT", "must be given; infra/ sets it for the jobs")
    return CloudTask(
        project=environment["GOOGLE_CLOUD_PROJECT"],
        index=_number(environment, "CLOUD_RUN_TASK_INDEX"),
        count=max(1, _number(environment, "CLOUD_RUN_TASK_COUNT")),
        attempt=_number(environment, "CLOUD_RUN_TASK_ATTEMPT"),
        execution=environment.get("CLOUD_RUN_EXECUTION", ""),
    )


def _number(environment: Mapping[str, str], name: str) -> int:
    text = environment.get(name) or "0"
    if not text.isascii() or not text.isdecimal():
        raise InvalidRequest(name, f"should be a number, not {text!r}")
    return int(text)


class CloudReporter(Reporter):
    """Says the same lines, at most one every ten seconds, and leaves progress and errors where others can read them.

    Args:
        out: the container's log.
        objects: where the papers go.
        plan_uri: `gs://bucket/…/plan.json`; the papers lie beside it.
        task: stands in the papers.
    """

    def __init__(self, out: IO[str], objects: CloudObjects, plan_uri: str, task: CloudTask) -> None:
        super().__init__(out, interval_seconds=_INTERVAL_SECONDS)
        self._objects = objects
        self._folder = plan_uri.rpartition("/")[0]
        self._task = task
        self._progress = f"progress-{task.index}.json" if task.index else PROGRESS
        self._last: dict[str, Any] | None = None
        self._began_at = self._clock()
        self._own_words = ""

    def final_failure(self) -> dict[str, Any] | None:
        """Give the error line of another try or task of this execution that no other can mend; None without one."""
        if self._task.attempt == 0 and self._task.count == 1:
            return None
        paper = self._objects.read(f"{self._folder}/{ERROR}")
        try:
            said = json.loads(paper) if paper else {}
            same = said.get("execution") == self._task.execution
        except (ValueError, AttributeError):
            return None  # Somebody else's paper under our name.
        return said if same and said.get("retryable") is False else None

    def end(self) -> None:
        """Leave word that nothing more comes of this task, if it has left any."""
        if self._last is not None:
            self._leave(self._progress, {**self._last, "percent": self._reached, "ended": True})

    def error(self, error: PipelineError, segment_index: int | None = None) -> None:
        """Say what went wrong: to the job in whole, to the log without what others said."""
        self._own_words = own_words(error)
        super().error(error, segment_index)

    def _write(self, line: dict[str, Any]) -> None:
        if line["type"] == "progress":
            self._last = line
            self._leave(self._progress, line)
        if line["type"] == "error" and not self._is_failed_for_good():
            self._leave(ERROR, line)
        super()._write(self._logged(line))

    def _logged(self, line: dict[str, Any]) -> dict[str, Any]:
        """Give a line as Cloud Logging reads it, with the fields and the labels that a decision's line has."""
        action, severity = _LOGGED[line["type"]]
        job_id, attempt = _work_of(self._folder)
        is_made = line["type"] == "result"
        [ours] = fields(
            action=action,
            job_id=job_id,
            attempt=attempt,
            error_code=line.get("code"),
            peak_memory_bytes=peak_memory_bytes() if is_made else None,
            wall_ms=round((self._clock() - self._began_at) * 1000) if is_made else None,
        ).values()
        labels = {name: str(ours[name]) for name in LABELS if name in ours}
        # What FFmpeg says may quote what it was told to read.
        said = self._own_words if action == "stitch_failed" else line.get("message")
        message = redacted(str(said or action))
        return {**line, "severity": severity, **ours, "message": message, LABELS_FIELD: labels}

    def _is_failed_for_good(self) -> bool:
        """Tell whether what becomes of this task would hide why another one's failure is the end of it all."""
        try:
            return self.final_failure() is not None
        except PipelineError:
            return False

    def _leave(self, name: str, line: dict[str, Any]) -> None:
        task = {"execution": self._task.execution, "taskAttempt": self._task.attempt}
        said = {key: value for key, value in line.items() if key != "type"}
        try:
            self._objects.write(f"{self._folder}/{name}", json.dumps({**task, **said}, ensure_ascii=False).encode())
        except PipelineError as exc:
            # The film matters more than its progress bar, and the exit code says the rest.
            sys.stderr.write(redacted(f"leave {name} beside the plan: {own_words(exc)}\n"))


def _work_of(folder: str) -> tuple[str | None, int | None]:
    """Give the job and the attempt that a plan's folder is named after; None for one that somebody made by hand."""
    found = _WORK.search(folder)
    return (found["job"], int(found["attempt"])) if found else (None, None)


def open_cloud(
    plan_uri: str, environment: Mapping[str, str], out: IO[str]
) -> tuple[CloudObjects, CloudReporter, CloudTask]:
    """Open Cloud Storage for the stitch of one plan; nobody is asked yet.

    Raises:
        BadMessage: the environment or the plan's address cannot be used.
    """
    from adapters.gcs import CloudObjectStore
    from adapters.gcs_client import storage_client

    task = read_task(environment)
    if fault := uri_fault(plan_uri):
        raise BadMessage(f"read the plan {plan_uri!r}: it {fault}")
    objects = CloudObjects(CloudObjectStore(partial(storage_client, task.project)))
    return objects, CloudReporter(out, objects, plan_uri, task), task
