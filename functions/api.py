"""What a caller may do: create, cancel, resume. Validates and commits; the events that follow do the work."""

from __future__ import annotations

from events.errors import InvalidRequest, NotPossible
from events.messages import Requested
from events.names import ObjectUri, job_id_of_request, parse_uri
from events.requests import LongFormRequest, Request, Settings, StitchRequest, read_request
from functions.perform import drive, perform
from functions.services import Services
from pipeline import facts
from pipeline.commands import Outgoing
from pipeline.create import generator_of, new_job
from pipeline.decide import Decision, decide
from pipeline.ports import Committed, Created
from pipeline.records import Job, JobState


def create_job(services: Services, value: object, user_id: str) -> Created:
    """Create a job, or find the one that the same request made.

    Args:
        services: the outside.
        value: the request as a JSON value.
        user_id: who asks.

    Raises:
        InvalidRequest: names the field and what would be right; nothing was made.
        AlreadyRunning: the project has an active job of this type, and `forceRestart` was not given.
        Unavailable: nothing was made.
    """
    request = read_request(value)
    check(services, request)
    now = services.clock.now()
    job_id = _job_id(services, request, user_id)
    job, segments = new_job(request, job_id=job_id, user_id=user_id, now=now)

    def supersede(other: Job) -> Decision:
        return decide(other, None, facts.CancelRequested(f"superseded by {job_id}", superseded_by=job_id), now)

    created = services.jobs.create(job, segments, supersede if request.force_restart else None)
    if created.job.state is JobState.QUEUED:
        services.bus.publish([Outgoing(Requested(job_id=created.job.job_id))])
    if created.superseded is not None:
        _carry_out(services, created.superseded)
    return created


def check(services: Services, request: Request) -> None:
    """Refuse what no generator here can make, before a job exists."""
    name = generator_of(request)
    generator = services.generators.get(name)
    if generator is None:
        known = ", ".join(sorted(services.generators))
        raise InvalidRequest("generator", f"there is no {name!r} here; there are: {known}")
    if isinstance(request, StitchRequest) and request.output_path is not None:
        _check_output(services, parse_uri(request.output_path))
    if isinstance(request, LongFormRequest):
        if name == "clip":
            raise InvalidRequest("generator", "'clip' is for given clips; send `clips` instead of `prompts`")
        settings = Settings.of(request)
        for index, scene in enumerate(request.prompts):
            generator.check(scene, settings, f"prompts[{index}]")


def _check_output(services: Services, output: ObjectUri) -> None:
    if output.bucket != services.bucket:
        raise InvalidRequest("outputPath", f"should be in gs://{services.bucket}/, where films are made, not {output}")


def cancel_job(services: Services, job_id: str) -> Committed:
    """Stop a job. A job that is over already stays as it is; the decision's reason says so.

    Raises:
        UnknownJob: there is no such job.
    """
    return drive(services, job_id, facts.CancelRequested())


def resume_job(services: Services, job_id: str) -> Committed:
    """Let a failed job go on; finished segments are kept. A job that is going is asked to go on.

    Raises:
        UnknownJob: there is no such job.
        NotPossible: the job is over for good; the text says why.
        AlreadyRunning: the project has another active job of this type.
    """
    committed = drive(services, job_id, facts.ResumeRequested())
    if not committed.job.active:
        raise NotPossible(f"resume {job_id}: {committed.decision.reason}")
    return committed


def _carry_out(services: Services, committed: Committed) -> None:
    for event in perform(services, committed):
        drive(services, committed.job.job_id, event)


def _job_id(services: Services, request: Request, user_id: str) -> str:
    if request.request_id is None:
        return services.new_job_id()
    return job_id_of_request(user_id, request.project_id, request.kind, request.request_id)
