"""The port of the budget lock: what the jobs of a day have cost, or may still cost."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from pipeline import limits
from pipeline.records import Job, JobState


class Spend(Protocol):
    """What all jobs together are bound to cost."""

    def since(self, start: datetime) -> int:
        """Sum `bound_micro_usd` of every job that was created, or last resumed, at `start` or later; micro USD.

        A job that was written a moment ago is counted.

        Raises:
            Unavailable: the store did not answer.
        """
        ...


def bound_micro_usd(job: Job) -> int:
    """Give what a job has cost or may still cost, in millionths of a US dollar; never less than what it has cost.

    An active job may cost all of its estimate. A completed one costs what it did. One that failed or was cancelled
    may have clips on order: its window's worth at most, each taken as dear as the average.
    """
    return job.cost.spent_micro_usd + job.cost.wasted_micro_usd + on_order_micro_usd(job)


def on_order_micro_usd(job: Job) -> int:
    """Give what a job may still cost beside what it has cost, in millionths of a US dollar."""
    cost = job.cost
    unpaid = max(0, cost.estimated_micro_usd - cost.spent_micro_usd)
    if job.active:
        return unpaid
    if job.state is JobState.COMPLETED or job.started_at is None or not job.segment_count:
        return 0
    on_order = job.window_end - job.ended_count
    return min(unpaid, -(-cost.estimated_micro_usd * on_order // job.segment_count))


def is_counted(job: Job, start: datetime) -> bool:
    """Tell whether a job was created, or last resumed, at `start` or later; its deadline tells."""
    return job.deadline_at >= start + limits.JOB_LONGEST
