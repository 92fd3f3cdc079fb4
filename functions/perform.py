"""Carrying out the orders that are not messages. What the world answers comes back as events."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from events.errors import PipelineError
from events.log_lines import fields
from events.names import checkpoints_prefix
from functions import adopt, render, stitch
from functions.advance import Tell, advance, log_decision
from functions.services import Services
from pipeline import commands as order
from pipeline import facts
from pipeline.commands import Outgoing, as_message
from pipeline.ports import Committed
from pipeline.records import OPEN_SEGMENT_STATES, REOPENABLE_SEGMENT_STATES, Job, Segment, SegmentState

log = logging.getLogger("longreel.perform")

#: What the world answered is kept back for one commit no longer than this: a process that dies forgets that much.
RECORD_WITHIN = timedelta(milliseconds=10)


@dataclass(slots=True)
class Errand:
    """One event on its way, with all that follows from it."""

    job_id: str
    event: facts.Event
    #: What became of `event` itself; None as long as nothing has.
    committed: Committed | None = None
    #: What stopped it.
    error: Exception | None = None

    def outcome(self) -> Committed:
        """Give what became of the event, or raise what stopped it."""
        if self.error is not None:
            raise self.error
        assert self.committed is not None, "drive it first"
        return self.committed


def drive(services: Services, job_id: str, event: facts.Event) -> Committed:
    """Let an event change its job, carry out the orders that follow, and go on with what the world answers.

    Returns:
        What became of `event` itself.

    Raises:
        as `advance` does.
    """
    errand = Errand(job_id, event)
    drive_all(services, [errand])
    return errand.outcome()


def drive_all(services: Services, errands: Sequence[Errand]) -> None:
    """Drive several events at once, so that what they change can be committed at once.

    Every order leaves after the commit that it follows from. What stops one errand is kept with it and stops no other.
    """
    ready = deque(_advance_all(services, [(errand, errand.event) for errand in errands]))
    events: list[tuple[Errand, facts.Event]] = []
    since = services.clock.now()
    while ready:
        events += _perform(services, *ready.popleft())
        if not ready or services.clock.now() - since >= RECORD_WITHIN:
            ready.extend(_advance_all(services, events))
            events, since = [], services.clock.now()


@contextmanager
def _together(services: Services) -> Iterator[Tell | None]:
    """Commit what is changed within at once, where the store can; what came to nothing has no line in the log."""
    if services.together is None:
        yield None
        return
    lines: list[tuple[Job, Segment | None, facts.Event, Committed]] = []
    with services.together():
        yield lambda *line: lines.append(line)
    for line in lines:
        log_decision(*line)


def _advance_all(services: Services, waiting: Sequence[tuple[Errand, facts.Event]]) -> list[tuple[Errand, Committed]]:
    waiting = [(errand, event) for errand, event in waiting if errand.error is None]
    if services.together is not None and len(waiting) > 1:
        try:
            with _together(services) as tell:
                done = [(errand, advance(services, errand.job_id, event, tell)) for errand, event in waiting]
        except Exception as exc:  # noqa: BLE001 - what is to blame raises it again below
            # Nothing was written; each alone, only those that are to blame are stopped.
            log.info("commit %d events at once: %s", len(waiting), exc, extra=fields(action="one_by_one"))
        else:
            for errand, committed in done:
                errand.committed = errand.committed or committed
            return done
    return [each for errand, event in waiting for each in _advance_one(services, errand, event)]


def _advance_one(services: Services, errand: Errand, event: facts.Event) -> list[tuple[Errand, Committed]]:
    if errand.error is not None:
        return []
    try:
        committed = advance(services, errand.job_id, event)
    except Exception as exc:  # noqa: BLE001 - it is kept, and raised by `outcome`
        errand.error = exc
        return []
    errand.committed = errand.committed or committed
    return [(errand, committed)]


def _perform(services: Services, errand: Errand, committed: Committed) -> list[tuple[Errand, facts.Event]]:
    if errand.error is not None:
        return []
    try:
        return [(errand, event) for event in perform(services, committed)]
    except Exception as exc:  # noqa: BLE001 - it is kept, and raised by `outcome`
        errand.error = exc
        return []


def perform(services: Services, committed: Committed) -> list[facts.Event]:
    """Carry out every order of a decision that is no message; give what came of it."""
    events: list[facts.Event] = []
    job, segment = committed.job, committed.segment
    for command in committed.decision.commands:
        match command:
            case order.SubmitSegment():
                events += render.submit(services, job, _shown(segment))
            case order.InspectSegment():
                events += render.inspect(services, job, _shown(segment))
            case order.KeepLastFrame():
                events.append(adopt.with_last_frame(services, job, _shown(segment), command))
            case order.OpenWindow(job_id, window_end):
                _open_window(services, job_id, window_end)
            case order.CloseSegments(job_id):
                events += _close_segments(services, job_id)
            case order.StitchClips():
                events += stitch.stitch(services, job)
            case order.InspectStitch(_, attempt, operation):
                events += stitch.inspect(services, job, attempt, operation)
            case order.CancelGeneration() | order.CancelStitch() | order.ForgetCheckpoints():
                _let_go(services, job, command)
            case order.RenderSegment() | order.RequestStitch() | order.RequestJob():
                pass  # a message, which is published already
            case _:
                raise AssertionError(f"nobody carries out {command}")
    return events


def _shown(segment: Segment | None) -> Segment:
    assert segment is not None, "orders about a segment follow from events about it"
    return segment


def _let_go(
    services: Services, job: Job, command: order.CancelGeneration | order.CancelStitch | order.ForgetCheckpoints
) -> None:
    try:
        match command:
            case order.CancelGeneration():
                render.cancel(services, job, command.operation)
            case order.CancelStitch():
                services.stitcher.cancel(command.operation)
            case order.ForgetCheckpoints():
                _forget_checkpoints(services, job)
    except PipelineError as exc:
        # What runs goes on to its end, and what it makes is kept; everything else goes on.
        log.warning("%s", exc, extra=fields(action="not_called_off", job_id=job.job_id))


def _forget_checkpoints(services: Services, job: Job) -> None:
    # What comes later ages away.
    for info in services.objects.list(f"gs://{services.bucket}/{checkpoints_prefix(job.job_id)}"):
        services.objects.delete(info.uri)


def _open_window(services: Services, job_id: str, window_end: int) -> None:
    # In a job that generates, failed and cancelled segments are left over from before it was resumed.
    with _together(services) as tell:
        for segment in services.jobs.segments(job_id, REOPENABLE_SEGMENT_STATES):
            advance(services, job_id, facts.SegmentReopened(segment.index), tell)
    pending = services.jobs.segments(job_id, frozenset({SegmentState.PENDING}), below=window_end)
    outgoing = [as_message(order.RenderSegment(job_id, each.index, each.not_before)) for each in pending]
    services.bus.publish([message for message in outgoing if isinstance(message, Outgoing)])


def _close_segments(services: Services, job_id: str) -> list[facts.Event]:
    still_open = services.jobs.segments(job_id, OPEN_SEGMENT_STATES)
    return [*(facts.SegmentClosed(segment.index) for segment in still_open), facts.SegmentsClosed()]
