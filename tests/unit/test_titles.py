"""What chapters are called, and how pictures came to be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.digital_source import DigitalSourceType
from events.plan import TITLE_MAX_CHARACTERS
from events.requests import ClipSpec, PromptSpec, SegmentSpec
from pipeline.titles import source_type_of, title_of


def of_prompt(prompt: str) -> str | None:
    return title_of(SegmentSpec(scene=PromptSpec(prompt=prompt)))


def test_a_scene_is_called_by_the_first_line_of_its_prompt() -> None:
    assert of_prompt("A lighthouse at dusk.\nWaves below, slow dolly in.") == "A lighthouse at dusk."


def test_a_long_prompt_is_cut_and_says_so() -> None:
    found = of_prompt("word " * 40)
    assert found is not None
    assert found.endswith("word…")
    assert len(found) <= TITLE_MAX_CHARACTERS


@pytest.mark.parametrize(
    ("uri", "title"),
    [
        ("gs://media/uploads/u/harbour walk.mp4", "harbour walk"),
        ("gs://longreel/uploads/5d1e09/013-harbour walk.mp4", "harbour walk"),
        ("gs://media/no-ending", "no-ending"),
        ("gs://media/a/.mp4", ".mp4"),
    ],
)
def test_a_given_clip_is_called_by_its_file_name(uri: str, title: str) -> None:
    assert title_of(SegmentSpec(clip=ClipSpec(clip=uri))) == title


@given(st.text(min_size=1, max_size=4000).filter(lambda text: text.strip()))
def test_a_title_is_one_short_line_of_printable_characters(prompt: str) -> None:
    found = of_prompt(prompt)
    assert found is None or (0 < len(found) <= TITLE_MAX_CHARACTERS and found.isprintable())


@pytest.mark.parametrize(
    ("generator", "found"),
    [
        ("veo", DigitalSourceType.TRAINED_ALGORITHMIC_MEDIA),
        ("omni", DigitalSourceType.TRAINED_ALGORITHMIC_MEDIA),
        ("storyboard", DigitalSourceType.ALGORITHMIC_MEDIA),
        ("clip", None),
        ("somebody_elses", None),
    ],
)
def test_only_what_is_known_is_said_of_how_pictures_came_to_be(generator: str, found: DigitalSourceType | None) -> None:
    assert source_type_of(generator) is found
