"""How loud a film shall be, and what has to be done for it: pure numbers, nothing is run here.

Loudness is measured over the whole film as EBU R 128 says, and made right by one gain for all of it, so that what is
quiet stays quiet beside what is loud. Only peaks that the gain would push over the ceiling are held down.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, isfinite

from events.errors import StitchFailed
from events.plan import Loudness, StitchPlan

#: Where films go is not the television, for which R 128 asks -23 LUFS: phones and laptops cannot make that loud
#: enough, and platforms turn down what is louder than -14 LUFS, but turn little up. So -16 LUFS, as the AES recommends
#: for streams that are not only speech. No peak may be above -1 dBTP.
#: Source: AES TD1008.1.21-9, "Recommendations for Loudness of Internet Audio Streaming"; EBU R 128.
TARGET_LUFS = -16.0
#: Peaks are held so far down that they stay below -1 dBTP when AAC has rounded them.
CEILING_DB = -2.0
#: How near the film must come.
TOLERANCE_LU = 0.5
#: More would lift the noise of what was meant to be quiet.
GAIN_DB_MAX = 20.0
#: What R 128's gate takes for silence.
SILENCE_LUFS = -70.0
#: How far below the film's own loudness its sound begins to push the music away, in decibels; and how loud the music
#: may then become: one decibel for every so many that the film is above that.
DUCKING_BELOW_DB, DUCKING_RATIO = 12.0, 4


def needs_sound_work(plan: StitchPlan) -> str | None:
    """Say why the sound of the whole film must be encoded; None where it need not."""
    if plan.music is not None:
        return "music is to play under the clips, so the sound of the whole film is encoded"
    if plan.loudness is not Loudness.KEEP:
        return "the film is to be as loud as others, so its sound is measured and encoded"
    return None


@dataclass(frozen=True, slots=True)
class Measured:
    """How loud some sound is."""

    #: Integrated loudness; minus infinity for silence.
    lufs: float
    true_peak_db: float

    @property
    def is_silent(self) -> bool:
        """Tell whether there is nothing to be heard."""
        return self.lufs <= SILENCE_LUFS

    @property
    def centi_lufs(self) -> int | None:
        """Give the loudness in hundredths; None for silence."""
        return None if self.is_silent else round(100 * self.lufs)

    @property
    def true_peak_centi_db(self) -> int | None:
        """Give the true peak in hundredths; None for silence."""
        return None if self.is_silent else round(100 * self.true_peak_db)


def read_measured(said: Sequence[str]) -> Measured:
    """Read what FFmpeg's `loudnorm` said, as lines of its log.

    Raises:
        StitchFailed: it did not say it.
    """
    text = "\n".join(said)
    start, end = text.rfind("{"), text.rfind("}")
    try:
        found = json.loads(text[start : end + 1])
        lufs, peak = float(found["input_i"]), float(found["input_tp"])
    except (ValueError, KeyError, TypeError) as exc:
        last = said[-1] if said else "nothing was said"
        raise StitchFailed(f"measure the loudness: FFmpeg did not tell it ({last})") from exc
    return Measured(lufs if lufs == lufs else -inf, peak if peak == peak else -inf)


@dataclass(frozen=True, slots=True)
class Gain:
    """What is done to the finished sound."""

    gain_db: float
    #: Whether peaks must be held down.
    limits_peaks: bool


def gain_for(mix: Measured, loudness: Loudness) -> Gain:
    """Choose the gain for a sound that was measured.

    >>> gain_for(Measured(-24.0, -12.0), Loudness.R128)
    Gain(gain_db=8.0, limits_peaks=False)
    """
    is_kept = loudness is Loudness.KEEP or mix.is_silent
    gain_db = 0.0 if is_kept else min(GAIN_DB_MAX, TARGET_LUFS - mix.lufs)
    return Gain(gain_db, isfinite(mix.true_peak_db) and mix.true_peak_db + gain_db > CEILING_DB)


@dataclass(frozen=True, slots=True)
class Bed:
    """How music lies under the film's sound."""

    gain_db: float
    #: Level of the film's sound from which on it pushes the music away, as FFmpeg's `sidechaincompress` wants it.
    threshold: float


def bed_for(film: Measured | None, music: Measured, music_db: int) -> Bed:
    """Choose how loud the music is.

    Args:
        film: its own sound; None for a film without any.
        music: as it is, over the film's length.
        music_db: of the music relative to the film's sound. Under silence it is as loud as a film should be.
    """
    if film is None or film.is_silent:
        return Bed(TARGET_LUFS - music.lufs, 1.0)
    threshold = 10 ** ((film.lufs - DUCKING_BELOW_DB) / 20)
    return Bed(film.lufs + music_db - music.lufs, min(1.0, max(0.001, threshold)))


def loudness_warnings(plan: StitchPlan, made: Measured) -> list[str]:
    """Say where the film did not become what was asked for."""
    if plan.loudness is Loudness.KEEP:
        return []
    if made.is_silent:
        return ["The film is silent, so its loudness was left as it is."]
    if abs(made.lufs - TARGET_LUFS) > TOLERANCE_LU:
        return [f"The film is {made.lufs:.1f} LUFS loud instead of {TARGET_LUFS:.0f}: its sound allows no more."]
    return []
