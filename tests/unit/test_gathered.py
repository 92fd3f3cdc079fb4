"""What is said of many clips is said once, and nothing is lost or invented by it."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from events.gathered import ALIKE_MAX, gathered

SIZES = st.integers(2, 20).map(lambda half: f"size {2 * half}x96 instead of 160x96")
RESTS = st.sampled_from(
    [
        ": it was encoded: a small file was asked for",
        ": its sound was encoded: no sound",
        ": parts are damaged: x",
        " is left out: y",
    ]
) | SIZES.map(lambda size: f": it was encoded: {size}")
OF_CLIPS = st.builds("{} {}{}".format, st.sampled_from(["clip", "Scene"]), st.integers(1, 40), RESTS)
OF_JOINS = st.builds(
    "Join {} (at {}.0 s): the sound becomes {} dB louder.".format,
    st.integers(1, 40),
    st.integers(0, 99),
    st.integers(10, 40),
)
OTHERS = st.sampled_from(["The film is silent.", "everything was encoded, since clips 1 and 2 do not go together"])
WARNINGS = st.lists(OF_CLIPS | OF_JOINS | OTHERS, max_size=60)


def test_thirty_small_clips_are_one_sentence() -> None:
    said = [f"clip {number}: it was encoded: a small file was asked for" for number in range(1, 31)]

    assert gathered(said) == ("clips 1-30: they were encoded: a small file was asked for",)


def test_few_that_differ_are_read_one_by_one_in_the_film_s_order() -> None:
    said = [f"clip {number}: it was encoded: frame rate {number}/1 instead of 24/1" for number in (30, 10, 9)]

    assert gathered(said) == tuple(reversed(said))


def test_many_that_differ_in_numbers_are_one_sentence_with_the_first() -> None:
    said = [
        f"Join {number} (at {4 * number}.0 s): the sound becomes {9 + number} dB louder." for number in range(1, 29, 3)
    ]

    assert gathered(said) == (
        "Joins 1, 4, 7, 10, 13 and 5 more (the first at 4.0 s): the sound becomes 10 dB louder "
        "(so the first; the others are alike).",
    )


def test_what_is_said_of_the_film_comes_first_and_one_of_a_kind_stays_as_it_is() -> None:
    said = [
        "Join 3 (at 12.0 s): 2 black frames next to it.",
        "clip 4: its sound was encoded: no sound",
        "The film is silent.",
    ]

    assert gathered(said) == (said[2], said[0], said[1])


@given(WARNINGS)
def test_the_same_in_any_order_and_again_changes_nothing(warnings: list[str]) -> None:
    once = gathered(warnings)

    assert set(gathered(once)) == set(once)
    plain = [text for text in dict.fromkeys(warnings) if not re.match(r"(clip|Scene|Join) \d", text)]
    assert list(once[: len(plain)]) == plain
    assert set(gathered(reversed(warnings))) == set(once)


@given(WARNINGS)
def test_nobody_reads_more_than_a_few_of_a_kind(warnings: list[str]) -> None:
    kinds: dict[str, int] = {}
    for sentence in gathered(warnings):
        kind = re.sub(r"\d+", "#", sentence)
        kinds[kind] = kinds.get(kind, 0) + 1

    assert all(count <= ALIKE_MAX for count in kinds.values())


@given(st.sets(st.integers(1, 60), min_size=1))
def test_every_clip_is_counted(numbers: set[int]) -> None:
    [sentence] = gathered(f"clip {number}: its sound was encoded: no sound" for number in numbers)

    named = sentence.partition(":")[0]
    ranges = [
        (int(first), int(last or first)) for first, last in re.findall(r"(\d+)(?:-(\d+))?", named.partition(" more")[0])
    ]
    more = re.search(r"and (\d+) more", named)
    if more:
        ranges.pop()
    assert sum(last - first + 1 for first, last in ranges) + int(more[1] if more else 0) == len(numbers)
    assert min(numbers) == ranges[0][0]
