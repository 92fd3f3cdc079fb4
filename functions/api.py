"""What a caller may do: create, cancel, resume. Validates and commits; the events that follow do the work."""

from __future__ import annotations

from events.errors import DailyLimitReached, InvalidRequest, LimitExceeded, NotAllowed, NotPossible, UnknownJob
from events.messages import Requested
from events.names import ObjectUri, job_id_of_request, parse_uri
from events.plan import Engine
from events.requests import LongFormRequest, Request, Settings, read_request
from functions.advance import log_creation, log_decision
from functions.budget import check_budget
from functions.music import check_music
from functions.own_area import check_own_area
from functions.perform import drive, perform
from functions.services import Services
from pipeline import facts
from pipeline.commands import Outgoing
from pipeline.create import generator_of, new_job
from pipeline.decide import Decision, decide
from pipeline.limits import TRANSCODER_SHORTEST_MS
from pipeline.ports import Committed, Created
from pipeline.records import ACTIVE_JOB_STATES, Job, JobState
from pipeline.work_ports import Quote


def create_job(services: Services, value: object, user_id: str, *, own_area_only: bool = False) -> Created:
    """Create a job, or find the one that the same request made.

    Args:
        services: the outside.
        value: the request as a JSON value.
        user_id: who asks.
        own_area_only: whether every object that the request names must lie in the caller's own area.

    Raises:
        InvalidRequest: names the field and what would be right; nothing was made.
        NotAllowed: an object lies in somebody else's area; nothing was made.
        AlreadyRunning: the project has an active job of this type, and `forceRestart` was not given.
        LimitExceeded: the user has as many active jobs as one may have.
        DailyLimitReached: the day has cost, or is promised to cost, as much as a day may.
        Unavailable: nothing was made.
    """
    request = read_request(value)
    if own_area_only:
        check_own_area(request, services.bucket, user_id)
    quotes = check(services, request)
    check_music(services, request, user_id)
    now = services.clock.now()
    job_id = _job_id(services, request, user_id)
    job, segments = new_job(request, job_id=job_id, user_id=user_id, now=now, quotes=quotes)
    _refuse_too_many(services, job, force_restart=request.force_restart)
    _refuse_above_budget(services, job)

    called_off = facts.CancelRequested(f"superseded by {job_id}", superseded_by=job_id)
    shown: list[Job] = []

    def supersede(other: Job) -> Decision:
        shown.append(other)
        return decide(other, None, called_off, now)

    created = services.jobs.create(job, segments, supersede if request.force_restart else None)
    if created.fresh:
        log_creation(created.job)
    if created.superseded is not None:
        log_decision(shown[-1], None, called_off, created.superseded)
    if created.job.state is JobState.QUEUED:
        services.bus.publish([Outgoing(Requested(job_id=created.job.job_id))])
    if created.superseded is not None:
        _carry_out(services, created.superseded)
    return created


def check(services: Services, request: Request) -> list[Quote]:
    """Refuse what no generator or engine here can make, before a job exists; give what each prompt's clip costs."""
    name = generator_of(request)
    generator = services.generators.get(name)
    if generator is None:
        known = ", ".join(sorted(services.generators))
        raise InvalidRequest("generator", f"there is no {name!r} here; there are: {known}")
    quotes: list[Quote] = []
    if isinstance(request, LongFormRequest):
        if name == "clip":
            raise InvalidRequest("generator", "'clip' is for given clips; send `clips` instead of `prompts`")
        settings = Settings.of(request)
        quotes = [generator.check(scene, settings, f"prompts[{index}]") for index, scene in enumerate(request.prompts)]
    elif request.output_path is not None:
        _check_output(services, parse_uri(request.output_path))
    _check_engine(services, request, quotes)
    return quotes


