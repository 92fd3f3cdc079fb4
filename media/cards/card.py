"""The storyboard's card: one scene's number and prompt as a real clip, a free preview of the film's pace.

The door to the other files of this folder. It runs no process and fetches nothing; the `storyboard` generator calls it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from events.errors import InvalidRequest

if TYPE_CHECKING:
    from media.cards.clip import ClipShape
    from media.cards.picture import Picture

#: Longest prompt, in characters.
PROMPT_CHARACTERS_MAX = 4000
#: Smallest side that type can be set in.
SIDE_PX_MIN = 64
#: Largest side that H.264 codes in one picture at level 6.
SIDE_PX_MAX = 8192
#: How long the type takes to enter; a shorter card gives it half its length.
_ENTRANCE_MS = 500
#: `on_progress` is told about every so many frames.
_PROGRESS_FRAMES = 12


@dataclass(frozen=True, slots=True)
class Card:
    """What a card shows."""

    #: From 1.
    scene_number: int
    #: Of the film.
    scene_count: int
    #: 1 to 4000 characters of any writing.
    prompt: str
    #: The film's title, shown small; may be empty.
    title: str
    #: Makes the small choices (where the lights are) repeatable.
    seed: int


def frame_count(duration_ms: int, frame_rate: Fraction) -> int:
    """Give how many frames a card of this length has: the nearest whole number, at least 1."""
    return max(1, round(Fraction(duration_ms, 1000) * frame_rate))


def render_card(
    card: Card,
    output: Path,
    *,
    width_px: int,
    height_px: int,
    frame_rate: Fraction,
    duration_ms: int,
    on_progress: Callable[[int, int], None] | None = None,
) -> None:
    """Draw a card and encode it as an MP4 clip.

    Cards of one size and rate conform: they can be joined without encoding. The same card gives the same bytes
    with the same versions of Pillow, PyAV and the fonts that it needs.

    Args:
        card: what it shows.
        output: written; the caller chooses a temporary name.
        width_px: even, 64 to 8192.
        height_px: even, 64 to 8192.
        frame_rate: frames a second, constant; 1 to 120.
        duration_ms: 1 or more; the clip has the nearest whole number of frames.
        on_progress: told frames done and frames in all, about every twelve frames and at the end; what it raises
            ends the work, removes the file and is raised here.

    Raises:
        InvalidRequest: an argument is out of its range.
        RenderFailed: the encoder or the disk refused.
    """
    _check(card, width_px, height_px, frame_rate, duration_ms)
    from media.cards.clip import ClipShape, write_clip
    from media.cards.picture import Planes
    from media.cards.sound import tone

    shape = ClipShape(width_px, height_px, frame_rate, frame_count(duration_ms, frame_rate))
    picture = _picture(card, shape, duration_ms)

    def paint(index: int, y: object, cb: object, cr: object) -> None:
        seconds = float(index / frame_rate)
        picture.paint(Planes(y, cb, cr), frame_index=index, frame_count=shape.frame_count, seconds=seconds)

    def sound(first: int, count: int) -> object:
        total = shape.sample_count
        return tone(card.scene_number, card.seed, first_sample=first, sample_count=count, total_samples=total)

    def on_frame(done: int) -> None:
        if on_progress is not None and (done % _PROGRESS_FRAMES == 0 or done == shape.frame_count):
            on_progress(done, shape.frame_count)

    write_clip(output, shape, paint, sound, on_frame)


def _picture(card: Card, shape: ClipShape, duration_ms: int) -> Picture:
    from media.cards.colour import palette
    from media.cards.faces import Faces
    from media.cards.layout import lay_out
    from media.cards.picture import Picture

    layout = lay_out(
        Faces(),
        prompt=card.prompt,
        title=card.title,
        scene_number=card.scene_number,
        scene_count=card.scene_count,
        scene_label=f"Scene {card.scene_number} of {card.scene_count} · {spoken_length(duration_ms)}",
        width_px=shape.width_px,
        height_px=shape.height_px,
    )
    return Picture(
        palette(card.scene_number, card.title),
        layout,
        seed=card.seed,
        width_px=shape.width_px,
        height_px=shape.height_px,
        entrance_frames=float(min(Fraction(_ENTRANCE_MS, 1000) * shape.frame_rate, Fraction(shape.frame_count, 2))),
    )


def spoken_length(duration_ms: int) -> str:
    """Give a length as a person would say it.

    >>> spoken_length(5000), spoken_length(2500), spoken_length(65000)
    ('5 s', '2.5 s', '1 min 5 s')
    """
    tenths = max(1, round(duration_ms / 100))
    minutes, rest = divmod(tenths, 600)
    seconds = f"{rest // 10}.{rest % 10}".removesuffix(".0") + " s"
    return f"{minutes} min {seconds}" if minutes else seconds


def _check(card: Card, width_px: int, height_px: int, frame_rate: Fraction, duration_ms: int) -> None:
    if not 1 <= len(card.prompt) <= PROMPT_CHARACTERS_MAX:
        raise InvalidRequest("prompt", f"has {len(card.prompt)} characters; 1 to {PROMPT_CHARACTERS_MAX} are allowed")
    if card.scene_number < 1 or card.scene_count < card.scene_number:
        raise InvalidRequest("sceneNumber", f"{card.scene_number} of {card.scene_count}: scenes are counted from 1")
    for field, side in (("widthPx", width_px), ("heightPx", height_px)):
        if side % 2 or not SIDE_PX_MIN <= side <= SIDE_PX_MAX:
            raise InvalidRequest(field, f"is {side}; it must be even and from {SIDE_PX_MIN} to {SIDE_PX_MAX}")
    if not 1 <= frame_rate <= 120:
        raise InvalidRequest("frameRate", f"is {frame_rate}; 1 to 120 frames a second are allowed")
    if duration_ms < 1:
        raise InvalidRequest("durationMs", f"is {duration_ms}; it must be 1 or more")
