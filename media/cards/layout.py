"""Where everything on a card stands: the scene's number, the prompt, the small lines, the progress line.

All measures are shares of the picture's short side, so that a card looks the same at every size. A wide picture has
the number beside the prompt, a square or tall one above it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from media.cards.faces import ASCENT_EM, DESCENT_EM, Faces, digits_coverage
from media.cards.text import LEADING_EM, TextBlock, fitted, set_text

#: What makes a card say that it is a free preview; the shorter ones are for pictures too narrow for the first.
PREVIEW_NOTES = (
    "Storyboard preview · nothing was generated or paid for",
    "Storyboard preview · free",
    "Free preview",
)
#: Shares of the short side.
_MARGIN, _SMALL, _PROMPT_MAX, _PROMPT_MIN = 0.075, 0.026, 0.092, 0.0205
_NUMBER_WIDE, _NUMBER_TALL, _LINE, _GAP = 0.3, 0.2, 0.005, 0.05
#: Type is never smaller than this, however small the picture: it could not be told from dirt.
_TYPE_MIN_PX = 7
#: A picture wider than this, by its height, has the number at the side.
_WIDE = 1.25
#: How much of a wide picture's inner width the number may take.
_NUMBER_COLUMN = 0.22


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels, from the picture's upper left corner."""

    left: int
    top: int
    width: int
    height: int

    @property
    def right(self) -> int:
        """Give the first column right of it."""
        return self.left + self.width

    @property
    def bottom(self) -> int:
        """Give the first row below it."""
        return self.top + self.height


@dataclass(frozen=True, slots=True)
class Ink:
    """Something drawn once: its coverage, and where and how it appears."""

    #: `title`, `scene`, `note`, `number`, `rule`, `prompt` or `more`.
    name: str
    box: Box
    #: uint8, shape (box.height, box.width); None where all of the box is covered.
    coverage: Any
    #: 0 to 1: how strong it is when it has appeared.
    strength: float
    #: Whether it takes the scene's accent colour rather than the text's.
    accent: bool = False
    #: When it starts to appear, as a share of the entrance; None: it is there from the first frame, as in the card
    #: before, so that only what changes from scene to scene moves.
    enters_at: float | None = None


@dataclass(frozen=True, slots=True)
class Layout:
    """A card's parts."""

    inks: tuple[Ink, ...]
    progress: Box
    prompt: TextBlock
    #: The box that the prompt had to fit in.
    prompt_room: Box


@dataclass(frozen=True, slots=True)
class _Sheet:
    """The measures of one picture."""

    width: int
    height: int

    @property
    def short(self) -> int:
        return min(self.width, self.height)

    def px(self, share: float, least: int = 1) -> int:
        return max(least, round(self.short * share))

    @property
    def margin(self) -> int:
        return self.px(_MARGIN)

    @property
    def small(self) -> int:
        return self.px(_SMALL, _TYPE_MIN_PX)

    @property
    def inner_width(self) -> int:
        return self.width - 2 * self.margin

    @property
    def wide(self) -> bool:
        return self.width >= self.height * _WIDE


