"""The pages about the core say what the core is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs import diagram
from events.messages import Topic
from pipeline import facts, job, segment
from pipeline.commands import Command
from pipeline.records import JobState, SegmentState
from pipeline.table import Move

DOCS = Path(diagram.__file__).parent


def _section(title: str) -> set[str]:
    page = (DOCS / "glossary.md").read_text(encoding="utf-8")
    section = page.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    return set(re.findall(r"^\| `(\w+)` \| \S", section, re.MULTILINE))


@pytest.mark.parametrize(
    ("title", "words"),
    [
        ("Job states", {str(state) for state in JobState}),
        ("Segment states", {str(state) for state in SegmentState}),
        ("Events", {event.__name__ for event in (*facts.SEGMENT_EVENTS, *facts.JOB_EVENTS)}),
        ("Commands", {command.__name__ for command in Command.__subclasses__()}),
        ("Topics", {str(topic) for topic in Topic}),
    ],
)
def test_the_glossary_has_every_word_of_the_core_and_none_that_is_gone(title: str, words: set[str]) -> None:
    assert _section(title) == words


def test_no_word_of_the_glossary_is_explained_twice_in_one_section() -> None:
    page = (DOCS / "glossary.md").read_text(encoding="utf-8")
    for section in page.split("\n## ")[1:]:
        rows = re.findall(r"^\| (.+?) \| ", section, re.MULTILINE)
        words = [word for word in rows if word != "word"]
        assert len(set(words)) == len(words)


def test_the_state_diagrams_are_fresh() -> None:
    """If this fails, run `python -m docs.diagram --write`."""
    page = (DOCS / "architecture.md").read_text(encoding="utf-8")

    assert diagram.page_with_diagrams(page) == page


@pytest.mark.parametrize(("name", "table"), [("job states", job.TABLE), ("segment states", segment.TABLE)])
def test_a_diagram_draws_every_move_between_two_states_and_no_other(
    name: str, table: dict[tuple[object, type], object]
) -> None:
    drawn = {
        (before, after, event)
        for before, after, events in re.findall(r"^    (\w+) --> (\w+): (.+)$", diagram.diagrams()[name], re.MULTILINE)
        for event in events.split("<br/>")
    }

    assert drawn == {
        (str(state), str(after), event.__name__)
        for (state, event), cell in table.items()
        if isinstance(cell, Move)
        for after in cell.to
        if after is not state
    }


def test_a_page_without_the_markers_is_not_silently_left_as_it_is() -> None:
    with pytest.raises(ValueError, match="has no '<!-- diagram: job states -->'"):
        diagram.page_with_diagrams("# Nothing to draw between")


def test_every_folder_of_the_floors_is_in_the_architecture_page() -> None:
    page = (DOCS / "architecture.md").read_text(encoding="utf-8").partition("## The floors")[2]

    for folder in ("events", "pipeline", "media", "functions", "adapters", "embedded", "gpu_job"):
        assert f"| `{folder}/` |" in page
