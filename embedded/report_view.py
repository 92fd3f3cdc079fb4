"""How `longreel report` prints its tables: for people, and as the views' columns for programs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import fields
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from adapters.sqlite_spend import SqliteSpend
from embedded.report import Cost, Latency, Report, Success, Trouble, make_report
from embedded.terminal import plain, print_json, say
from embedded.words import in_words

if TYPE_CHECKING:
    from embedded.assembly import Pipeline

#: Table in JSON, which is also the name of its view → the rows' type.
TABLES: dict[str, type[Any]] = {
    "costPerUserAndDay": Cost,
    "latencies": Latency,
    "failures": Trouble,
    "successByType": Success,
}


def report(pipeline: Pipeline, days: int, *, as_json: bool) -> None:
    """Print what the jobs of the last `days` days cost, how long they took, and what failed."""
    now = pipeline.adapters.clock.now()
    made = make_report(pipeline.services.jobs, now, days)
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    bound = SqliteSpend(pipeline.adapters.database).since(today) / 1_000_000
    if as_json:
        print_json({"since": made.since.date().isoformat(), "boundTodayUsd": bound, **report_value(made)})
        return
    say(f"The last {days} days, since {made.since.date()} (UTC)." if days > 1 else f"Today, {made.since.date()} (UTC).")
    if not made.successes and not made.costs:
        say("There are no jobs; `longreel make SCRIPT -o film.mp4` starts one.")
        return
    for table in (_costs(made.costs), _latencies(made.latencies), _troubles(made, now), _successes(made.successes)):
        _say_table(*table)
    say("")
    say(f"The jobs of today have cost, or may still cost, ${bound:,.2f}.")


def report_value(made: Report) -> dict[str, list[dict[str, Any]]]:
    """Give the tables as programs read them: each row has its view's columns."""
    tables: Iterable[Sequence[Any]] = (made.costs, made.latencies, made.troubles, made.successes)
    return {name: [row_value(row) for row in rows] for name, rows in zip(TABLES, tables, strict=True)}


def row_value(row: Any) -> dict[str, Any]:
    """Give a row with its fields in camelCase, and dates and times as ISO 8601 writes them."""
    values = {each.name: getattr(row, each.name) for each in fields(row)}
    return {
        column(name): value.isoformat() if isinstance(value, date) else value  # a datetime is a date as well
        for name, value in values.items()
    }


def column(name: str) -> str:
    """Give a field's name as JSON and the views have it.

    >>> column("p50_ms")
    'p50Ms'
    """
    return re.sub(r"_(\w)", lambda found: found[1].upper(), name)


_Table = tuple[str, Sequence[str], Sequence[Sequence[str]]]


def _costs(costs: Sequence[Cost]) -> _Table:
    rows = [
        (str(each.day), plain(each.user_id), str(each.jobs), f"{each.spent_usd:,.2f}", f"{each.wasted_usd:,.2f}")
        for each in costs
    ]
    return "Cost per user and day, in US dollars", ("day", "user", "jobs", "spent", "wasted"), rows


def _latencies(latencies: Sequence[Latency]) -> _Table:
    rows = [
        (each.what, str(each.count), *(_seconds(ms) for ms in (each.p50_ms, each.p90_ms, each.p99_ms)))
        for each in latencies
    ]
    return "How long it took, in seconds", ("what", "count", "p50", "p90", "p99"), rows


def _seconds(ms: int) -> str:
    return f"{ms / 1000:,.1f}"


def _troubles(made: Report, now: Any) -> _Table:
    rows = [
        (plain(each.error_code), str(each.count), f"{in_words(max(timedelta(0), now - each.last_seen_at))} ago")
        for each in made.troubles
    ]
    return "What fails most", ("error", "count", "last seen"), rows


def _successes(successes: Sequence[Success]) -> _Table:
    rows = [
        (
            each.job_type,
            *(str(count) for count in (each.completed, each.failed, each.cancelled)),
            "" if each.success_rate is None else f"{100 * each.success_rate:.1f} %",
        )
        for each in successes
    ]
    return "How jobs ended", ("type", "completed", "failed", "cancelled", "success"), rows


def _say_table(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    say("")
    if not rows:
        say(f"{title}: nothing.")
        return
    say(title)
    widths = [max(len(row[number]) for row in (heads, *rows)) for number in range(len(heads))]
    for row in (heads, *rows):
        # Words to the left, numbers to the right.
        cells = [
            cell.ljust(width) if rows[0][number][:1].isalpha() or number == 0 else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        say(f"  {'  '.join(cells)}".rstrip())
