"""What a person is told about a job and its segments, from their documents alone."""

from __future__ import annotations

from datetime import datetime

from events.requests import Kind
from pipeline.limits import JOB_LONGEST
from pipeline.records import Job, JobState, Segment


def phase_of(job: Job) -> str:
    """Give one word for what is going on, finer than the state."""
    if job.state is JobState.STITCHING:
        return "stitching" if job.stitch.operation else "planning"
    if job.state is JobState.GENERATING and job.kind is Kind.STITCH:
        return "checking"
    return str(job.state)


def begun_at(job: Job) -> datetime:
    """Give when the job was asked for, or last resumed: a resume moves the deadline, and nothing else does."""
    return job.deadline_at - JOB_LONGEST


def message_of(job: Job) -> str:
    """Give the sentence that a person reads under the progress bar."""
    match job.state:
        case JobState.QUEUED:
            return "Waiting to Start..."
        case JobState.GENERATING:
            return "Imaginating Scene..." if job.kind is Kind.LONG_FORM else "Looking at the Clips..."
        case JobState.STITCHING if (at := next_attempt_at(job)) is not None:
            return f"Waiting to Stitch Again at {at:%H:%M:%S} UTC..."
        case JobState.STITCHING:
            return "Stitching Masterpiece..."
        case JobState.COMPLETED:
            return "Completed"
        case _:
            return job.error.message if job.error else str(job.state).capitalize()


def next_attempt_at(job: Job) -> datetime | None:
    """Give when the film is tried again; None while it is being made, or where no try has failed."""
    return job.stitch.not_before if job.state is JobState.STITCHING else None


def segment_noun(job: Job) -> str:
    """Give what people call a segment of this job."""
    return "Scene" if job.kind is Kind.LONG_FORM else "Clip"


def left_out(job: Job, segment: Segment) -> str:
    """Give the warning about a segment that the film is made without."""
    reason = segment.error.message if segment.error else "no reason was given"
    return f"{segment_noun(job)} {segment.index + 1} is left out: {reason}"
