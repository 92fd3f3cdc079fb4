"""Which cells of the two tables histories enter, and which none can: each of these with the reason, held by tests."""

from __future__ import annotations

from collections.abc import Collection

from pipeline.job import TABLE as JOB_TABLE
from pipeline.segment import TABLE as SEGMENT_TABLE

_BEFORE_ANY_STITCH = "a stitch is claimed only when every segment has ended, and no job is queued again after that"
_ENDED_FOR_GOOD = (
    "a stitch is claimed only when every segment has ended; what is done or left out stays so (the checker 'a film is "
    "begun when every segment has ended'), and a resume then goes to the stitch at once"
)
_NONE_IS_OPEN = "every segment is done or left out by then, and one that was left out is taken in only while generating"

#: Cell → why no history can enter it.
UNREACHABLE: dict[str, str] = {
    "job queued SegmentEnded": "a segment ends after it was claimed, and none is claimed while its job is queued",
    "job queued SegmentsClosed": "only a job that is over closes its segments, and none is queued again",
    **{f"job queued Stitch{what}": _BEFORE_ANY_STITCH for what in ("Started", "Progressed", "Done", "Failed")},
    **{f"job generating Stitch{what}": _ENDED_FOR_GOOD for what in ("Started", "Progressed", "Done", "Failed")},
    "job stitching SegmentEnded": _NONE_IS_OPEN,
    "job completed SegmentEnded": _NONE_IS_OPEN,
}


def all_cells() -> set[str]:
    """Give the name of every cell of both tables."""
    segment = {f"segment {state} {event.__name__}" for state, event in SEGMENT_TABLE}
    return segment | {f"job {state} {event.__name__}" for state, event in JOB_TABLE}


def missing(entered: Collection[str]) -> list[str]:
    """Give the cells that could be entered and were not."""
    return sorted(all_cells() - UNREACHABLE.keys() - set(entered))


def impossible(entered: Collection[str]) -> list[str]:
    """Give the cells that were entered, though it says here that none can."""
    return sorted(UNREACHABLE.keys() & set(entered))
