"""The Transcoder API as an engine: a stitch plan becomes one of its jobs, which writes the film and publishes a report.

`plan.json` of an attempt is written before its job is created, and only where there is none: whoever finds one there
looks by label for the job that it may have led to. A process that dies between the two is healed by that look. Two
that start the same attempt at the same instant could still make two jobs; they write the same film, for some cents.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING

from adapters.google_errors import translated
from adapters.transcoder_job import ATTEMPT_LABEL, JOB_LABEL, has_sound, job_of, shown_ms, target_of
from adapters.transcoder_rules import objection
from events.errors import LimitExceeded, NotAllowed, NotFound, PreconditionFailed, StitchFailed
from events.messages import TranscoderError
from events.names import parse_uri, stitch_name
from events.plan import Engine, StitchPlan
from pipeline.object_port import ObjectStore
from pipeline.prices import transcoder_micro_usd
from pipeline.routing import Offer, Refusal, chain_drawback
from pipeline.transcoder_failure import SERVICE_AGENT, stopped_by
from pipeline.work_ports import Gone, Running, Started, Stopped

if TYPE_CHECKING:
    from google.cloud.video.transcoder_v1 import TranscoderServiceClient
    from google.cloud.video.transcoder_v1.types import Job

#: How long a film should take: Google names no speed, so we count on real time and a minute for the start.
_START_MS = 60_000

#: Seconds that a call may take; whoever called asks again by itself.
_CALL_SECONDS = 30


class TranscoderEngine:
    """Makes films by Google's Transcoder API.

    Args:
        project: of the Transcoder jobs and of the topic.
        region: where they run.
        report_topic: id of the Pub/Sub topic that the API reports to.
        objects: where plans are written and clips are looked at.
        endpoint: `http://host:port` that speaks the API; None for Google's own.
        client: makes the client at its first use; None for one of our own.
    """

    def __init__(
        self,
        project: str,
        region: str,
        report_topic: str,
        objects: ObjectStore,
        endpoint: str | None = None,
        client: Callable[[], TranscoderServiceClient] | None = None,
    ) -> None:
        self._parent = f"projects/{project}/locations/{region}"
        self._topic = f"projects/{project}/topics/{report_topic}"
        self._objects = objects
        self._make_client = client or (lambda: make_client(endpoint))

    @property
    def name(self) -> Engine:
        """Tell which engine it is."""
        return Engine.TRANSCODER

    def offer(self, plan: StitchPlan) -> Offer | Refusal:
        """Tell what the film would cost, or why it cannot be made; asks nobody outside."""
        reason = objection(plan)
        if reason is not None:
            return Refusal(reason)
        picture = target_of(plan).picture
        length_ms = sum(map(shown_ms, plan.clips))
        price = transcoder_micro_usd(length_ms, picture.width_px, picture.height_px)
        size = f"{picture.width_px}x{picture.height_px}"
        sound = "with sound" if has_sound(plan) else "without sound"
        reason = f"the Transcoder API encodes {len(plan.clips)} clips as {size} {sound}"
        return Offer(price, _START_MS + length_ms, reason, chain_drawback(plan))

    def start(self, plan: StitchPlan) -> Started:
        """Write the plan and create its job; one that waits in Google's queue where no more may run at once.

        Safe to repeat for the same attempt: its job is found by its labels.

        Raises:
            StitchFailed: it cannot be made, because a clip was changed or the API refuses the job.
            NotAllowed: a service account may not do its part; the text names it.
            LimitExceeded: the queue is full too; nothing was started.
            Unavailable: it may or may not have been started.
        """
        reason = objection(plan)
        if reason is not None:
            raise StitchFailed(f"make the film of {plan.job_id} by the Transcoder API: {reason}", code="engine_refused")
        self._refuse_changed(plan)
        if not self._claim(plan) and (found := self._find(plan.job_id, plan.attempt)) is not None:
            return Started(found)
        try:
            return Started(self._create(plan, batch=False))
        except LimitExceeded:
            return Started(self._create(plan, batch=True))

    def poll(self, operation: str) -> Running | Stopped | Gone:
        """Ask about a job of the Transcoder API by its name.

        Raises:
            NotAllowed, Unavailable: nobody answered.
        """
        job = self._get(operation)
        if job is None:
            return Gone()
        states = type(job).ProcessingState
        if job.state == states.FAILED:
            return stopped_by(_error_of(job), _segments(job))
        return Gone() if job.state == states.SUCCEEDED else Running()

    def cancel(self, operation: str) -> None:
        """Delete a job; nothing happens where there is none."""
        from google.cloud.video.transcoder_v1.types import DeleteJobRequest

        request = DeleteJobRequest(name=operation, allow_missing=True)
        try:
            with translated(f"delete the Transcoder job {operation}"):
                self._client.delete_job(request=request, retry=None, timeout=_CALL_SECONDS)
        except NotFound:
            return

    def owner_of(self, operation: str) -> tuple[str, int] | None:
        """Give the job id and the attempt (1-based) that a Transcoder job was created for; None if it is not ours.

        Raises:
            NotAllowed, Unavailable: nobody answered.
        """
        job = self._get(operation)
        if job is None or JOB_LABEL not in job.labels or not job.labels.get(ATTEMPT_LABEL, "").isdecimal():
            return None
        return job.labels[JOB_LABEL], int(job.labels[ATTEMPT_LABEL])

    @cached_property
    def _client(self) -> TranscoderServiceClient:
        return self._make_client()

    def _refuse_changed(self, plan: StitchPlan) -> None:
        """Refuse clips that are not what was looked at: the API always reads the present version of an object."""
        for clip in plan.clips:
            info = self._objects.stat(clip.uri)
            if info is None or info.generation != clip.generation:
                what = "is gone" if info is None else "was changed"
                text = f"{parse_uri(clip.uri).name} {what} after it was looked at"
                raise StitchFailed(text, code="clip_changed", segment_index=clip.segment_index)

    def _claim(self, plan: StitchPlan) -> bool:
        """Write the plan, which says that this engine makes the film; give whether nobody had written one before."""
        uri = f"gs://{parse_uri(plan.output_uri).bucket}/{stitch_name(plan.job_id, plan.attempt, 'plan.json')}"
        ours = plan.model_copy(update={"engine": self.name}).to_json().encode()
        try:
            self._objects.write(uri, ours, if_generation=0)
        except PreconditionFailed:
            # Another engine may have written it, and have had no room then.
            self._objects.write(uri, ours)
            return False
        return True

    def _find(self, job_id: str, attempt: int) -> str | None:
        from google.cloud.video.transcoder_v1.types import ListJobsRequest

        wanted = {JOB_LABEL: job_id, ATTEMPT_LABEL: str(attempt)}
        text = " AND ".join(f'labels.{label}="{value}"' for label, value in wanted.items())
        request = ListJobsRequest(parent=self._parent, filter=text)
        with translated(f"look for the Transcoder job of attempt {attempt} of {job_id}"):
            jobs = list(self._client.list_jobs(request=request, retry=None, timeout=_CALL_SECONDS))
        # The filter spares us reading; what it means is ours to say.
        names = [job.name for job in jobs if wanted.items() <= dict(job.labels).items()]
        return names[0] if names else None

    def _create(self, plan: StitchPlan, *, batch: bool) -> str:
        from google.cloud.video.transcoder_v1.types import CreateJobRequest, Job

        job = Job.from_json(json.dumps(job_of(plan, self._topic, batch=batch)))
        request = CreateJobRequest(parent=self._parent, job=job)
        with _refusals(plan):
            created = self._client.create_job(request=request, retry=None, timeout=_CALL_SECONDS)
        return str(created.name)

    def _get(self, operation: str) -> Job | None:
        from google.cloud.video.transcoder_v1.types import GetJobRequest

        try:
            with translated(f"ask about the Transcoder job {operation}"):
                request = GetJobRequest(name=operation)
                return self._client.get_job(request=request, retry=None, timeout=_CALL_SECONDS)
        except NotFound:
            return None


def make_client(endpoint: str | None) -> TranscoderServiceClient:
    """Make a client that speaks REST to Google, or to an endpoint `http://host:port` without signing in."""
    from google.auth.credentials import AnonymousCredentials
    from google.cloud.video.transcoder_v1 import TranscoderServiceClient
    from google.cloud.video.transcoder_v1.services.transcoder_service.transports import TranscoderServiceRestTransport

    if endpoint is None:
        with translated("sign in to the Transcoder API"):
            return TranscoderServiceClient(transport="rest")
    scheme, _, host = endpoint.rstrip("/").partition("://")
    nobody = AnonymousCredentials()  # type: ignore[no-untyped-call]  # google-auth gives this class no types
    transport = TranscoderServiceRestTransport(host=host, url_scheme=scheme, credentials=nobody)
    return TranscoderServiceClient(transport=transport)


@contextmanager
def _refusals(plan: StitchPlan) -> Iterator[None]:
    """Translate what the API says to a job that it does not create."""
    from google.api_core import exceptions as api

    doing = f"create the Transcoder job of attempt {plan.attempt} of {plan.job_id}"
    try:
        with translated(doing):
            try:
                yield
            except api.TooManyRequests as exc:
                raise LimitExceeded(f"{doing}: no more jobs may run or wait now ({exc.message})") from exc
            except api.BadRequest as exc:
                raise StitchFailed(f"{doing}: {exc.message}", code="transcoder_refused") from exc
    except NotAllowed as exc:
        needs = f"it must be allowed to create Transcoder jobs, and {SERVICE_AGENT} to read and write the bucket"
        raise NotAllowed(f"{exc.message}; {needs} and to publish to the topic of reports") from exc


def _error_of(job: Job) -> TranscoderError | None:
    """Give what a job failed of, in the words of the report."""
    status = type(job).to_dict(job).get("error")
    return TranscoderError.model_validate(status) if status else None


def _segments(job: Job) -> dict[str, int]:
    """Give the segment of each input; its key tells."""
    found = {}
    for source in job.config.inputs:
        number = source.key.rpartition("-")[2]
        if number.isdecimal():
            found[source.uri] = int(number)
    return found
