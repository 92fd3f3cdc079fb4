"""A loopback server that speaks the Transcoder API (REST v1) to Google's own client, and really makes the films.

    with TranscoderServer() as server:
        engine = TranscoderEngine(project, "us-central1", "transcoder_reports", objects, endpoint=server.url)
        server.misbehave(kind="create", status=503)            # a request goes wrong
        server.misbehave_job(JobFault(reports=2))              # a job goes wrong
        ...
        server.wait()

Inputs and films are objects of the storage server that STORAGE_EMULATOR_HOST names; reports are published through
Google's own client where PUBSUB_EMULATOR_HOST is set, and always kept in `reports`.

Kinds of requests: `create`, `get`, `list`, `delete`.
"""

from __future__ import annotations

import json
import os
import re
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from google.cloud.video.transcoder_v1.types import Job
from google.protobuf.json_format import ParseError

from tests.cloud.servers.http import Answer, LoopbackServer, Refused, Request
from tests.cloud.servers.transcoder_checks import first_fault
from tests.cloud.servers.transcoder_film import JobFailed, made, store

#: Google answers with the project's number, whatever the client called it.
PROJECT_NUMBER = "482913375001"

_PARENT = r"/v1/projects/(?P<project>[^/]+)/locations/(?P<location>[^/]+)/jobs"
_CONDITION = re.compile(r'labels\.(?P<key>[a-z][a-z0-9_-]*)\s*[=:]\s*"?(?P<value>[a-z0-9_-]*)"?')

#: Processors that the films of all jobs share.
_ENCODERS = threading.Semaphore(2)

_State, _Mode = Job.ProcessingState, Job.ProcessingMode


@dataclass(frozen=True)
class JobFault:
    """What goes wrong with the next job."""

    #: `google.rpc.Status` that it ends with; None for none.
    error: dict[str, Any] | None = None
    #: Waited while it runs.
    slow_seconds: float = 0
    #: How often it reports: 0 is never, 2 is twice.
    reports: int = 1
    #: It says SUCCEEDED, and there is no film.
    lose_film: bool = False


@dataclass
class _Kept:
    """One job, as it is here."""

    job: Job
    fault: JobFault
    thread: threading.Thread | None = None


@dataclass(frozen=True)
class Limits:
    """How many jobs there may be at once. Source: the Transcoder API's page on quotas."""

    interactive: int = 20
    batch_running: int = 10
    batch_pending: int = 10_000


@dataclass
class _Jobs:
    """All jobs by their ids, in the order in which they were created; held while it is looked at or changed."""

    by_id: dict[str, _Kept] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def count(self, mode: _Mode, *states: _State) -> int:
        return sum(kept.job.mode == mode and kept.job.state in states for kept in self.by_id.values())


