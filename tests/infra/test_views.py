"""The BigQuery views say what `longreel report` says: of the real log lines of real handlers, over the same jobs.

BigQuery itself cannot be run here. Its dialect is parsed by sqlglot, whose translation DuckDB runs over a table that
is like the one of a linked dataset. DuckDB is as strict as BigQuery about types and about what a GROUP BY leaves out.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlglot
from sqlglot import exp

from embedded.log import JsonLines
from embedded.report import make_report
from embedded.report_view import TABLES, column, report_value
from events.errors import RenderFailed, StitchFailed
from events.log_lines import FIELDS
from tests.functions.conftest import clip_of as clip_of
from tests.functions.conftest import make_world as make_world
from tests.functions.world import ManualClock, World
from tests.infra.views_in_duckdb import Line, rows_of_views

VIEWS = Path(__file__).parents[2] / "infra" / "views"
#: Those that others are made of come first.
ORDER = ("decisions", "jobs", "cost_per_user_and_day", "latencies", "failures", "success_by_type")
#: Table of the report → its view.
VIEW_OF = {re.sub(r"_(\w)", lambda found: found[1].upper(), name): name for name in ORDER[2:]}
LINES, DATASET = "my-films.longreel_production_lines._AllLogs", "my-films.longreel_production"
FILTERED = RenderFailed("It must not be shown.", code="filtered")


def query_of(name: str) -> str:
    """Give a view's query as Terraform makes it."""
    text = (VIEWS / f"{name}.sql.tftpl").read_text(encoding="utf-8")
    return text.replace("${lines}", LINES).replace("${dataset}", DATASET)


