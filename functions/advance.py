"""The only writer of jobs: event → `decide` → commit → publish. What a crash leaves unsent, the sweep orders again."""

from __future__ import annotations

import logging

from functions.services import Services
from pipeline import facts
from pipeline.commands import Command, Outgoing, as_message
from pipeline.decide import decide, segment_index_of
from pipeline.ports import Committed

log = logging.getLogger("longreel.advance")


def advance(services: Services, job_id: str, event: facts.Event) -> Committed:
    """Let one event change its job, and publish the messages that follow.

    Raises:
        UnknownJob: there is no such job.
        IllegalTransition: the event can never meet this state.
        Unavailable: nothing was written; deliver the event again.
    """
    committed = services.jobs.transact(
        job_id,
        segment_index_of(event),
        lambda job, segment: decide(job, segment, event, services.clock.now()),
    )
    # Publish after the commit: if the process dies in between, the deadline of the new state orders it again.
    if not committed.published and (outgoing := messages_of(committed.decision.commands)):
        services.bus.publish(outgoing)
    if log.isEnabledFor(logging.INFO):
        log.info("%s", _line(event), extra=_extra(committed, event))
    return committed


def messages_of(commands: tuple[Command, ...]) -> list[Outgoing]:
    """Give the messages among the commands, in order."""
    return [outgoing for command in commands if (outgoing := as_message(command)) is not None]


def _line(event: facts.Event) -> str:
    return type(event).__name__


def _extra(committed: Committed, event: facts.Event) -> dict[str, object]:
    segment = committed.segment
    return {
        "action": type(event).__name__,
        "job_id": committed.job.job_id,
        "job_state": str(committed.job.state),
        "segment_index": segment.index if segment else None,
        "segment_state": str(segment.state) if segment else None,
        "attempt": segment.attempt if segment else committed.job.stitch.attempt or None,
        "changed": committed.decision.changes,
        "reason": committed.decision.reason,
    }
