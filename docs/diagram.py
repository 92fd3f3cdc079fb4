"""Draws the two state diagrams of `docs/architecture.md` from the tables themselves, so that they cannot go stale.

`python -m docs.diagram` prints them; with `--write` it puts them between the page's markers.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

from docs.marked import filled
from pipeline import job, segment
from pipeline.records import ACTIVE_JOB_STATES, OPEN_SEGMENT_STATES, JobState, SegmentState
from pipeline.table import Move

PAGE = Path(__file__).with_name("architecture.md")


def diagrams() -> dict[str, str]:
    """Give the Mermaid text of each diagram by the name of its marker."""
    over_jobs = [state for state in JobState if state not in ACTIVE_JOB_STATES]
    over_segments = [state for state in SegmentState if state not in OPEN_SEGMENT_STATES]
    return {
        "job states": draw(job.TABLE, JobState.QUEUED, over_jobs),
        "segment states": draw(segment.TABLE, SegmentState.PENDING, over_segments),
    }


def draw(table: Mapping[tuple[Any, type], object], first: StrEnum, last: Iterable[StrEnum]) -> str:
    """Draw every move of a table that leads from one state to another, labelled with the events that may cause it."""
    causes: dict[tuple[str, str], list[str]] = {}
    for (state, event), cell in table.items():
        if isinstance(cell, Move):
            for after in cell.to:
                if after is not state:
                    causes.setdefault((str(state), str(after)), []).append(event.__name__)
    lines = ["stateDiagram-v2", f"    [*] --> {first}"]
    lines += [f"    {before} --> {after}: {'<br/>'.join(events)}" for (before, after), events in causes.items()]
    lines += [f"    {state} --> [*]" for state in last]
    return "\n".join(lines)


def page_with_diagrams(text: str) -> str:
    """Give the page's text with each diagram, as it is now, between its markers."""
    return filled(text, "diagram", {name: f"```mermaid\n{drawing}\n```\n" for name, drawing in diagrams().items()})


def main() -> None:
    """Print the diagrams or write them into the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="put the diagrams into docs/architecture.md")
    if parser.parse_args().write:
        PAGE.write_text(page_with_diagrams(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        sys.stdout.write("\n\n".join(diagrams().values()) + "\n")


if __name__ == "__main__":
    main()
