"""A film's report as it lies in the store: a StitchReport, and which plan it is of.

So whoever is asked for the same film again finds out that it is there: an order may come twice, and a program may die
between the film and its last word.
"""

from __future__ import annotations

import hashlib
import json

from events.clip import StitchReport
from events.errors import BadMessage
from events.plan import StitchPlan

#: Field that says which plan the report is of; readers of a StitchReport ignore it.
_PLAN_DIGEST = "planDigest"

#: What does not change the film.
_NO_MATTER = {"attempt", "title", "schema_version", "deadline_at", "larger"}


def _digest(plan: StitchPlan) -> str:
    """Give a digest of what determines the film: two plans of the same digest make the same film at the same place."""
    text = plan.model_dump_json(by_alias=True, exclude=_NO_MATTER)
    return hashlib.sha256(text.encode()).hexdigest()


def written_report(plan: StitchPlan, report: StitchReport) -> bytes:
    """Give the JSON text of a plan's report."""
    return json.dumps({**report.to_wire(), _PLAN_DIGEST: _digest(plan)}, ensure_ascii=False).encode()


def report_of(plan: StitchPlan, written: bytes, film_size_bytes: int) -> StitchReport | None:
    """Read a report again; None if it is of another plan or another film, or no report at all."""
    try:
        digest = json.loads(written).get(_PLAN_DIGEST)
        report = StitchReport.from_json(written)
    except (BadMessage, ValueError, AttributeError):
        return None  # Somebody else's paper under our name: it is replaced.
    return report if digest == _digest(plan) and report.size_bytes == film_size_bytes else None
