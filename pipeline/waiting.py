"""What the clock says about what waits: whether it is due, took too long, is still ours, or may still bring a clip."""

from __future__ import annotations

from datetime import datetime

from pipeline import limits
from pipeline.records import Job, Segment


def is_due(segment: Segment, now: datetime) -> bool:
    """Tell whether the time has come to look after the segment."""
    return segment.wake_at is not None and segment.wake_at <= now


def claim_is_over(segment: Segment, now: datetime) -> bool:
    """Tell whether whoever claimed it stood still for so long that somebody else may have bought its clip meanwhile."""
    return segment.claimed_at is not None and now - segment.claimed_at >= limits.CLAIM_LEASE


def stitch_claim_is_over(job: Job, now: datetime) -> bool:
    """Tell the same of a job whose stitch was claimed, and not started."""
    return job.wake_at is not None and job.wake_at <= now


def took_too_long(segment: Segment, now: datetime) -> bool:
    """Tell whether its attempt is to be given up, whatever is said of it."""
    return segment.claimed_at is not None and now - segment.claimed_at > limits.GENERATION_LONGEST


def may_land_until(segment: Segment, now: datetime) -> datetime | None:
    """Give until when the clip of an order may land of which nobody knows anything; None when its time is over.

    Whoever submitted it died before the operation was recorded, so nobody can be asked; or the generator was asked, and
    does not know its own operation. In both cases it may have been bought.
    """
    if segment.claimed_at is None:
        return None
    until = segment.claimed_at + limits.GENERATION_PATIENCE
    return until if until > now else None
