"""Showing a running job: live in a terminal, line by line in a pipe, JSON lines for programs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from embedded.lines import JsonLines, PlainLines
from embedded.pace import Pace
from embedded.words import in_words, left_in_words, segment_mark, segment_note, segment_title
from pipeline.records import Job, JobState, Segment, SegmentState
from pipeline.view import message_of

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live
    from rich.table import Table

#: Lines of the terminal that are no segments: the bar, the times, the tally, the prompt.
_OTHER_ROWS = 5
#: Narrowest terminal in which a segment's note stands beside its title.
_NOTE_COLUMNS_MIN = 72


class Display(Protocol):
    """Is shown a job each time it has changed."""

    @property
    def ticks(self) -> bool:
        """Whether to be shown the job once a second also when nothing has changed."""
        ...

    def show(self, job: Job, segments: list[Segment], now: datetime) -> None:
        """Show how things stand."""
        ...


class LiveDisplay:
    """A bar for the film and a line a segment, redrawn in place."""

    #: The clock on the screen moves.
    ticks = True

    def __init__(self, live: Live) -> None:
        self._live = live
        self._pace = Pace()

    def show(self, job: Job, segments: list[Segment], now: datetime) -> None:
        """Redraw."""
        from rich.console import Group

        self._pace.note(job, now)
        size = self._live.console.size
        shown = _choose(segments, max(3, size.height - _OTHER_ROWS), over=not job.active)
        body: list[RenderableType] = [_bar(job), self._times(job, now)]
        if shown:
            body.append(_rows(shown, now, noted=size.width >= _NOTE_COLUMNS_MIN))
        if len(shown) < len(segments):
            body.append(_dim(f"     {_tally(segments, len(segments) - len(shown))}"))
        self._live.update(Group(*body), refresh=True)

    def _times(self, job: Job, now: datetime) -> RenderableType:
        took = in_words((job.ended_at or now) - job.created_at)
        left = self._pace.left(now) if job.active else None
        return _dim(took if left is None else f"{took}, {left_in_words(left)}")


def _bar(job: Job) -> Table:
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    head = Table.grid(padding=(0, 1), expand=True)
    head.add_column(no_wrap=True, overflow="ellipsis", max_width=28)
    head.add_column(ratio=1)
    head.add_column(width=5, justify="right", no_wrap=True)
    message = message_of(job) if job.active else str(job.state).capitalize()
    bar = ProgressBar(100, job.progress, complete_style=_BAR_STYLES.get(job.state, "cyan"), finished_style="green")
    head.add_row(Text(message, "bold"), bar, f"{job.progress} %")
    return head


def _rows(segments: list[Segment], now: datetime, *, noted: bool) -> Table:
    from rich.table import Table
    from rich.text import Text

    rows = Table.grid(padding=(0, 1), expand=True)
    rows.add_column(width=1)
    rows.add_column(width=3, justify="right", style="dim")
    rows.add_column(ratio=2 if noted else 1, no_wrap=True, overflow="ellipsis")
    if noted:
        rows.add_column(ratio=1, no_wrap=True, overflow="ellipsis", style="dim")
    for each in segments:
        style, note, title = _STYLES[each.state], segment_note(each, now), segment_title(each)
        # In a narrow terminal, what went wrong matters more than what the scene is.
        shown = note if each.state in _TROUBLED and not noted else title
        cells = [Text(segment_mark(each), style), Text(str(each.index + 1)), Text(shown)]
        rows.add_row(*cells, *([Text(note)] if noted else []))
    return rows


def _choose(segments: list[Segment], count_max: int, *, over: bool) -> list[Segment]:
    """Give the segments that there is room for: those that say the most, in the film's order."""
    if len(segments) <= count_max:
        return segments
    if over:
        segments = [each for each in segments if each.state in _TROUBLED]
    order = sorted(segments, key=lambda each: (_IMPORTANCE[each.state], each.index))
    return sorted(order[:count_max], key=lambda each: each.index)


def _tally(segments: list[Segment], hidden_count: int) -> str:
    counts = {state: sum(each.state is state for each in segments) for state in SegmentState}
    named = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
    return f"and {hidden_count} more; {named}"


def _dim(text: str) -> RenderableType:
    from rich.text import Text

    return Text(text, "dim", no_wrap=True, overflow="ellipsis")


_BAR_STYLES = {JobState.FAILED: "red", JobState.CANCELLED: "red"}
_STYLES = {
    SegmentState.PENDING: "dim",
    SegmentState.CLAIMED: "cyan",
    SegmentState.GENERATING: "cyan",
    SegmentState.DONE: "green",
    SegmentState.FAILED: "red",
    SegmentState.SKIPPED: "yellow",
    SegmentState.CANCELLED: "red",
}
_TROUBLED = frozenset({SegmentState.FAILED, SegmentState.SKIPPED})
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
def open_display(*, as_json: bool) -> Iterator[Display]:
    """Choose how to show: JSON where asked, live in a terminal, else plain lines."""
    if as_json:
        yield JsonLines()
    elif not sys.stdout.isatty():
        yield PlainLines()
    else:
        from rich.console import Console
        from rich.live import Live

        with Live(console=Console(), auto_refresh=False, transient=False, vertical_overflow="crop") as live:
            yield LiveDisplay(live)
