"""Why a clip is not taken as it is, in words for people: "frame rate 30/1 instead of 24/1; no sound"."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from events.clip import ClipFacts
from media.conform import can_join
from media.groups import picture_of, sound_of
from media.treatment import Picture

#: Reasons that say nothing to a reader who has heard any other.
_VAGUE = ("parameter sets", "not the same", "different ones under the same id", "level ")


def picture_in_words(expected: Mapping[str, str], clip: ClipFacts) -> list[str]:
    """Say what keeps a clip's picture from being copied beside one with these properties."""
    if clip.obstacles and set(clip.conform) <= {"container", "color"}:
        return list(clip.obstacles)  # It was only looked at from outside.
    return [*clip.obstacles, *readable(can_join(expected, picture_of(clip)))]


def sound_in_words(expected: Mapping[str, str] | None, clip: ClipFacts) -> list[str]:
    """Say what keeps a clip's sound from being copied; `expected` is None where no clip's is."""
    if clip.audio_codec is None:
        return ["no sound"]
    found = [obstacle for obstacle in clip.obstacles if "sound" in obstacle]
    if expected is not None:
        found += readable(can_join(expected, sound_of(clip)))
    return found or ["another kind of sound than the film's"]


def misfit_in_words(picture: Picture, clip: ClipFacts) -> list[str]:
    """Say what keeps a clip from a film that no clip is the measure of."""
    found = list(clip.obstacles)
    if (clip.width_px, clip.height_px) != (picture.width_px, picture.height_px):
        found.append(f"size {clip.width_px}x{clip.height_px} instead of {picture.width_px}x{picture.height_px}")
    wanted = f"{picture.frame_rate.numerator}/{picture.frame_rate.denominator}"
    if clip.frame_rate not in (None, wanted):
        found.append(f"frame rate {clip.frame_rate} instead of {wanted}")
    return found or [f"no clip is a measure that others can be fitted to (this one is {clip.video_codec})"]


def readable(differences: Sequence[str]) -> list[str]:
    """Turn what `media/conform.py` says into words, without what a reader learns nothing from."""
    said = [_spaced(text) for text in differences]
    # The size at which it is shown follows from the size, and most often is the same.
    shown = [text for text in said if not text.startswith("display ") or not any(t.startswith("size ") for t in said)]
    return [text for text in shown if not any(vague in text for vague in _VAGUE)] or shown


def _spaced(difference: str) -> str:
    """Turn a property's name into words.

    >>> _spaced("frameRate: 30/1 instead of 24/1"), _spaced("parameterSets: not the same")
    ('frame rate 30/1 instead of 24/1', 'parameter sets not the same')
    """
    name, mark, rest = difference.partition(": ")
    if not mark:
        return difference
    return f"{re.sub('([A-Z])', lambda found: ' ' + found[0].lower(), name)} {rest}"