class Lines(logging.Handler):
    """Keeps every line as Cloud Logging would, with the world's time; each a microsecond after the one before."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.rows: list[Line] = []
        self._world = world
        self.setFormatter(JsonLines())

    def emit(self, record: logging.LogRecord) -> None:
        number = len(self.rows)
        at = self._world.clock.now() + timedelta(microseconds=number)
        self.rows.append((at, at, f"line{number}", "projects/my-films/logs/stderr", self.format(record)))


@pytest.fixture
def kept(make_world: Callable[..., World]) -> Iterator[tuple[World, Lines]]:
    world = make_world(clock=ManualClock(datetime(2026, 11, 20, 9, tzinfo=UTC)))
    lines, log = Lines(world), logging.getLogger("longreel")
    level = log.level
    log.addHandler(lines)
    log.setLevel(logging.INFO)
    yield world, lines
    log.removeHandler(lines)
    log.setLevel(level)


def found_in(lines: list[Line]) -> dict[str, list[dict[str, Any]]]:
    """Give the rows of every view over such lines."""
    views = {}
    for name in ORDER:
        [query] = sqlglot.parse(query_of(name), read="bigquery")
        assert query is not None
        for table in query.find_all(exp.Table):
            # Of `project.dataset.name` DuckDB has the name alone.
            table.set("catalog", None)
            table.set("db", None)
        views[name] = query.sql(dialect="duckdb")
    # An entry may be there twice.
    found = rows_of_views(lines + lines[::3], views)
    return {name: [in_whole_seconds(row) for row in rows] for name, rows in found.items()}


def in_whole_seconds(row: dict[str, Any]) -> dict[str, Any]:
    """Give a row with its time as ISO 8601 has it: the lines of one moment are microseconds apart here."""
    if "lastSeenAt" in row:
        row["lastSeenAt"] = datetime.fromisoformat(row["lastSeenAt"]).replace(microsecond=0).isoformat()
    return row


def in_any_order(rows: Iterable[dict[str, Any]]) -> list[str]:
    return sorted(json.dumps(row, sort_keys=True) for row in rows)


def three_days(world: World) -> None:
    """Let jobs be made, fail, be resumed, be cancelled, and let all that take times that differ."""
    for number, (user, count) in enumerate((("ann", 3), ("bob", 2), ("ann", 4))):
        world.paid.lands_after = timedelta(seconds=(40, 80, 120)[number])
        world.settle(world.create_paid(count, user_id=user, projectId=f"p{count}"))
        world.pass_time(timedelta(seconds=7))
    world.paid.lands_after = timedelta(seconds=40)
    world.pass_time(timedelta(days=1))
    # A clip that was paid for and is none, and is had at the second try; one that is left out.
    world.paid.refusals.extend([(RenderFailed("no clip", code="no_object", retryable=True), True), (FILTERED, False)])
    world.settle(world.create_paid(3, user_id="bob", onSegmentFailure="skip"))
    world.pass_time(timedelta(days=1))
    # A film that is had at the second try; one that fails, is resumed, and is there; one that stays failed.
    world.stitcher.refusals.append(StitchFailed("broken", code="encoder_lost", retryable=True))
    world.settle(world.create_paid(2, user_id="cy"))
    world.stitcher.refusals.append(StitchFailed("broken", code="encoder_lost"))
    resumed = world.create_paid(2, user_id="cy")
    world.settle(resumed)
    world.pass_time(timedelta(minutes=3))
    world.resume(resumed)
    world.settle(resumed)
    world.stitcher.refusals.append(StitchFailed("broken", code="encoder_lost"))
    failed = world.create_paid(2, user_id="cy")
    world.settle(failed)
    # A clip that no try brings; and a job that is stopped half-way, after a failure that nobody asks about any more.
    world.paid.refusals.append((FILTERED, False))
    world.settle(world.create_paid(2, user_id="cy", maxParallelSegments=1))
    world.paid.refusals.append((RenderFailed("a glitch", retryable=True), False))
    stopped = world.create_paid(3, user_id="cy")
    world.run()
    world.cancel(stopped)
    world.settle(stopped)
    # What changes nothing is a line, but no work. One job has not begun.
    world.pass_time(timedelta(hours=1))
    world.cancel(failed)
    world.create_paid(5, user_id="dee")


def test_each_view_has_the_numbers_of_the_report(kept: tuple[World, Lines]) -> None:
    world, lines = kept
    three_days(world)

    report = report_value(make_report(world.services.jobs, world.clock.now(), days=3))

    views = found_in(lines.rows)
    for table, rows in report.items():
        assert rows, table
        assert in_any_order(views[VIEW_OF[table]]) == in_any_order(map(in_whole_seconds, rows)), table
    assert {row["what"] for row in report["latencies"]} == {"job", "generation", "stitch"}
    assert {row["errorCode"]: row["count"] for row in report["failures"]} == {
        "filtered": 2,
        "encoder_lost": 1,
        "no_object": 1,
    }
    assert all(row["p50Ms"] < row["p90Ms"] for row in report["latencies"])
    assert sum(row["wastedUsd"] for row in report["costPerUserAndDay"]) == 0.4
    assert [(row["jobType"], row["failed"], row["cancelled"]) for row in report["successByType"]] == [
        ("long_form", 2, 1)
    ]
    assert len(report["costPerUserAndDay"]) == 5


def test_the_views_have_the_reports_columns() -> None:
    assert set(VIEW_OF) == set(TABLES)
    for table, view in VIEW_OF.items():
        query = sqlglot.parse_one(query_of(view), read="bigquery")
        assert query.named_selects == [column(name) for name in TABLES[table].__dataclass_fields__], view


def test_every_field_that_the_views_look_for_is_a_field_of_the_lines() -> None:
    names = {field.name for field in FIELDS.values()}

    assert set(re.findall(r"'\$\.(\w+)'", query_of("decisions"))) <= names


def test_each_file_is_a_view_and_each_view_a_file() -> None:
    assert {path.name for path in VIEWS.iterdir()} == {f"{name}.sql.tftpl" for name in ORDER}
    assert all("${" not in query_of(name) for name in ORDER)