def _check_engine(services: Services, request: Request, quotes: list[Quote]) -> None:
    engine = request.engine
    if engine is None:
        return
    if engine not in services.engines:
        known = ", ".join(sorted(services.engines))
        raise InvalidRequest("engine", f"there is no {engine} here; there are: {known}. Leave it out for the cheapest")
    if engine is Engine.TRANSCODER:
        for index, quote in enumerate(quotes):
            if quote.duration_ms is not None and quote.duration_ms < TRANSCODER_SHORTEST_MS:
                raise InvalidRequest(
                    "engine",
                    f"transcoder takes no clip under {TRANSCODER_SHORTEST_MS // 1000} s, and that of prompts[{index}] "
                    f"will last {quote.duration_ms / 1000:g} s; leave it out, or ask for a longer clip",
                )


def _refuse_too_many(services: Services, job: Job, *, force_restart: bool) -> None:
    limit = services.active_jobs_max
    if limit is None:
        return
    active = services.jobs.jobs(user_id=job.user_id, states=ACTIVE_JOB_STATES, limit=limit + 1)
    if any(other.job_id == job.job_id for other in active):
        return  # the same request again
    in_the_way = [other for other in active if (other.scope, other.kind) == (job.scope, job.kind)]
    # One that is in the way is refused by its own name, or makes room.
    if len(active) - len(in_the_way) >= limit or (len(active) >= limit and not in_the_way and not force_restart):
        names = ", ".join(other.job_id for other in active)
        raise LimitExceeded(f"start a job: {limit} may be active at once, and these are: {names}; wait, or cancel one")


def _refuse_above_budget(services: Services, job: Job) -> None:
    try:
        check_budget(services.budget, "make this film", job.cost.estimated_micro_usd, job.created_at)
    except DailyLimitReached as reached:
        try:
            services.jobs.load(job.job_id)
        except UnknownJob:
            raise reached from None
        # The same request again: it is answered with its job, whatever that one costs.


def _refuse_resuming_above_budget(services: Services, job_id: str) -> None:
    if services.budget is None:
        return
    job = services.jobs.load(job_id)
    if job.state is JobState.FAILED:
        missing = job.cost.estimated_micro_usd - job.cost.spent_micro_usd
        check_budget(services.budget, f"resume {job_id}", missing, services.clock.now(), job)


def _check_output(services: Services, output: ObjectUri) -> None:
    if output.bucket != services.bucket:
        raise InvalidRequest("outputPath", f"should be in gs://{services.bucket}/, where films are made, not {output}")


def cancel_job(services: Services, job_id: str, user_id: str | None = None) -> Committed:
    """Stop a job. A job that is over already stays as it is; the decision's reason says so.

    Args:
        services: the outside.
        job_id: which.
        user_id: who asks; None for an operator.

    Raises:
        UnknownJob: there is no such job.
        NotAllowed: it is somebody else's.
    """
    _refuse_strangers(services, job_id, user_id)
    return drive(services, job_id, facts.CancelRequested())


def resume_job(services: Services, job_id: str, user_id: str | None = None) -> Committed:
    """Let a failed job go on; finished segments are kept. A job that is going is asked to go on.

    Args:
        services: the outside.
        job_id: which.
        user_id: who asks; None for an operator.

    Raises:
        UnknownJob: there is no such job.
        NotAllowed: it is somebody else's.
        NotPossible: the job is over for good; the text says why.
        AlreadyRunning: the project has another active job of this type.
        DailyLimitReached: what is missing would take the day over what it may cost.
    """
    _refuse_strangers(services, job_id, user_id)
    _refuse_resuming_above_budget(services, job_id)
    committed = drive(services, job_id, facts.ResumeRequested())
    if not committed.job.active:
        raise NotPossible(f"resume {job_id}: {committed.decision.reason}")
    return committed


def _refuse_strangers(services: Services, job_id: str, user_id: str | None) -> None:
    if user_id is not None and services.jobs.load(job_id).user_id != user_id:
        raise NotAllowed(f"change {job_id}: it is another user's job")


def _carry_out(services: Services, committed: Committed) -> None:
    for event in perform(services, committed):
        drive(services, committed.job.job_id, event)


def _job_id(services: Services, request: Request, user_id: str) -> str:
    if request.request_id is None:
        return services.new_job_id()
    return job_id_of_request(user_id, request.project_id, request.kind, request.request_id)
