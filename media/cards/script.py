"""What a card needs to know of Unicode: clean text, clusters that stay together, where a line may break, reading order.

Pure and without fonts. It follows the shape of Unicode's own rules where a card can show the difference, and is
plain where it cannot. `text.py` sets lines with this; `faces.py` draws them.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

_ZERO_WIDTH_JOINER = "\u200d"
#: Joiners that belong inside words of Persian, Hindi and emoji; every other invisible control is dropped.
_KEPT_CONTROLS = frozenset({"\u200c", _ZERO_WIDTH_JOINER})
_PARAGRAPH_BREAKS = frozenset("\n\v\f\x1c\x1d\x1e\x85\u2028\u2029")
#: Spaces at which a line does not break.
NO_BREAK_SPACES = frozenset("\u00a0\u2007\u202f")
#: Marks that may not open a line (kinsoku shori), with their Latin cousins.
#: Source: W3C, Requirements for Japanese Text Layout, 3.1.7, https://www.w3.org/TR/jlreq/
_NEVER_FIRST = frozenset(
    "、。，．・：；？！ー」』）］｝〕〉》】〗〙〟…‥々ゝゞヽヾ゛゜ぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮヵヶ!,.:;?)]}%”’»"
)
#: Marks that may not end a line.
_NEVER_LAST = frozenset("「『（［｛〔〈《【〖〘〝“‘«([{")
_BREAK_AFTER = frozenset("-‐–—/")


@dataclass(frozen=True, slots=True)
class Piece:
    """Text that stays on one line: a word, a part of a hyphenated word, or one ideograph."""

    text: str
    #: Whether a space stands between this piece and the one before it in the paragraph.
    space_before: bool


@dataclass(frozen=True, slots=True)
class Stretch:
    """Neighbouring clusters of one line that are read in the same direction."""

    clusters: tuple[str, ...]
    right_to_left: bool


def clean(text: str) -> str:
    """Give the text as a card shows it: composed, single spaces, paragraphs divided by one line feed, no controls."""
    composed = unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n"))
    kept = "".join(_cleaned(character) for character in composed)
    paragraphs = (" ".join(part for part in line.split(" ") if part) for line in kept.split("\n"))
    return "\n".join(paragraph for paragraph in paragraphs if paragraph)


def _cleaned(character: str) -> str:
    if character in _PARAGRAPH_BREAKS:
        return "\n"
    if character in NO_BREAK_SPACES or character in _KEPT_CONTROLS or _is_emoji_tag(character):
        return character
    category = unicodedata.category(character)
    if character == "\t" or category == "Zs":
        return " "
    return "" if category in {"Cc", "Cf", "Cs"} else character


def _is_emoji_tag(character: str) -> bool:
    return "\U000e0020" <= character <= "\U000e007f"


def clusters(text: str) -> list[str]:
    """Divide text into what a reader sees as one character: base with marks, emoji sequence, flag, Hangul syllable.

    Source: a plain form of Unicode Standard Annex #29, section 3, https://www.unicode.org/reports/tr29/

    >>> clusters("e\\u0301a")
    ['é', 'a']
    """
    found: list[str] = []
    for character in text:
        if found and _joins(found[-1], character):
            found[-1] += character
        else:
            found.append(character)
    return found


def _joins(cluster: str, character: str) -> bool:
    last = cluster[-1]
    if last in "\n " or character in "\n ":
        return False
    if is_mark(character) or character in _KEPT_CONTROLS or _is_emoji_tag(character):
        return True
    if "\U0001f3fb" <= character <= "\U0001f3ff":  # a skin tone
        return _is_pictograph(cluster[0])
    if last == _ZERO_WIDTH_JOINER:
        return _is_pictograph(cluster[0]) and _is_pictograph(character)
    if _is_regional(character):
        return len(cluster) == 1 and _is_regional(cluster)
    return _hangul_joins(last, character)


def is_mark(character: str) -> bool:
    """Tell whether the character is drawn onto the one before it: a combining mark or a variation selector."""
    return unicodedata.category(character) in {"Mn", "Me", "Mc"}


def _is_regional(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"


def _is_pictograph(character: str) -> bool:
    return unicodedata.category(character) in {"So", "Sk"}


def _hangul_joins(last: str, character: str) -> bool:
    leading = "\u1100" <= last <= "\u115f"
    open_syllable = leading or "\u1160" <= last <= "\u11a7" or "\uac00" <= last <= "\ud7a3"
    if "\u1100" <= character <= "\u115f":
        return leading
    return open_syllable and "\u1160" <= character <= "\u11ff"


def pieces(paragraph: str) -> list[Piece]:
    """Divide one cleaned paragraph at every place where a line may break."""
    found: list[Piece] = []
    for word in paragraph.split(" "):
        for index, text in enumerate(_word_parts(word)):
            found.append(Piece(text, space_before=index == 0 and bool(found)))
    return found


def _word_parts(word: str) -> Iterator[str]:
    part: list[str] = []
    for cluster in clusters(word):
        if part and _may_break(part, cluster):
            yield "".join(part)
            part = []
        part.append(cluster)
    if part:
        yield "".join(part)


def _may_break(before: list[str], after: str) -> bool:
    last, first = before[-1][-1], after[0]
    if first in _NEVER_FIRST or last in _NEVER_LAST or first in NO_BREAK_SPACES or last in NO_BREAK_SPACES:
        return False
    if last in _BREAK_AFTER:
        return first.isalpha() and len(before) > 1
    return _is_wide(before[-1][0]) or _is_wide(first)


def _is_wide(character: str) -> bool:
    if "\uac00" <= character <= "\ud7a3" or "\u1100" <= character <= "\u11ff":
        return False  # Korean breaks at its spaces
    return unicodedata.east_asian_width(character) in {"W", "F"}


def reads_right_to_left(text: str) -> bool:
    """Tell whether the first letter with a direction of its own is Hebrew, Arabic or the like."""
    for character in text:
        kind = unicodedata.bidirectional(character)
        if kind in {"L", "R", "AL"}:
            return kind != "L"
    return False


def visual_stretches(line: str, *, right_to_left: bool) -> list[Stretch]:
    """Give a line's stretches from left to right as they stand on the page; clusters inside stay in reading order.

    Args:
        line: one line without line feeds.
        right_to_left: the direction of its paragraph.

    Source: the cases W1 to W7, N1, N2, I1, I2 and L2 that occur without embeddings, of Unicode Standard Annex #9,
    https://www.unicode.org/reports/tr9/
    """
    parts = clusters(line)
    levels = _levels([_kind(part) for part in parts], 1 if right_to_left else 0)
    stretches: list[tuple[int, Stretch]] = []
    start = 0
    for end in range(1, len(parts) + 1):
        if end == len(parts) or levels[end] != levels[start]:
            stretches.append((levels[start], Stretch(tuple(parts[start:end]), right_to_left=levels[start] % 2 == 1)))
            start = end
    return _reordered(stretches)


def _kind(cluster: str) -> str:
    kind = unicodedata.bidirectional(cluster[0])
    if kind in {"R", "AL"}:
        return "R"
    if kind in {"EN", "AN"}:
        return "N"
    return "L" if kind == "L" else "-"


def _levels(kinds: list[str], base: int) -> list[int]:
    resolved = _neutrals_resolved(_separators_resolved(kinds), "R" if base else "L")
    number = [2 if _in_right(resolved, i, base) else base * 2 for i in range(len(resolved))]
    return [{"L": base * 2, "R": 1, "N": number[i]}[kind] for i, kind in enumerate(resolved)]


def _separators_resolved(kinds: list[str]) -> list[str]:
    # "3.5" and "1-2" stay one number: a single neutral between two numbers counts as part of them.
    return [
        "N" if kind == "-" and 0 < i < len(kinds) - 1 and kinds[i - 1] == kinds[i + 1] == "N" else kind
        for i, kind in enumerate(kinds)
    ]


def _neutrals_resolved(kinds: list[str], base: str) -> list[str]:
    resolved = list(kinds)
    index = 0
    while index < len(resolved):
        end = index
        while end < len(resolved) and resolved[end] == "-":
            end += 1
        if end > index:
            before = _direction(resolved, index - 1, base)
            after = _direction(resolved, end, base)
            resolved[index:end] = [before if before == after else base] * (end - index)
        index = end + 1
    return resolved


def _direction(kinds: list[str], index: int, base: str) -> str:
    """Give the direction that a neutral sees at this place; a number counts as the text that it stands in."""
    if not 0 <= index < len(kinds):
        return base
    if kinds[index] != "N":
        return kinds[index]
    return "R" if _in_right(kinds, index, 1 if base == "R" else 0) else "L"


def _in_right(kinds: list[str], index: int, base: int) -> bool:
    for kind in reversed(kinds[:index]):
        if kind in "LR":
            return kind == "R"
    return base == 1


def _reordered(stretches: list[tuple[int, Stretch]]) -> list[Stretch]:
    ordered = list(stretches)
    for level in range(max((level for level, _ in ordered), default=0), 0, -1):
        start = 0
        while start < len(ordered):
            end = start
            while end < len(ordered) and ordered[end][0] >= level:
                end += 1
            ordered[start:end] = reversed(ordered[start:end])
            start = max(end, start + 1)
    return [stretch for _, stretch in ordered]
