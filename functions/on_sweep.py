"""The sweep: everything whose `wakeAt` has passed is told so. What a crash or a lost message left behind, it mends."""

from __future__ import annotations

import logging

from events.log_lines import fields
from functions.perform import drive
from functions.services import Services
from pipeline import facts
from pipeline.ports import Overdue

log = logging.getLogger("longreel.on_sweep")

#: Overdue things that one sweep looks at; more wait for the next.
SWEEP_LIMIT = 200


def handle(services: Services) -> int:
    """Look once; give the number of overdue things that were found."""
    overdue = services.jobs.overdue(services.clock.now(), SWEEP_LIMIT)
    for each in overdue:
        try:
            drive(services, each.job_id, _event(each, services.clock.jitter()))
        except Exception:
            # One that cannot be mended must not stand in the way of the others; it is overdue again later.
            extra = fields(action="sweep", job_id=each.job_id, segment=each.segment_index)
            log.exception("look after %s", each.job_id, extra=extra)
    return len(overdue)


def _event(overdue: Overdue, jitter: float) -> facts.Event:
    if overdue.segment_index is None:
        return facts.JobDeadlinePassed(jitter)
    return facts.SegmentDeadlinePassed(overdue.segment_index, jitter)