def lay_out(
    faces: Faces,
    *,
    prompt: str,
    title: str,
    scene_number: int,
    scene_count: int,
    scene_label: str,
    width_px: int,
    height_px: int,
) -> Layout:
    """Place the parts of a card.

    Args:
        faces: measures and draws.
        prompt: any text.
        title: the film's title; may be empty.
        scene_number: shown large.
        scene_count: of the film; all its cards leave as much room for the number as the widest of them needs.
        scene_label: the small line that tells the scene, the count and the length.
        width_px: of the picture.
        height_px: of the picture.
    """
    sheet = _Sheet(width_px, height_px)
    small, foot_top = _small_lines(faces, sheet, title, scene_label)
    head_bottom = sheet.margin + round(sheet.small * 1.5)
    room = Box(sheet.margin, head_bottom + sheet.px(_GAP) // 2, sheet.inner_width, 0)
    room = Box(room.left, room.top, room.width, max(sheet.small * 2, foot_top - sheet.px(_GAP) // 2 - room.top))
    place = _beside if sheet.wide else _above
    inks, block, prompt_room = place(faces, sheet, room, prompt, (scene_number, scene_count))
    thickness = max(2, sheet.px(_LINE) // 2 * 2)
    progress = Box(sheet.margin, (height_px - sheet.margin) // 2 * 2, sheet.inner_width, thickness)
    return Layout((*small, *inks), progress, block, prompt_room)


def _small_lines(faces: Faces, sheet: _Sheet, title: str, scene_label: str) -> tuple[list[Ink], int]:
    """Give the title above and the two lines at the foot, and the row where the foot begins."""
    inks = []
    if title.strip():
        shown = fitted(title, faces.width_em, sheet.inner_width / sheet.small)
        inks.append(_line(faces, "title", shown, sheet.small, sheet.margin, sheet.margin, strength=0.78))
    row = round(sheet.small * 1.5)
    top = sheet.height - sheet.margin - sheet.px(0.02, 3) - row
    room_em = sheet.inner_width / sheet.small
    note = next((text for text in PREVIEW_NOTES if faces.width_em(text) <= room_em), PREVIEW_NOTES[-1])
    note_width = faces.width_em(note) * sheet.small
    side_by_side = note_width + faces.width_em(scene_label) * sheet.small + 3 * sheet.small <= sheet.inner_width
    note_left = sheet.width - sheet.margin - round(note_width) if side_by_side else sheet.margin
    inks.append(_line(faces, "note", note, sheet.small, note_left, top, strength=0.62))
    if not side_by_side:
        top -= row
    label = fitted(scene_label, faces.width_em, room_em)
    inks.append(_line(faces, "scene", label, sheet.small, sheet.margin, top, strength=0.9))
    return inks, top


def _beside(
    faces: Faces, sheet: _Sheet, room: Box, prompt: str, scene: tuple[int, int]
) -> tuple[list[Ink], TextBlock, Box]:
    """Set the number left of the prompt, with an upright rule between them."""
    gap = sheet.px(_GAP)
    number, column = _number(scene, sheet.px(_NUMBER_WIDE), round(room.width * _NUMBER_COLUMN))
    prompt_left = room.left + column + 2 * gap
    prompt_room = Box(prompt_left, room.top, room.right - prompt_left, room.height)
    block, text_height = _prompt_block(faces, sheet, prompt, prompt_room)
    height = max(text_height, number.box.height)
    top = room.top + (room.height - height) // 2
    number_top = top + (height - number.box.height) // 2 if text_height < 1.8 * number.box.height else top
    thickness = max(1, sheet.px(0.0025))
    inks = [
        _moved(number, room.left + column - number.box.width, number_top),
        _rule(Box(room.left + column + gap, top, thickness, height)),
        *_prompt_inks(faces, sheet, block, Box(prompt_left, top + (height - text_height) // 2, prompt_room.width, 0)),
    ]
    return inks, block, prompt_room


def _above(
    faces: Faces, sheet: _Sheet, room: Box, prompt: str, scene: tuple[int, int]
) -> tuple[list[Ink], TextBlock, Box]:
    """Set the number over the prompt, with a short rule between them; a small number where a long prompt needs room."""
    for gap, number_share in ((sheet.px(_GAP), _NUMBER_TALL), (sheet.px(_GAP / 2), _NUMBER_TALL / 2)):
        number, _ = _number(scene, sheet.px(number_share), room.width)
        thickness = max(2, sheet.px(0.004))
        head = number.box.height + 2 * gap + thickness
        prompt_room = Box(room.left, room.top + head, room.width, max(sheet.small * 2, room.height - head))
        block, text_height = _prompt_block(faces, sheet, prompt, prompt_room)
        if not block.cut_characters:
            break
    # A little above the middle: what stands in the exact middle seems to sink.
    top = room.top + max(0, round((room.height - head - text_height) * 0.44))
    mirrored = bool(block.lines) and block.lines[0].right_to_left
    rule = Box(0, top + number.box.height + gap, sheet.px(0.09), thickness)
    inks = [
        _moved(number, room.right - number.box.width if mirrored else room.left, top),
        _rule(Box(room.right - rule.width if mirrored else room.left, rule.top, rule.width, rule.height)),
        *_prompt_inks(faces, sheet, block, Box(room.left, top + head, room.width, 0)),
    ]
    return inks, block, prompt_room


def _prompt_block(faces: Faces, sheet: _Sheet, prompt: str, room: Box) -> tuple[TextBlock, int]:
    """Set the prompt, and give its height with the line that says what was cut."""
    smallest = sheet.px(_PROMPT_MIN, _TYPE_MIN_PX)
    sizes = {"size_max_px": sheet.px(_PROMPT_MAX, smallest), "size_min_px": smallest}
    block = set_text(prompt, faces.width_em, width_px=room.width, height_px=room.height, **sizes)
    if not block.cut_characters:
        return block, block.height_px
    more = _more_height(sheet)
    block = set_text(prompt, faces.width_em, width_px=room.width, height_px=room.height - more, **sizes)
    return block, block.height_px + more


def _more_height(sheet: _Sheet) -> int:
    return round(sheet.small * 1.9)


def _prompt_inks(faces: Faces, sheet: _Sheet, block: TextBlock, at: Box) -> list[Ink]:
    """Draw the prompt with its top left corner at the box's; lines read from right to left end at its right side."""
    inks = []
    for line, top in zip(block.lines, block.tops_px(), strict=True):
        width = round(line.width_em * block.size_px)
        left = at.right - width if line.right_to_left else at.left
        drawn = faces.coverage(line.shown, block.size_px, right_to_left=line.right_to_left)
        inks.append(_placed("prompt", drawn, block.size_px, left, at.top + top, strength=1.0, enters_at=0.25))
    if block.cut_characters:
        text = f"+{block.cut_characters:,} characters"
        top = at.top + block.height_px + _more_height(sheet) - round(sheet.small * 1.4)
        inks.append(_line(faces, "more", text, sheet.small, at.left, top, strength=0.9, accent=True))
    return inks


def _line(
    faces: Faces, name: str, text: str, size: int, left: int, top: int, *, strength: float, accent: bool = False
) -> Ink:
    return _placed(name, faces.coverage(text, size), size, left, top, strength=strength, accent=accent)


def _placed(
    name: str,
    drawn: tuple[Any, int, int],
    size: int,
    left: int,
    top: int,
    *,
    strength: float,
    accent: bool = False,
    enters_at: float | None = None,
) -> Ink:
    coverage, origin, baseline = drawn
    rows, columns = coverage.shape
    # The baseline stands where ascent and descent are centred in the line's own box.
    line_baseline = top + round(size * (LEADING_EM + ASCENT_EM - DESCENT_EM) / 2)
    box = Box(left - origin, line_baseline - baseline, columns, rows)
    return Ink(name, box, coverage, strength, accent, enters_at)


def _number(scene: tuple[int, int], size_px: int, width_max: int) -> tuple[Ink, int]:
    """Draw the scene's number, trimmed to its ink, and give the width that the widest number of the film needs.

    All numbers of a film have one size: the largest at which the widest keeps within `width_max`.
    """
    number, count = scene
    widest = digits_coverage(int("8" * len(str(count))), size_px).shape[1]
    if widest > width_max and size_px > _TYPE_MIN_PX:
        return _number(scene, max(_TYPE_MIN_PX, size_px * width_max // (widest + 1)), width_max)
    trimmed = digits_coverage(number, size_px)
    rows, columns = trimmed.shape
    return Ink("number", Box(0, 0, columns, rows), trimmed, 1.0, accent=True, enters_at=0.0), widest


def _moved(ink: Ink, left: int, top: int) -> Ink:
    box = Box(left, top, ink.box.width, ink.box.height)
    return Ink(ink.name, box, ink.coverage, ink.strength, ink.accent, ink.enters_at)


def _rule(box: Box) -> Ink:
    return Ink("rule", box, None, 0.45, accent=True, enters_at=0.1)
