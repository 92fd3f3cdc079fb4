"""The orders that a decision gives: some are messages, the rest are carried out by `functions/perform.py`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from events import messages
from events.clip import Clip


@dataclass(frozen=True, slots=True)
class Command:
    """An order about one job."""

    job_id: str


@dataclass(frozen=True, slots=True)
class RequestJob(Command):
    """Publish `requested`."""


@dataclass(frozen=True, slots=True)
class RenderSegment(Command):
    """Publish `segment_requested`."""

    segment_index: int
    not_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class RequestStitch(Command):
    """Publish `stitch_requested`."""

    not_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class OpenWindow(Command):
    """Tell every segment that failed or was cancelled that the job goes on; ask for the pending below `window_end`."""

    window_end: int


@dataclass(frozen=True, slots=True)
class SubmitSegment(Command):
    """Give the segment's order to its generator."""

    segment_index: int
    attempt: int


@dataclass(frozen=True, slots=True)
class InspectSegment(Command):
    """Find out what became of an attempt: look for its clip, then ask the generator."""

    segment_index: int
    attempt: int


@dataclass(frozen=True, slots=True)
class KeepLastFrame(Command):
    """Store the last frame of a clip that landed, for the segment that starts from it; then tell of the clip again."""

    segment_index: int
    attempt: int
    clip: Clip


@dataclass(frozen=True, slots=True)
class CancelGeneration(Command):
    """Tell the generator that nobody waits for this work any more."""

    segment_index: int
    operation: str


@dataclass(frozen=True, slots=True)
class CloseSegments(Command):
    """Tell every open segment that the job is over."""


@dataclass(frozen=True, slots=True)
class ForgetCheckpoints(Command):
    """Delete what was encoded of a film that nobody will go on with."""


@dataclass(frozen=True, slots=True)
class StitchClips(Command):
    """Plan the film, choose a stitcher and start it."""

    attempt: int


@dataclass(frozen=True, slots=True)
class InspectStitch(Command):
    """Find out what became of a stitch attempt."""

    attempt: int
    operation: str | None


@dataclass(frozen=True, slots=True)
class CancelStitch(Command):
    """Tell the stitcher that nobody waits for the film any more."""

    operation: str


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message to publish, and when it may be delivered at the earliest."""

    message: messages.Message
    not_before: datetime | None = None


def as_message(command: Command) -> Outgoing | None:
    """Give the message that a command is; None for one that is carried out in the world."""
    match command:
        case RenderSegment(job_id, index, not_before):
            return Outgoing(messages.SegmentRequested(job_id=job_id, segment_index=index), not_before)
        case RequestStitch(job_id, not_before):
            return Outgoing(messages.StitchRequested(job_id=job_id), not_before)
        case RequestJob(job_id):
            return Outgoing(messages.Requested(job_id=job_id))
        case _:
            return None
