"""Setting a prompt: sizes, even lines, nothing lost, a cut that says so."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.cards.script import clean, clusters
from media.cards.text import LEADING_EM, TextBlock, fitted, set_text
from tests.media.card_fixtures import LONG_PROMPT, PROMPTS

WORDS = st.text(alphabet="abc de-fg\nh日本、。ש/ü\u0301🚀", max_size=300)
ROOMS = st.tuples(st.integers(40, 1500), st.integers(10, 900))


def half_em(text: str) -> float:
    """A face whose every character is half as wide as high."""
    return len(text) * 0.5


def set_in(text: str, width: int = 800, height: int = 400, largest: int = 70, smallest: int = 15) -> TextBlock:
    return set_text(text, half_em, width_px=width, height_px=height, size_max_px=largest, size_min_px=smallest)


@given(WORDS, ROOMS)
def test_the_lines_joined_again_are_the_prompt_unless_it_is_cut_and_says_so(text: str, room: tuple[int, int]) -> None:
    block = set_in(text, *room)

    shown = "".join(line.text + line.ends_with for line in block.lines)
    if block.cut_characters:
        assert shown.endswith("…")
        assert clean(text).startswith(shown[:-1])
        assert len(shown) - 1 + block.cut_characters == len(clean(text))
    else:
        assert shown == clean(text)


@given(WORDS, ROOMS)
def test_every_line_keeps_within_the_room_and_all_within_its_height(text: str, room: tuple[int, int]) -> None:
    width, height = room

    block = set_in(text, width, height)

    for line in block.lines:
        alone = len(clusters(line.text)) <= 1  # one cluster may be wider than the narrowest room
        assert alone or half_em(line.shown) * block.size_px <= width
    assert len(block.lines) == 1 or block.height_px <= height


def test_a_short_prompt_is_set_as_large_as_can_be() -> None:
    assert set_in("A boat.").size_px == 70


@pytest.mark.parametrize("length", [10, 100, 400, 1000, 4000])
def test_a_longer_prompt_is_never_set_larger(length: int) -> None:
    assert set_in(LONG_PROMPT[: length * 2]).size_px <= set_in(LONG_PROMPT[:length]).size_px


def test_a_prompt_of_a_few_lines_leaves_no_lone_word_at_its_end() -> None:
    block = set_in("one two three four five six seven eight nine ten eleven twelve thirteen x", largest=40)

    widths = [line.width_em for line in block.lines]
    assert len(widths) > 1
    assert min(widths) > 0.6 * max(widths)


def test_paragraphs_are_kept_and_stand_apart() -> None:
    block = set_in(PROMPTS["paragraphs"])

    assert [line.ends_with for line in block.lines] == ["\n", "\n", ""]
    first, second, _ = block.tops_px()
    assert second - first > LEADING_EM * block.size_px


def test_a_word_is_shrunk_rather_than_broken_while_it_can_be_read() -> None:
    block = set_in("Donaudampfschifffahrtsgesellschaft", width=500)

    assert len(block.lines) == 1
    assert block.size_px < 35


def test_a_word_wider_than_any_line_is_broken_with_hyphens_that_are_not_in_the_text() -> None:
    block = set_in("x" * 300, width=400)

    assert len(block.lines) > 1
    assert all(line.shown == line.text + "-" for line in block.lines[:-1])
    assert "".join(line.text for line in block.lines) == "x" * 300


def test_a_number_or_an_address_is_broken_without_hyphens() -> None:
    block = set_in("0123456789" * 30, width=400)

    assert all(line.shown == line.text for line in block.lines)


def test_a_prompt_beyond_reading_is_cut_and_counts_what_is_left_out() -> None:
    block = set_in(LONG_PROMPT[:4000], width=300, height=200)

    assert block.size_px == 15
    assert block.lines[-1].text.endswith("…")
    assert block.cut_characters > 1000


def test_lines_read_from_right_to_left_say_so() -> None:
    block = set_in("שלום\nhello")

    assert [line.right_to_left for line in block.lines] == [True, False]


@given(st.text(max_size=80), st.floats(0.5, 40))
def test_a_small_line_is_cut_to_its_width(text: str, width_em: float) -> None:
    shown = fitted(text, half_em, width_em)

    assert "\n" not in shown
    assert half_em(shown) <= max(width_em, half_em("…"))
