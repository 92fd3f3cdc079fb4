"""The only writer of jobs: event → `decide` → commit → publish. What a crash leaves unsent, the sweep orders again."""

from __future__ import annotations

import logging
from collections.abc import Callable

from functions.decision_line import fields_of, fields_of_new, is_trouble, text_of
from functions.services import Services
from pipeline import facts
from pipeline.commands import Command, Outgoing, as_message
from pipeline.decide import Decision, decide, segment_index_of
from pipeline.ports import Committed
from pipeline.records import Job, Segment

log = logging.getLogger("longreel.advance")


#: Takes what `log_decision` takes.
Tell = Callable[[Job, Segment | None, facts.Event, Committed], None]


def advance(services: Services, job_id: str, event: facts.Event, tell: Tell | None = None) -> Committed:
    """Let one event change its job, and publish the messages that follow.

    Args:
        services: the outside.
        job_id: the job.
        event: what happened.
        tell: told of the decision, instead of the log, where it is not written for good yet.

    Raises:
        UnknownJob: there is no such job.
        IllegalTransition: the event can never meet this state.
        Unavailable: nothing was written; deliver the event again.
    """
    # What `decide` was shown last is what the commit stands on.
    shown: list[tuple[Job, Segment | None]] = []

    def decided(job: Job, segment: Segment | None) -> Decision:
        shown.append((job, segment))
        return decide(job, segment, event, services.clock.now())

    committed = services.jobs.transact(job_id, segment_index_of(event), decided)
    # What is written has its line, whatever becomes of the messages.
    (tell or log_decision)(*shown[-1], event, committed)
    # Publish after the commit: if the process dies in between, the deadline of the new state orders it again.
    if not committed.published and (outgoing := messages_of(committed.decision.commands)):
        services.bus.publish(outgoing)
    return committed


def log_decision(job: Job, segment: Segment | None, event: facts.Event, committed: Committed) -> None:
    """Write the line of a decision; `job` and `segment` are as they were shown to it."""
    if log.isEnabledFor(logging.INFO):
        extra = fields_of(job, segment, event, committed)
        level = logging.WARNING if is_trouble(extra) else logging.INFO
        log.log(level, "%s", text_of(job, segment, event, committed), extra=extra)


def log_creation(job: Job) -> None:
    """Write the line of a job that is there now."""
    if log.isEnabledFor(logging.INFO):
        log.info("job: created → %s", job.state, extra=fields_of_new(job))


def messages_of(commands: tuple[Command, ...]) -> list[Outgoing]:
    """Give the messages among the commands, in order."""
    return [outgoing for command in commands if (outgoing := as_message(command)) is not None]
