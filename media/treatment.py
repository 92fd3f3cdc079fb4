"""What happens to each clip of a film: the words that `target.py` decides in and `encoder.py` reads."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

from events.plan import Fit
from media.colour import Colour


class Treatment(StrEnum):
    """How much of a clip is made anew."""

    #: Nothing: it goes into the film bit for bit.
    COPY = "copy"
    #: The picture goes in bit for bit; the sound is encoded, or silence is added.
    SOUND = "sound"
    #: Picture and sound are encoded.
    ENCODE = "encode"


@dataclass(frozen=True, slots=True)
class Picture:
    """What the picture of every clip of the film has in common."""

    #: Both even.
    width_px: int
    height_px: int
    frame_rate: Fraction
    #: H.264 profile in x264's words: `baseline`, `main`, `high`.
    profile: str
    #: How many frames a decoder holds back for B-frames: 0, 1 or 2.
    reorder_depth: int
    #: Id of the encoded clips' parameter sets, 0 to 31; not one of the copied clips' ids.
    sps_id: int
    colour: Colour


@dataclass(frozen=True, slots=True)
class SoundFormat:
    """What the sound of every clip of the film has in common; always AAC-LC."""

    sample_rate_hz: int
    channel_count: int


@dataclass(frozen=True, slots=True)
class ClipTreatment:
    """What happens to one clip, and why in words that people read."""

    treatment: Treatment
    #: Empty for a copy.
    reasons: tuple[str, ...]
    #: How many frames are made for the film, as far as its headers tell; of what is copied, all that it has.
    frame_count: int


@dataclass(frozen=True, slots=True)
class Quality:
    """How well and how long to look for small bytes."""

    #: x264's constant rate factor: 0 is lossless, 18 looks it, 51 is rubble.
    crf: int
    #: x264's preset.
    preset: str


@dataclass(frozen=True, slots=True)
class Target:
    """The film that a plan becomes."""

    picture: Picture
    #: None for a film without sound.
    sound: SoundFormat | None
    quality: Quality
    fit: Fit
    #: One for each clip of the plan, in its order.
    clips: tuple[ClipTreatment, ...]
    #: Index of the clip that the others are fitted to; None where all are encoded.
    reference_index: int | None
