"""The sweep: everything whose `wakeAt` has passed is told so. What a crash or a lost message left behind, it mends."""

from __future__ import annotations

from functions.perform import drive
from functions.services import Services
from pipeline import facts

#: Overdue things that one sweep looks at; more wait for the next.
SWEEP_LIMIT = 200


def handle(services: Services) -> int:
    """Look once; give the number of overdue things that were found."""
    overdue = services.jobs.overdue(services.clock.now(), SWEEP_LIMIT)
    for each in overdue:
        jitter = services.clock.jitter()
        if each.segment_index is None:
            drive(services, each.job_id, facts.JobDeadlinePassed(jitter))
        else:
            drive(services, each.job_id, facts.SegmentDeadlinePassed(each.segment_index, jitter))
    return len(overdue)
