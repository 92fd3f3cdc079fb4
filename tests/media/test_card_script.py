"""Clean text, clusters, places to break, reading order."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.cards.arabic import joined
from media.cards.script import clean, clusters, pieces, reads_right_to_left, visual_stretches

ANY_TEXT = st.text(max_size=200)
#: Text that is dense in what the rules are about.
TRICKY = st.text(alphabet="ab -–/\n\t日、「」שלו ל123.,!?🚀👍🏽\u200d\u0301\ufe0f🇩🇪한\u1100\u1161 \u00a0", max_size=60)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("  two   spaces ", "two spaces"),
        ("a\r\nb\rc\u2028d", "a\nb\nc\nd"),
        ("a\n\n \n\nb", "a\nb"),
        ("bell\x07 and\x00 null", "bell and null"),
        ("no\u200bwidth\ufeff, no\u00adhyphen, no \u202eoverride", "nowidth, nohyphen, no override"),
        ("e\u0301", "é"),
        ("10\u00a0km", "10\u00a0km"),
        (" \n\t ", ""),
    ],
)
def test_a_prompt_is_shown_without_what_cannot_be_seen(text: str, shown: str) -> None:
    assert clean(text) == shown


@given(ANY_TEXT | TRICKY)
def test_cleaning_twice_is_cleaning_once(text: str) -> None:
    assert clean(clean(text)) == clean(text)


@given(ANY_TEXT | TRICKY)
def test_a_clean_prompt_keeps_every_letter_and_digit(text: str) -> None:
    def letters(value: str) -> list[str]:
        return [c for c in unicodedata.normalize("NFC", value) if unicodedata.category(c)[0] in "LN"]

    assert letters(clean(text)) == letters(text)


@pytest.mark.parametrize(
    "cluster",
    ["é", "e\u0323\u0301", "👩\u200d🚀", "👍🏽", "🇩🇪", "❤\ufe0f", "1\ufe0f\u20e3", "\u1112\u1161\u11ab", "हि", "שָׁ"],
)
def test_what_a_reader_sees_as_one_character_is_one_cluster(cluster: str) -> None:
    assert clusters(f"a{cluster}b") == ["a", cluster, "b"]


def test_two_flags_are_two_clusters() -> None:
    assert clusters("🇩🇪🇫🇷") == ["🇩🇪", "🇫🇷"]


@given(ANY_TEXT | TRICKY)
def test_clusters_are_the_text(text: str) -> None:
    assert "".join(clusters(text)) == text


@given(TRICKY | ANY_TEXT)
def test_pieces_are_the_paragraph(text: str) -> None:
    paragraph = clean(text).replace("\n", " ")

    found = pieces(paragraph)

    assert "".join(" " * piece.space_before + piece.text for piece in found) == paragraph


def test_a_line_breaks_between_ideographs_but_not_before_a_full_stop_or_after_a_bracket() -> None:
    texts = [piece.text for piece in pieces("静かな「港」。")]

    assert texts == ["静", "か", "な", "「港」。"]


def test_a_line_breaks_after_a_hyphen_in_a_word_but_not_in_a_number_or_at_a_dash_that_opens() -> None:
    assert [piece.text for piece in pieces("well-known 10-20 -x and/or")] == [
        "well-",
        "known",
        "10-20",
        "-x",
        "and/",
        "or",
    ]


@pytest.mark.parametrize(
    ("line", "right_to_left", "on_the_page"),
    [
        ("abc def", False, ["abc def"]),
        ("abc אבג def", False, ["abc ", "<אבג", " def"]),
        ("אבג abc", True, ["abc", "<אבג "]),
        ("אבג 12 דהו", True, ["<דהו ", "12", "<אבג "]),
        ("שלום abc 3.5 עולם!", True, ["<עולם! ", "abc 3.5", "<שלום "]),
        ("abc אבג 12 דהו def", False, ["abc ", "<דהו ", "12", "<אבג ", " def"]),
    ],
)
def test_mixed_directions_stand_as_their_readers_expect(line: str, right_to_left: bool, on_the_page: list[str]) -> None:
    found = visual_stretches(line, right_to_left=right_to_left)

    shown = ["<" * stretch.right_to_left + "".join(stretch.clusters) for stretch in found]
    assert [text.replace(" ", "") for text in shown] == [text.replace(" ", "") for text in on_the_page]


@given(TRICKY, st.booleans())
def test_no_cluster_is_lost_or_doubled_by_reordering(text: str, right_to_left: bool) -> None:
    line = clean(text).replace("\n", " ")

    found = visual_stretches(line, right_to_left=right_to_left)

    shown = sorted(cluster for stretch in found for cluster in stretch.clusters)
    assert shown == sorted(clusters(line))


def test_a_paragraph_reads_as_its_first_letter_does() -> None:
    assert reads_right_to_left("1. שלום hello")
    assert not reads_right_to_left("hello שלום")
    assert not reads_right_to_left("123 …")


@pytest.mark.parametrize(
    ("word", "shaped"),
    [
        ("\u0628\u0628\u0628", "\ufe91\ufe92\ufe90"),  # beh: initial, medial, final
        ("\u0628", "\ufe8f"),  # alone
        ("\u0627\u0628", "\ufe8d\ufe8f"),  # alef does not join what follows
        ("\u0644\u0627", "\ufefb"),  # lam and alef are one sign
        ("\u0628\u0644\u0627", "\ufe91\ufefc"),  # and its final form
        ("\u0628\u200c\u0628", "\ufe8f\u200c\ufe8f"),  # a non-joiner keeps letters apart
    ],
)
def test_arabic_letters_take_the_form_that_their_neighbours_ask_for(word: str, shaped: str) -> None:
    assert "".join(joined(tuple(clusters(word)))) == shaped


@given(ANY_TEXT)
def test_text_without_arabic_passes_the_joiner_unchanged(text: str) -> None:
    found = tuple(c for c in clusters(text) if all(unicodedata.bidirectional(part) != "AL" for part in c))

    assert joined(found) == list(found)