class TranscoderServer(LoopbackServer):
    """The Transcoder API on the loopback interface.

    Args:
        limits: how many jobs there may be at once.
        held: jobs wait until `release`.
        port: 0 for a free one.
    """

    def __init__(self, limits: Limits | None = None, *, held: bool = False, port: int = 0) -> None:
        super().__init__(port)
        self.limits = limits or Limits()
        #: Every report that was published, in order.
        self.reports: list[dict[str, Any]] = []
        self._held = held
        self._jobs = _Jobs()
        self._faults: deque[JobFault] = deque()
        self._created = 0
        self.route("POST", _PARENT, "create", self._create)
        self.route("GET", _PARENT, "list", self._list)
        self.route("GET", _PARENT + "/(?P<job>[^/]+)", "get", self._get)
        self.route("DELETE", _PARENT + "/(?P<job>[^/]+)", "delete", self._delete)

    def stop(self) -> None:
        self.stopping.set()
        self.wait()
        super().stop()

    def misbehave_job(self, fault: JobFault, times: int = 1) -> None:
        """Queue a fault for the next jobs that are created."""
        self._faults.extend([fault] * times)

    def created(self) -> list[Job]:
        """Give every job that was created and not deleted, in order."""
        with self._jobs.lock:
            return [Job(kept.job) for kept in self._jobs.by_id.values()]

    def relabel(self, name: str, labels: dict[str, str]) -> None:
        """Give a job other labels, as if somebody else had created it."""
        with self._jobs.lock:
            self._jobs.by_id[name.rpartition("/")[2]].job.labels = labels

    def hold(self) -> None:
        """Let jobs that come wait until `release`."""
        self._held = True

    def release(self) -> None:
        """Let jobs that are held, and those that come, run."""
        self._held = False
        self._start_next()

    def wait(self, seconds: float = 60) -> None:
        """Wait until every job that runs has ended."""
        deadline = time.monotonic() + seconds
        while threads := [kept.thread for kept in self._running()]:
            for thread in threads:
                if thread is not None:
                    thread.join(max(0.0, deadline - time.monotonic()))
            assert time.monotonic() < deadline, f"jobs still run after {seconds} s"

    def _running(self) -> list[_Kept]:
        with self._jobs.lock:
            return [kept for kept in self._jobs.by_id.values() if kept.thread is not None and kept.thread.is_alive()]

    # Requests.

    def _create(self, request: Request) -> Answer:
        job = _read(request)
        if (fault := first_fault(job)) is not None:
            raise Refused(400, f"The request was invalid: {fault}", "INVALID_ARGUMENT")
        job.mode = job.mode or _Mode.PROCESSING_MODE_INTERACTIVE
        job.ttl_after_completion_days = job.ttl_after_completion_days or 30
        with self._jobs.lock:
            self._refuse_too_many(job.mode)
            self._created += 1
            job_id = f"{self._created:08x}-0000-4000-8000-{request.found['location'].encode().hex()[:12]:0>12}"
            job.name = f"projects/{PROJECT_NUMBER}/locations/{request.found['location']}/jobs/{job_id}"
            job.state, job.create_time = _State.PENDING, datetime.now(UTC)
            self._jobs.by_id[job_id] = _Kept(job, self._faults.popleft() if self._faults else JobFault())
            answer = _answer(job)
        self._start_next()
        return answer

    def _refuse_too_many(self, mode: _Mode) -> None:
        limits, count = self.limits, self._jobs.count
        if mode == _Mode.PROCESSING_MODE_BATCH:
            full = count(mode, _State.PENDING) >= limits.batch_pending
        else:
            full = count(mode, _State.PENDING, _State.RUNNING) >= limits.interactive
        if full:
            text = f"Quota exceeded for quota metric 'Concurrent {_Mode(mode).name} jobs'"
            raise Refused(429, text, "RESOURCE_EXHAUSTED")

    def _list(self, request: Request) -> Answer:
        wanted = _conditions(request.query.get("filter", ""))
        with self._jobs.lock:
            every = [kept.job for kept in self._jobs.by_id.values()]
        found = [job for job in every if wanted.items() <= dict(job.labels).items()]
        size = int(request.query.get("pageSize") or 100)
        start = int(request.query.get("pageToken") or 0)
        page: dict[str, Any] = {"jobs": [_value(job) for job in found[start : start + size]]}
        if start + size < len(found):
            page["nextPageToken"] = str(start + size)
        return Answer.of_json(page)

    def _get(self, request: Request) -> Answer:
        with self._jobs.lock:
            return _answer(self._known(request).job)

    def _delete(self, request: Request) -> Answer:
        with self._jobs.lock:
            if request.query.get("allowMissing") != "true":
                self._known(request)
            self._jobs.by_id.pop(request.found["job"], None)
        self._start_next()
        return Answer.of_json({})

    def _known(self, request: Request) -> _Kept:
        kept = self._jobs.by_id.get(request.found["job"])
        if kept is None:
            raise Refused(404, f"The resource '{request.path.removeprefix('/v1/')}' was not found", "NOT_FOUND")
        return kept

    # Jobs.

    def _start_next(self) -> None:
        with self._jobs.lock:
            for kept in self._jobs.by_id.values():
                batch = kept.job.mode == _Mode.PROCESSING_MODE_BATCH
                full = batch and self._jobs.count(kept.job.mode, _State.RUNNING) >= self.limits.batch_running
                if self._held or full or kept.job.state != _State.PENDING:
                    continue
                kept.job.state, kept.job.start_time = _State.RUNNING, datetime.now(UTC)
                kept.thread = threading.Thread(target=self._run, args=(kept,), daemon=True)
                kept.thread.start()

    def _run(self, kept: _Kept) -> None:
        if self.stopping.wait(kept.fault.slow_seconds):
            return
        error = kept.fault.error
        try:
            if error is None:
                self._make(kept)
        except JobFailed as exc:
            error = exc.status
        except Exception as exc:  # noqa: BLE001 - `stop` shows it
            self.failures.append(repr(exc))
        if self._end(kept, error):
            for _ in range(kept.fault.reports):
                self._report(kept.job)
        self._start_next()

    def _make(self, kept: _Kept) -> None:
        with _ENCODERS, made(kept.job.config) as film:
            if self._is_known(kept) and not kept.fault.lose_film:
                store(kept.job.config, film)

    def _is_known(self, kept: _Kept) -> bool:
        with self._jobs.lock:
            return any(other is kept for other in self._jobs.by_id.values())

    def _end(self, kept: _Kept, error: dict[str, Any] | None) -> bool:
        """End a job; give whether it is still there to report."""
        ended = {"state": "FAILED", "error": error} if error else {"state": "SUCCEEDED"}
        with self._jobs.lock:
            kept.job = Job.from_json(json.dumps(_value(kept.job) | ended))
            kept.job.end_time = datetime.now(UTC)
        return self._is_known(kept)

    def _report(self, job: Job) -> None:
        """Publish the end of a job. Source: the Transcoder API's page on Pub/Sub notifications."""
        value = _value(job)
        said: dict[str, Any] = {"name": job.name, "state": _State(job.state).name}
        if "error" in value:
            said["error"] = value["error"]
        report = {"job": said}
        self.reports.append(report)
        if os.environ.get("PUBSUB_EMULATOR_HOST") and job.config.pubsub_destination.topic:
            from google.cloud import pubsub_v1

            with pubsub_v1.PublisherClient() as publisher:
                publisher.publish(job.config.pubsub_destination.topic, json.dumps(report).encode()).result(30)


def _read(request: Request) -> Job:
    try:
        return Job.from_json(request.body().decode(), ignore_unknown_fields=False)
    except (ParseError, ValueError) as exc:
        raise Refused(400, f"Invalid JSON payload received. {exc}", "INVALID_ARGUMENT") from exc


def _value(job: Job) -> dict[str, Any]:
    text = Job.to_json(job, use_integers_for_enums=False, always_print_fields_with_no_presence=False)
    value: dict[str, Any] = json.loads(text)
    return value


def _answer(job: Job) -> Answer:
    return Answer.of_json(_value(job))


def _conditions(text: str) -> dict[str, str]:
    """Read the part of AIP-160 that we know: equal labels, joined by AND."""
    found = {}
    for part in filter(None, text.split(" AND ")):
        condition = _CONDITION.fullmatch(part.strip())
        if condition is None:
            raise Refused(400, f"Invalid filter: {part!r}", "INVALID_ARGUMENT")
        found[condition["key"]] = condition["value"]
    return found
