"""The small parts of the door, by themselves."""

from __future__ import annotations

import unicodedata
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedded.exits import MEANINGS, exit_code_of
from embedded.pace import Pace
from embedded.script import parse_script, with_scene_length
from embedded.submit import project_of
from embedded.terminal import fitted, plain
from embedded.words import in_words, size_in_words
from events import errors
from events.errors import InvalidRequest, PipelineError
from events.requests import read_request
from pipeline.create import new_job
from pipeline.records import Job, JobState, replace

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def job(**changes: Any) -> Job:
    request = read_request({"prompts": ["a"] * 10})
    made, _ = new_job(request, job_id="job_abcdef", user_id="u", now=NOW)
    return replace(made, **{"state": JobState.GENERATING, **changes})


@given(st.text())
def test_no_text_steers_a_terminal_or_breaks_a_line(text: str) -> None:
    shown = plain(text)

    assert len(shown) == len(text)
    assert not any(unicodedata.category(char) == "Cc" for char in shown)
    assert plain(shown) == shown


@given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"])), st.integers(3, 60))
def test_a_fitted_text_has_its_width(text: str, columns: int) -> None:
    shown = fitted(text, columns)

    width = sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in shown)
    assert width == columns
    assert shown.rstrip("… ") in text or shown.startswith(text)


@given(st.binary())
def test_any_bytes_are_a_script_or_are_refused_in_words(content: bytes) -> None:
    for structured in (False, True):
        with suppress(InvalidRequest):
            assert isinstance(parse_script(content, "x", structured=structured), dict)


_LINES = st.lists(st.text(st.characters(categories=["L", "N", "Zs"]), min_size=1).filter(str.strip), min_size=1)


@given(_LINES, st.sampled_from(["\n", "\r\n", "\n\n", "\n# no\n"]), st.booleans())
def test_each_line_of_a_text_is_a_prompt(lines: list[str], ending: str, marked: bool) -> None:
    text = ("\ufeff" if marked else "") + ending.join(lines) + ending

    assert parse_script(text.encode(), "x") == {"prompts": [line.strip() for line in lines]}


def test_a_scene_that_names_its_length_keeps_it() -> None:
    request = {"prompts": ["a", {"prompt": "b"}, {"prompt": "c", "durationMs": 7}, 5], "title": "t"}

    prompts = with_scene_length(request, 100)["prompts"]

    assert prompts == [
        {"prompt": "a", "durationMs": 100},
        {"prompt": "b", "durationMs": 100},
        {"prompt": "c", "durationMs": 7},
        5,
    ]
    assert with_scene_length(request, None) is request


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/"), min_size=1))
def test_each_output_is_a_project_of_its_own_with_a_name_that_requests_take(name: str) -> None:
    path = Path("/films") / f"{name}.mp4"

    assert read_request({"prompts": ["a"], "projectId": project_of(path)})
    assert project_of(path) != project_of(Path("/others") / f"{name}.mp4")


def test_what_is_left_is_told_when_it_is_known_and_only_then() -> None:
    pace = Pace()
    at = NOW
    pace.note(job(), at)
    assert pace.left(at) is None

    for step in range(1, 6):
        at = NOW + timedelta(seconds=10 * step)
        pace.note(job(progress=10 * step), at)
    assert pace.left(at) == timedelta(seconds=50)
    assert pace.left(at + timedelta(seconds=20)) == timedelta(seconds=30)
    assert pace.left(at + timedelta(hours=1)) == timedelta(0)

    pace.note(job(progress=90, state=JobState.STITCHING), at)
    assert pace.left(at) is None, "the film is made at another pace"


@given(st.timedeltas(timedelta(0), timedelta(days=400)))
def test_a_span_is_told_in_two_units_at_most(span: timedelta) -> None:
    assert 1 <= sum(word in {"s", "min", "h", "days"} for word in in_words(span).split()) <= 2


@given(st.integers(0, 10**13))
def test_a_size_is_told_with_its_unit(size: int) -> None:
    number, unit = size_in_words(size).split()

    assert float(number) * {"kB": 1e3, "MB": 1e6, "GB": 1e9}[unit] == pytest.approx(size, rel=0.05, abs=60)


def test_every_error_has_an_exit_code_that_is_documented() -> None:
    kinds = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, PipelineError)]

    for kind in kinds:
        error = kind.__new__(kind)
        assert exit_code_of(error) in MEANINGS
        assert exit_code_of(error) != 0
