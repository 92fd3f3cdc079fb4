"""Carrying out the orders that are not messages. What the world answers comes back as events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from events.errors import BadMedia, LimitExceeded, PipelineError, Unavailable
from events.names import segment_prefix
from events.requests import SegmentSpec, Settings
from functions import clips, stitch
from functions.advance import advance
from functions.services import Services
from pipeline import commands as order
from pipeline import facts
from pipeline.commands import Outgoing, as_message
from pipeline.ports import Committed
from pipeline.records import OPEN_SEGMENT_STATES, REOPENABLE_SEGMENT_STATES, SegmentState
from pipeline.work_ports import ClipReady, Gone, RenderOrder, Running


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
    waiting = [(errand, errand.event) for errand in errands]
    while waiting:
        waiting = _perform_all(services, _advance_all(services, waiting))


def _advance_all(services: Services, waiting: Sequence[tuple[Errand, facts.Event]]) -> list[tuple[Errand, Committed]]:
    try:
        with services.together():
            done = [(errand, advance(services, errand.job_id, event)) for errand, event in waiting]
    except Exception as exc:  # noqa: BLE001 - it is kept, and raised by `outcome`
        if len(waiting) == 1:
            waiting[0][0].error = exc
            return []
        # Nothing was written; each alone, only those that are to blame are stopped.
        return [each for one in waiting if one[0].error is None for each in _advance_all(services, [one])]
    for errand, committed in done:
        errand.committed = errand.committed or committed
    return done


def _perform_all(services: Services, done: Sequence[tuple[Errand, Committed]]) -> list[tuple[Errand, facts.Event]]:
    events: list[tuple[Errand, facts.Event]] = []
    for errand, committed in done:
        try:
            events += [(errand, event) for event in perform(services, committed)]
        except Exception as exc:  # noqa: BLE001 - it is kept, and raised by `outcome`
            errand.error = exc
    return [(errand, event) for errand, event in events if errand.error is None]


def perform(services: Services, committed: Committed) -> list[facts.Event]:
    """Carry out every order of a decision that is no message; give what came of it."""
    events: list[facts.Event] = []
    for command in committed.decision.commands:
        match command:
            case order.SubmitSegment():
                events += _submit(services, committed, command)
            case order.InspectSegment():
                events += _inspect_segment(services, committed, command)
            case order.CancelGeneration(_, _, operation):
                services.generators[committed.job.generator].cancel(operation)
            case order.OpenWindow(job_id, window_end) | order.ReopenSegments(job_id, window_end):
                _open_window(services, job_id, window_end)
            case order.CloseSegments(job_id):
                events += _close_segments(services, job_id)
            case order.StitchClips():
                events += stitch.stitch(services, committed.job)
            case order.InspectStitch(_, attempt, operation):
                events += stitch.inspect(services, committed.job, attempt, operation)
            case order.CancelStitch(_, operation):
                services.stitcher.cancel(operation)
            case order.RenderSegment() | order.RequestStitch() | order.RequestJob():
                pass  # a message, which is published already
            case _:
                raise AssertionError(f"nobody carries out {command}")
    return events


def _submit(services: Services, committed: Committed, command: order.SubmitSegment) -> list[facts.Event]:
    job, segment = committed.job, committed.segment
    assert segment is not None
    index, attempt = command.segment_index, command.attempt
    generator = services.generators.get(job.generator)
    if generator is None:
        known = ", ".join(sorted(services.generators))
        text = f"there is no generator {job.generator!r} here; there are: {known}"
        return [facts.SegmentFailed(index, attempt, "no_generator", text, retryable=False)]
    try:
        answer = generator.submit(
            RenderOrder(
                job_id=job.job_id,
                segment_index=index,
                segment_count=job.segment_count,
                attempt=attempt,
                spec=SegmentSpec.from_json(segment.spec),
                settings=Settings.from_json(job.settings),
                output_prefix=f"gs://{services.bucket}/{segment_prefix(job.job_id, index, attempt)}",
                start_image=job.last_frame if job.daisy_chain else None,
            )
        )
    except LimitExceeded as exc:
        return [facts.QuotaExhausted(index, attempt, exc.message, services.clock.jitter())]
    except PipelineError as exc:
        if isinstance(exc, Unavailable) and not generator.resubmittable:
            # It may have been bought. The lease runs out, and an inspection finds the clip or the loss.
            return []
        jitter = services.clock.jitter()
        return [facts.SegmentFailed(index, attempt, exc.code, exc.message, exc.retryable, jitter)]
    if isinstance(answer, ClipReady):
        return [facts.SegmentDone(index, attempt, answer.clip)]
    return [facts.GenerationStarted(index, attempt, answer.operation)]


def _inspect_segment(services: Services, committed: Committed, command: order.InspectSegment) -> list[facts.Event]:
    index, attempt = command.segment_index, command.attempt
    landed = clips.find_landed(services, command.job_id, index, attempt)
    if landed is not None:
        return [segment_outcome(services, landed, chained=committed.job.daisy_chain)]
    assert committed.segment is not None
    generator = services.generators[committed.job.generator]
    operation, jitter = committed.segment.operation, services.clock.jitter()
    answer = generator.poll(operation) if operation is not None else Gone()
    if isinstance(answer, Running):
        return [facts.GenerationRunning(index, attempt, jitter)]
    if isinstance(answer, Gone):
        return [facts.GenerationUnknown(index, attempt, generator.resubmittable, jitter)]
    return [facts.SegmentFailed(index, attempt, answer.code, answer.message, answer.retryable, jitter)]


def segment_outcome(services: Services, landed: clips.Landed, *, chained: bool) -> facts.SegmentEvent:
    """Look at a clip that landed, and tell what that means for its segment."""
    place = landed.place
    try:
        clip = clips.look_at(services, landed.info)
        last_frame = clips.keep_last_frame(services, landed) if chained else None
    except BadMedia as exc:
        # The generator made a broken clip; another attempt may make a good one.
        jitter = services.clock.jitter()
        return facts.SegmentFailed(place.segment_index, place.attempt, exc.code, exc.message, True, jitter)
    return facts.SegmentDone(place.segment_index, place.attempt, clip, last_frame)


def _open_window(services: Services, job_id: str, window_end: int) -> None:
    # In a job that generates, failed and cancelled segments are left over from before it was resumed.
    with services.together():
        for segment in services.jobs.segments(job_id, REOPENABLE_SEGMENT_STATES):
            advance(services, job_id, facts.SegmentReopened(segment.index))
    pending = services.jobs.segments(job_id, frozenset({SegmentState.PENDING}), below=window_end)
    outgoing = [as_message(order.RenderSegment(job_id, each.index, each.not_before)) for each in pending]
    services.bus.publish([message for message in outgoing if isinstance(message, Outgoing)])


def _close_segments(services: Services, job_id: str) -> list[facts.Event]:
    still_open = services.jobs.segments(job_id, OPEN_SEGMENT_STATES)
    return [*(facts.SegmentClosed(segment.index) for segment in still_open), facts.SegmentsClosed()]
