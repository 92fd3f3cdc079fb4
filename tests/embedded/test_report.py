"""`longreel report`: tables of the embedded store. The same numbers from log lines: tests/infra/test_views.py."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedded.report import Latency, _percentile, make_report
from embedded.report_view import TABLES, column, report
from tests.functions.conftest import clip_of as clip_of
from tests.functions.conftest import make_world as make_world
from tests.functions.conftest import world as world
from tests.functions.world import ManualClock, World

DAY = timedelta(days=1)
PAGE = Path(__file__).parents[2] / "docs" / "cli.md"


@given(st.lists(st.integers(0, 10**7), min_size=1, max_size=300).map(sorted), st.integers(1, 100))
def test_a_percentile_is_the_smallest_time_that_so_many_stayed_within(times: list[int], percent: int) -> None:
    found = _percentile(times, percent)

    within = [each for each in times if each <= found]
    faster = [each for each in times if each < found]
    assert found in times
    assert 100 * len(within) >= percent * len(times) > 100 * len(faster)


def test_an_empty_home_says_how_to_begin(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    report(world.pipeline, 30, as_json=False)

    assert "There are no jobs; `longreel make SCRIPT -o film.mp4` starts one." in capsys.readouterr().out


def test_only_jobs_of_the_days_that_are_asked_for_are_counted(make_world: Callable[..., World]) -> None:
    world = make_world(clock=ManualClock(datetime(2026, 1, 1, 23, 59, tzinfo=UTC)))
    world.paid.lands_at_once = True
    world.settle(world.create_paid(1, projectId="a"))
    world.clock.at = datetime(2026, 1, 2, 0, 1, tzinfo=UTC)
    world.settle(world.create_paid(2, projectId="b"))

    today, both = (make_report(world.services.jobs, world.clock.now(), days) for days in (1, 2))

    assert [(str(each.day), each.jobs, each.spent_usd) for each in today.costs] == [("2026-01-02", 1, 0.8)]
    assert [(str(each.day), each.spent_usd) for each in both.costs] == [("2026-01-02", 0.8), ("2026-01-01", 0.4)]
    assert Latency("generation", 3, 0, 0, 0) in both.latencies


def test_a_running_job_costs_but_has_not_ended(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.create_paid(3)

    report(world.pipeline, 1, as_json=True)

    printed = json.loads(capsys.readouterr().out)
    assert (printed["since"], printed["boundTodayUsd"]) == ("2026-01-01", 1.2)
    assert [row["jobs"] for row in printed["costPerUserAndDay"]] == [1]
    assert printed["latencies"] == printed["failures"] == printed["successByType"] == []


def test_people_get_tables_with_straight_columns(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.paid.lands_at_once = True
    world.settle(world.create_paid(3, user_id="ann\x1b[2J"))

    report(world.pipeline, 30, as_json=False)

    said = capsys.readouterr().out
    assert "\x1b" not in said
    lines = said.splitlines()
    assert lines[0] == "The last 30 days, since 2025-12-03 (UTC)."
    first = lines.index("Cost per user and day, in US dollars")
    assert [line.split() for line in lines[first + 1 : first + 3]] == [
        ["day", "user", "jobs", "spent", "wasted"],
        ["2026-01-01", "ann�[2J", "1", "1.20", "0.00"],
    ]
    assert lines[first + 1].index("spent") + len("spent") == lines[first + 2].index("1.20") + len("1.20")
    assert "What fails most: nothing." in lines
    assert lines[-1] == "The jobs of today have cost, or may still cost, $1.20."


def test_the_page_names_every_column() -> None:
    written = dict(re.findall(r"^\| `(\w+)` \| (`.*) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE))

    for table, kind in TABLES.items():
        assert re.findall(r"`(\w+)`", re.sub(r"\(.*?\)", "", written[table])) == [
            column(name) for name in kind.__dataclass_fields__
        ]
