"""The Cloud Run API, over REST: run a job, look at an execution, cancel it. The only file that imports it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from adapters.google_errors import retry_after_seconds, translated
from events.errors import LimitExceeded, NotAllowed, NotFound, PipelineError, Unavailable

if TYPE_CHECKING:
    from google.api_core.exceptions import GoogleAPICallError
    from google.cloud import run_v2

#: How long a call may take; the claim of a start holds for longer.
CALL_SECONDS: Final = 30

#: What lets a service account run our jobs with arguments, and cancel them.
#: Source: https://cloud.google.com/run/docs/execute/jobs, "Required roles".
ROLE: Final = "roles/run.jobsExecutorWithOverrides and roles/run.viewer"

#: Executions that are looked through for one of ours; the API gives the newest first.
_LOOKED_THROUGH_MAX = 100


@dataclass(frozen=True, slots=True)
class Execution:
    """One run of a job."""

    #: `projects/…/locations/…/jobs/…/executions/…`.
    name: str
    #: None while it waits or runs.
    succeeded: bool | None
    #: Whether a container of it has started.
    started: bool
    created_at: datetime | None
    #: What Cloud Run says about it; may be empty.
    message: str
    #: Its word for why it ended, such as `NON_ZERO_EXIT_CODE`; empty where it has none.
    reason: str
    #: Where a person can read its log.
    log_url: str


class RunApi:
    """Cloud Run's jobs of one project and region; connects at the first call.

    Args:
        project: the project's id.
        region: such as `us-east4`.
        endpoint: `http://host:port` of a server on this machine; None for Google's.
    """

    def __init__(self, project: str, region: str, endpoint: str | None = None) -> None:
        self._project = project
        self._region = region
        self._endpoint = endpoint

    def run(self, job: str, args: Sequence[str], timeout_seconds: int, task_count: int = 1) -> str:
        """Run a job with these arguments in so many tasks, and give the execution's name; does not wait for its end.

        Raises:
            LimitExceeded: there is no such job or no quota for it; nothing was started.
            NotAllowed: our service account may not; nothing was started.
            Unavailable: it may or may not have been started.
        """
        from google.cloud import run_v2

        overrides = run_v2.RunJobRequest.Overrides(
            container_overrides=[run_v2.RunJobRequest.Overrides.ContainerOverride(args=args)],
            task_count=task_count,
            timeout={"seconds": timeout_seconds},
        )
        request = run_v2.RunJobRequest(name=self._job(job), overrides=overrides)
        doing = f"run the Cloud Run job {job} in {self._region}"
        with translated(doing), _no_room(doing):
            # Never repeated: the API cannot tell a second order from the first.
            operation = self._jobs.run_job(request=request, timeout=CALL_SECONDS, retry=None)
        metadata: Any = operation.metadata
        if metadata is None or not metadata.name:
            raise Unavailable(f"{doing}: the answer names no execution")
        return str(metadata.name)

    def find(self, job: str, argument: str) -> str | None:
        """Give the latest execution of a job that was given an argument; None without one."""
        with translated(f"list the executions of the Cloud Run job {job}"):
            for number, found in enumerate(self._executions.list_executions(parent=self._job(job))):
                if any(argument in container.args for container in found.template.containers):
                    return str(found.name)
                if number + 1 >= _LOOKED_THROUGH_MAX:
                    break
        return None

    def get(self, execution: str) -> Execution | None:
        """Look at an execution; None where Cloud Run knows of none."""
        try:
            with translated(f"look at the execution {execution}"):
                return _seen(self._executions.get_execution(name=execution, timeout=CALL_SECONDS))
        except NotFound:
            return None

    def cancel(self, execution: str) -> None:
        """Stop an execution; nothing happens where it is over or unknown.

        Raises:
            Unavailable: it may or may not have been stopped.
            NotAllowed: our service account may not.
        """
        from google.api_core import exceptions as api

        doing = f"cancel the execution {execution}"
        with translated(doing):
            try:
                self._executions.cancel_execution(name=execution, timeout=CALL_SECONDS)
            except (api.NotFound, api.BadRequest, api.Conflict):
                return  # It is over: this is how Cloud Run says so.

    def _job(self, job: str) -> str:
        return f"projects/{self._project}/locations/{self._region}/jobs/{job}"

    @cached_property
    def _jobs(self) -> run_v2.JobsClient:
        from google.cloud import run_v2
        from google.cloud.run_v2.services.jobs.transports import JobsRestTransport

        return run_v2.JobsClient(transport=JobsRestTransport(**self._place()))

    @cached_property
    def _executions(self) -> run_v2.ExecutionsClient:
        from google.cloud import run_v2
        from google.cloud.run_v2.services.executions.transports import ExecutionsRestTransport

        return run_v2.ExecutionsClient(transport=ExecutionsRestTransport(**self._place()))

    def _place(self) -> dict[str, Any]:
        if self._endpoint is None:
            return {}
        from google.auth.credentials import AnonymousCredentials

        scheme, _, host = self._endpoint.rstrip("/").partition("://")
        nobody = AnonymousCredentials()  # type: ignore[no-untyped-call]  # google-auth's own class has no types
        return {"host": host, "url_scheme": scheme, "credentials": nobody}


@contextmanager
def _no_room(doing: str) -> Iterator[None]:
    """Tell refusals apart that another engine can help with."""
    from google.api_core import exceptions as api

    try:
        yield
    except api.NotFound as exc:
        raise LimitExceeded(f"{doing}: it is not deployed ({_said(exc)})", code="job_not_deployed") from exc
    except api.TooManyRequests as exc:
        used_up = LimitExceeded(f"{doing}: {_said(exc)}", code="quota")
        used_up.retry_after_seconds = retry_after_seconds(exc)
        raise used_up from exc
    except (api.BadRequest, api.Forbidden, api.Conflict) as exc:
        if "quota" in exc.message.lower():
            # Such as a quota of 0 cards: the project has never asked for one.
            raise LimitExceeded(f"{doing}: {_said(exc)}", code="quota") from exc
        if isinstance(exc, api.Forbidden):
            raise NotAllowed(f"{doing}: {_said(exc)}; our service account needs {ROLE} on the job") from exc
        raise PipelineError(f"{doing}: {_said(exc)}", code="job_refused") from exc


def _said(exc: GoogleAPICallError) -> str:
    """Give what Cloud Run said, without the request that the library puts before it."""
    return re.sub(r"^[A-Z]+ https?://\S+: ", "", str(exc.message))


def _seen(found: run_v2.Execution) -> Execution:
    from google.cloud import run_v2

    state = run_v2.Condition.State
    ended = next((each for each in found.conditions if each.type_ == "Completed"), run_v2.Condition())
    reason = ended.execution_reason.name if ended.execution_reason else ended.reason.name if ended.reason else ""
    return Execution(
        name=str(found.name),
        succeeded={state.CONDITION_SUCCEEDED: True, state.CONDITION_FAILED: False}.get(ended.state),
        started=bool(found.start_time) or found.running_count > 0,
        created_at=found.create_time,
        message=str(ended.message),
        reason=reason,
        log_url=str(found.log_uri),
    )
