"""Setting a prompt: the largest size at which it fits, lines of even length, no word lost, and a cut that says so.

Pure arithmetic: widths come in as a function, in em (times the size, they are pixels), so that a text is measured
once for all sizes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from media.cards.script import Piece, clean, clusters, pieces, reads_right_to_left

#: Distance of baselines in em.
LEADING_EM = 1.28
#: More room between paragraphs, in em.
PARAGRAPH_EM = 0.45
#: About 60 characters of Latin text, or 30 of Japanese: longer lines lose the eye on its way back.
MEASURE_EM = 31.0
#: About 85: taken where a text would not fit otherwise.
_LONG_MEASURE_EM = 44.0
#: Each size is this much smaller than the one before.
_SCALE = 0.93
#: Type above this share of the largest size is for short texts: more lines than this, or than this share of the
#: box's height over its width makes of it, look like shouting.
_LOUD_SHARE, _LOUD_LINES_MAX, _LOUD_TALL = 0.6, 3, 1.6
#: Below this share of the largest size a word that is wider than the line is broken rather than shrunk further.
_BREAKS_WORDS_SHARE = 0.35
#: Paragraphs of up to this many lines get lines of even length; longer ones are set like a book.
_BALANCED_LINES_MAX = 6
#: What remains unused of a line in reserve, since a line as drawn may be a little wider than the sum of its words.
_RESERVE = 0.985

Measure = Callable[[str], float]


@dataclass(frozen=True, slots=True)
class Line:
    """One line as set."""

    text: str
    #: What stood between this line and the next in the clean prompt: a space, a line feed, or nothing.
    ends_with: str
    right_to_left: bool
    #: Advance width in em, hyphen included.
    width_em: float
    #: Whether a word goes on in the next line, so that a hyphen is shown that is not in the text.
    hyphenated: bool = False

    @property
    def shown(self) -> str:
        """Give what is drawn."""
        return self.text + "-" * self.hyphenated


@dataclass(frozen=True, slots=True)
class TextBlock:
    """A text set in a box: its size and its lines, from the top."""

    size_px: int
    lines: tuple[Line, ...]
    #: Characters that did not fit and are not shown; 0 when all of the text is there.
    cut_characters: int

    @property
    def height_px(self) -> int:
        """Give the distance from the top of the first line to the bottom of the last."""
        return round(_height_em(self.lines) * self.size_px)

    def tops_px(self) -> list[int]:
        """Give how far below the block's top each line's own box of `LEADING_EM` starts."""
        tops: list[int] = []
        top = 0.0
        for line in self.lines:
            tops.append(round(top * self.size_px))
            top += LEADING_EM + (PARAGRAPH_EM if line.ends_with == "\n" else 0)
        return tops


@dataclass(frozen=True, slots=True)
class _Word:
    text: str
    space_before: bool
    width_em: float
    #: Whether it is the front of a word that was broken between two letters.
    broken: bool = False


def set_text(
    text: str, measure: Measure, *, width_px: int, height_px: int, size_max_px: int, size_min_px: int
) -> TextBlock:
    """Set a text as large as it fits; at the smallest size what does not fit is cut at its end.

    Args:
        text: any text; it is cleaned here.
        measure: gives the width of a text in em.
        width_px: of the box.
        height_px: of the box; at least one line of the smallest size is set whatever it is.
        size_max_px: the largest size.
        size_min_px: the smallest that can be read, 1 or more.
    """
    paragraphs = [_measured(pieces(paragraph), measure) for paragraph in clean(text).split("\n")]
    sizes = _sizes(size_max_px, size_min_px)
    loud_lines = max(_LOUD_LINES_MAX, round(_LOUD_LINES_MAX * _LOUD_TALL * height_px / width_px))
    for measure_em, some_sizes in ((MEASURE_EM, sizes), (_LONG_MEASURE_EM, sizes[-1:])):
        for size in some_sizes:
            column = _Column(min(width_px / size * _RESERVE, measure_em), measure)
            may_break = size == size_min_px or size <= size_max_px * _BREAKS_WORDS_SHARE
            if not may_break and any(word.width_em > column.width_em for words in paragraphs for word in words):
                continue
            lines = column.lines(paragraphs, even=False)
            loud = size > size_max_px * _LOUD_SHARE and len(lines) > loud_lines
            if not loud and _height_em(lines) * size <= height_px:
                return TextBlock(size, tuple(column.lines(paragraphs, even=True)), 0)
    return _cut(
        _Column(min(width_px / size_min_px * _RESERVE, _LONG_MEASURE_EM), measure), paragraphs, height_px, size_min_px
    )


def fitted(text: str, measure: Measure, width_em: float) -> str:
    """Give the text, on one line, cut with an ellipsis where it is wider than this."""
    line = clean(text).replace("\n", " ")
    if measure(line) <= width_em:
        return line
    parts = clusters(line)
    while parts and measure("".join(parts).rstrip() + "…") > width_em:
        parts.pop()
    return "".join(parts).rstrip() + "…"


def _sizes(largest: int, smallest: int) -> list[int]:
    sizes = [largest]
    while sizes[-1] > smallest:
        sizes.append(max(smallest, min(sizes[-1] - 1, round(sizes[-1] * _SCALE))))
    return sizes


def _height_em(lines: Sequence[Line]) -> float:
    breaks = sum(line.ends_with == "\n" for line in lines)
    return len(lines) * LEADING_EM + breaks * PARAGRAPH_EM


def _measured(found: Sequence[Piece], measure: Measure) -> list[_Word]:
    return [_Word(piece.text, piece.space_before, measure(piece.text)) for piece in found]


@dataclass(frozen=True, slots=True)
class _Column:
    """Sets words into lines of one width."""

    width_em: float
    measure: Measure

    def lines(self, paragraphs: Sequence[Sequence[_Word]], *, even: bool) -> list[Line]:
        found: list[Line] = []
        for words in paragraphs:
            if found:
                found[-1] = replace(found[-1], ends_with="\n")
            found += self._paragraph(words, even=even)
        return found

    def _paragraph(self, words: Sequence[_Word], *, even: bool) -> list[Line]:
        if not words:
            return [Line("", "", right_to_left=False, width_em=0.0)]
        right_to_left = reads_right_to_left("".join(word.text for word in words))
        parts = self._short_enough(words)
        space = self.measure(" ")
        starts = _greedy(parts, self.width_em, space)
        if even and len(starts) > 1:
            starts = _even(parts, self.width_em, space, balanced=len(starts) <= _BALANCED_LINES_MAX)
        lines: list[Line] = []
        for start, end in zip(starts, [*starts[1:], len(parts)], strict=True):
            text = "".join(
                (" " if i > start and parts[i].space_before else "") + parts[i].text for i in range(start, end)
            )
            joint = " " if end < len(parts) and parts[end].space_before else ""
            hyphen = "-" if parts[end - 1].broken else ""
            lines.append(Line(text, joint, right_to_left, self.measure(text + hyphen), bool(hyphen)))
        return lines

    def _short_enough(self, words: Sequence[_Word]) -> list[_Word]:
        """Give the words; one that is wider than a line comes in parts, broken between clusters."""
        parts: list[_Word] = []
        for word in words:
            parts += [word] if word.width_em <= self.width_em else self._broken(word)
        return parts

    def _broken(self, word: _Word) -> list[_Word]:
        room = self.width_em - self.measure("-")
        texts: list[str] = []
        used = room
        for cluster in clusters(word.text):
            width = self.measure(cluster)
            if not texts or used + width > room:
                texts.append("")
                used = 0.0
            texts[-1] += cluster
            used += width
        parts: list[_Word] = []
        for index, text in enumerate(texts):
            follows = texts[index + 1] if index + 1 < len(texts) else " "
            broken = text[-1].isalpha() and follows[0].isalpha() and not reads_right_to_left(text)
            parts.append(_Word(text, word.space_before and index == 0, self.measure(text + "-" * broken), broken))
        return parts


def _greedy(words: Sequence[_Word], column: float, space: float) -> list[int]:
    """Give the index of the word that starts each line when every line takes all that it can."""
    starts = [0]
    used = 0.0
    for index, word in enumerate(words):
        wider = used + word.width_em + (space if word.space_before and index > starts[-1] else 0)
        if index > starts[-1] and wider > column:
            starts.append(index)
            wider = word.width_em
        used = wider
    return starts


def _even(words: Sequence[_Word], column: float, space: float, *, balanced: bool) -> list[int]:
    """Give the starts of lines that are as alike as they can be, in as few lines as `_greedy` needs.

    Args:
        balanced: whether the last line counts as any other; if not, it is only kept from being a lone word.
    """
    count = len(words)
    best = [0.0] + [float("inf")] * count
    came_from = [0] * (count + 1)
    for start in range(count):
        used = 0.0
        for end in range(start + 1, count + 1):
            word = words[end - 1]
            used += word.width_em + (space if word.space_before and end - 1 > start else 0)
            if used > column and end - 1 > start:
                break
            cost = best[start] + _line_cost(used / column, last=end == count, balanced=balanced)
            if cost < best[end]:
                best[end], came_from[end] = cost, start
    starts = [count]
    while starts[0] > 0:
        starts.insert(0, came_from[starts[0]])
    return starts[:-1]


def _line_cost(filled: float, *, last: bool, balanced: bool) -> float:
    # A line costs more than any unevenness can save, so that evening out never adds a line.
    line = 100.0
    if last and not balanced:
        return line + max(0.0, 0.3 - filled)
    return line + max(0.0, 1.0 - filled) ** 2


def _cut(column: _Column, paragraphs: Sequence[Sequence[_Word]], height_px: int, size_px: int) -> TextBlock:
    """Set what fits at this size and end it with an ellipsis."""
    lines = column.lines(paragraphs, even=False)
    kept = lines[:1]
    while len(kept) < len(lines) and _height_em([*kept, lines[len(kept)]]) * size_px <= height_px:
        kept.append(lines[len(kept)])
    if len(kept) == len(lines):
        return TextBlock(size_px, tuple(lines), 0)
    last = kept[-1]
    shown = _ending(last.text, column)
    kept[-1] = Line(shown, "", last.right_to_left, column.measure(shown))
    characters = len(last.text) - (len(shown) - 1) + len(last.ends_with)
    characters += sum(len(line.text) + len(line.ends_with) for line in lines[len(kept) :])
    return TextBlock(size_px, tuple(kept), characters)


def _ending(text: str, column: _Column) -> str:
    parts = clusters(text)
    while parts and (parts[-1] == " " or column.measure("".join(parts) + "…") > column.width_em):
        parts.pop()
    return "".join(parts) + "…"
