"""Showing a running job: a live view in a terminal, plain lines in a pipe, JSON lines for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from embedded.words import job_as_json, segment_mark, segment_note, segment_noun, segment_title
from pipeline.ports import Clock
from pipeline.records import Job, JobState, Segment, SegmentState
from pipeline.view import message_of

if TYPE_CHECKING:
    from rich.live import Live

_MOVING = frozenset({SegmentState.CLAIMED, SegmentState.GENERATING})


class Display(Protocol):
    """Is shown a job each time it has changed."""

    def show(self, job: Job, segments: list[Segment]) -> None:
        """Show how things stand."""
        ...


class PlainDisplay:
    """One line a change, for pipes and logs."""

    def __init__(self) -> None:
        self._said: dict[int, SegmentState] = {}
        self._percent: int | None = None
        self._state: JobState | None = None

    def show(self, job: Job, segments: list[Segment]) -> None:
        """Print what is new."""
        for segment in segments:
            before = self._said.get(segment.index, SegmentState.PENDING)
            if segment.state is not before and segment.state not in _MOVING:
                error = f": {segment.error.message}" if segment.error and segment.state is not SegmentState.DONE else ""
                noun = f"{segment_noun(job)} {segment.index + 1}/{job.segment_count}"
                self._say(f"{job.progress:3d} %  {noun} {segment.state}{error}")
            self._said[segment.index] = segment.state
        if job.state is not self._state and job.active:
            self._say(f"{job.progress:3d} %  {message_of(job)}")
        self._state = job.state

    def _say(self, line: str) -> None:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


class JsonDisplay:
    """One JSON object a change, segments included when they changed."""

    def __init__(self) -> None:
        self._said = ""

    def show(self, job: Job, segments: list[Segment]) -> None:
        """Print the job if anything about it is new."""
        value = job_as_json(job)
        value["segments"] = [{"index": each.index, "state": each.state, "attempt": each.attempt} for each in segments]
        line = json.dumps({"type": "job", **value}, ensure_ascii=False)
        if line != self._said:
            sys.stdout.write(line + "\n")
            sys.stdout.flush()
        self._said = line


class LiveDisplay:
    """A bar for the film and a line a segment, redrawn in place."""

    def __init__(self, live: Live, height: int, clock: Clock) -> None:
        self._live = live
        #: Lines for segments; with more segments than that, those that move are shown.
        self._rows = max(4, height - 6)
        self._clock = clock

    def show(self, job: Job, segments: list[Segment]) -> None:
        """Redraw."""
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        head = Table.grid(padding=(0, 1), expand=True)
        head.add_column(width=28, no_wrap=True)
        head.add_column(ratio=1)
        head.add_column(width=5, justify="right")
        head.add_row(Text(message_of(job), "bold"), ProgressBar(100, job.progress), f"{job.progress} %")
        rows = Table.grid(padding=(0, 1), expand=True)
        rows.add_column(width=1)
        rows.add_column(width=4, justify="right", style="dim")
        rows.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
        rows.add_column(width=34, no_wrap=True, overflow="ellipsis", style="dim")
        shown = self._choose(segments)
        now = self._clock.now()
        for each in shown:
            mark, title = Text(segment_mark(each), _STYLES[each.state]), Text(segment_title(each))
            rows.add_row(mark, str(each.index + 1), title, Text(segment_note(each, now)))
        hidden = len(segments) - len(shown)
        tally = f"   … and {hidden} more, {job.done_count} of {job.segment_count} done"
        more = Text(tally if hidden else "", "dim")
        self._live.update(Group(head, rows, more), refresh=True)

    def _choose(self, segments: list[Segment]) -> list[Segment]:
        if len(segments) <= self._rows:
            return segments
        order = sorted(segments, key=lambda each: (_IMPORTANCE[each.state], each.index))
        return sorted(order[: self._rows], key=lambda each: each.index)


_STYLES = {
    SegmentState.PENDING: "dim",
    SegmentState.CLAIMED: "cyan",
    SegmentState.GENERATING: "cyan",
    SegmentState.DONE: "green",
    SegmentState.FAILED: "red",
    SegmentState.SKIPPED: "yellow",
    SegmentState.CANCELLED: "red",
}
_IMPORTANCE = {
    SegmentState.FAILED: 0,
    SegmentState.GENERATING: 1,
    SegmentState.CLAIMED: 1,
    SegmentState.SKIPPED: 2,
    SegmentState.PENDING: 3,
    SegmentState.CANCELLED: 3,
    SegmentState.DONE: 4,
}


@contextmanager
def open_display(*, as_json: bool, clock: Clock) -> Iterator[Display]:
    """Choose how to show: JSON where asked, live in a terminal, else plain lines."""
    if as_json:
        yield JsonDisplay()
    elif not sys.stdout.isatty():
        yield PlainDisplay()
    else:
        from rich.console import Console
        from rich.live import Live

        console = Console()
        with Live(console=console, auto_refresh=False, transient=False) as live:
            yield LiveDisplay(live, console.height, clock)
