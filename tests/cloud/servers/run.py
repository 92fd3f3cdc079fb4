"""A loopback server that speaks the Cloud Run API, and runs `gpu_job` as a process for every task of an execution.

    with RunServer() as server:
        server.deploy(RunJob("stitch-cpu", env={"STORAGE_EMULATOR_HOST": storage.url, "LONGREEL_EMULATED": "on"}))
        engine = CloudRunEngine(Engine.CPU, "demo-p", "us-east4", "stitch-cpu", objects, server.url)
        server.misbehave(kind="run", status=503)                    # any fault of an HTTP server
        server.refuse(400, "Quota exceeded for …", "FAILED_PRECONDITION")    # the next run, in Google's words
        server.next_goes(How(kill_when_it_says="Encoding", task=1)) # the next execution

Kinds of requests: `run`, `get`, `list`, `cancel`, `operation`.
Source: https://cloud.google.com/run/docs/reference/rest/v2/projects.locations.jobs/run and its neighbours.
"""

from __future__ import annotations

import tempfile
import threading
from collections import deque
from pathlib import Path

from tests.cloud.servers.http import Answer, LoopbackServer, Refused, Request
from tests.cloud.servers.run_executions import How, RunExecution, RunJob

__all__ = ["How", "RunExecution", "RunJob", "RunServer"]

_PLACE = r"/v2/(?P<place>projects/[^/]+/locations/[^/]+)"
_JOB = _PLACE + r"/jobs/(?P<job>[^/:]+)"
_EXECUTION = _JOB + r"/executions/(?P<execution>[^/:]+)"
_TYPE = "type.googleapis.com/google.cloud.run.v2.Execution"


class RunServer(LoopbackServer):
    """Cloud Run's jobs on the loopback interface; all projects and regions have the same jobs.

    Args:
        port: 0 for a free one.
    """

    def __init__(self, port: int = 0) -> None:
        super().__init__(port)
        self._root = tempfile.TemporaryDirectory(prefix="longreel-run-")
        self._jobs: dict[str, RunJob] = {}
        self._lock = threading.Lock()
        self._held = False
        #: Every execution so far, the oldest first.
        self.executions: list[RunExecution] = []
        self._refusals: deque[Refused] = deque()
        self._how: deque[How] = deque()
        self.route("POST", _JOB + ":run", "run", self._run)
        self.route("GET", _JOB + "/executions", "list", self._list)
        self.route("GET", _EXECUTION, "get", self._get)
        self.route("POST", _EXECUTION + ":cancel", "cancel", self._cancel)
        self.route("GET", _PLACE + r"/operations/(?P<execution>[^/:]+)", "operation", self._operation)

    def stop(self) -> None:
        """Stop, and kill every process that was started here."""
        super().stop()
        for execution in self.executions:
            execution.end()
        self._root.cleanup()

    def deploy(self, job: RunJob) -> None:
        """Let there be a job; one of the same name is replaced."""
        self._jobs[job.name] = job

    def refuse(self, status: int, message: str, google_status: str) -> None:
        """Answer the next `run` with an error; nothing is started."""
        self._refusals.append(Refused(status, message, google_status))

    def next_goes(self, how: How) -> None:
        """Say how the next execution goes wrong."""
        self._how.append(how)

    def hold(self) -> None:
        """Let new executions wait for `release`."""
        self._held = True

    def release(self) -> None:
        """Let executions start."""
        self._held = False
        for execution in self.executions:
            execution.released.set()

    def wait(self, timeout_seconds: float = 60) -> None:
        """Wait until every execution is over."""
        for execution in self.executions:
            assert execution.over.wait(timeout_seconds), f"{execution.path} goes on: {execution.output.decode()}"

    def _run(self, request: Request) -> Answer:
        asked = request.json()
        if self._refusals:
            raise self._refusals.popleft()
        job = self._job(request)
        overrides = asked.get("overrides", {})
        containers = overrides.get("containerOverrides") or [{}]
        timeout = overrides.get("timeout")
        with self._lock:
            path = f"{request.found['place']}/jobs/{job.name}/executions/{job.name}-{len(self.executions):05d}"
            execution = RunExecution(
                path,
                job,
                list(containers[0].get("args", [])),
                int(timeout.rstrip("s")) if timeout else job.timeout_seconds,
                overrides.get("taskCount") or 1,
                self._how.popleft() if self._how else How(),
                Path(self._root.name),
            )
            self.executions.append(execution)
        if not self._held:
            execution.released.set()
        execution.start()
        return Answer.of_json(_operation(execution))

    def _job(self, request: Request) -> RunJob:
        job = self._jobs.get(request.found["job"])
        if job is None:
            name = f"{request.found['place']}/jobs/{request.found['job']}"
            raise Refused(404, f"Resource '{name}' of kind 'JOB' does not exist", "NOT_FOUND")
        return job

    def _list(self, request: Request) -> Answer:
        job = self._job(request)
        newest_first = [each.resource() for each in reversed(self.executions) if each.job.name == job.name]
        start = int(request.query.get("pageToken") or 0)
        size = int(request.query.get("pageSize") or 100)
        page = {"executions": newest_first[start : start + size]}
        if start + size < len(newest_first):
            page["nextPageToken"] = str(start + size)  # type: ignore[assignment]
        return Answer.of_json(page)

    def _get(self, request: Request) -> Answer:
        return Answer.of_json(self._find(request).resource())

    def _cancel(self, request: Request) -> Answer:
        execution = self._find(request)
        if execution.over.is_set():
            raise Refused(400, "Execution is already complete and cannot be cancelled.", "FAILED_PRECONDITION")
        execution.cancel()
        return Answer.of_json(_operation(execution))

    def _operation(self, request: Request) -> Answer:
        return Answer.of_json(_operation(self._find(request)))

    def _find(self, request: Request) -> RunExecution:
        wanted = request.found["execution"]
        for execution in self.executions:
            if execution.short == wanted:
                return execution
        raise Refused(404, f"Resource '{wanted}' of kind 'EXECUTION' does not exist", "NOT_FOUND")


def _operation(execution: RunExecution) -> dict[str, object]:
    """Give the long-running operation of an execution: done when that is over."""
    place = execution.path.split("/jobs/")[0]
    resource = {"@type": _TYPE, **execution.resource()}
    operation = {"name": f"{place}/operations/{execution.short}", "metadata": resource, "done": execution.over.is_set()}
    return {**operation, "response": resource} if execution.over.is_set() else operation
