"""The quiet tone of a card: a soft pad on one note of a pentatonic scale, another note for each scene."""

from __future__ import annotations

import math
from typing import Any

SAMPLE_RATE_HZ = 48_000
#: Loudness of the pad at rest, root mean square against full scale: audible in headphones, never in the way.
LEVEL_DBFS = -30
FADE_MS = 300
#: C major pentatonic from G3 on, walked in steps of three, so that neighbours are a fourth or more apart and no two
#: notes of a film ever clash.
_NOTES_HZ = (196.00, 220.00, 261.63, 293.66, 329.63)
_STEP = 3
#: (multiple of the note, strength): the note, its fifth and its octave, soft above.
_PARTIALS = ((1.0, 1.0), (1.5, 0.28), (2.0, 0.22))
#: The right ear hears each partial this much higher: a slow, wide beat instead of a bare sine.
_DETUNE_HZ = 0.35


def note_hz(scene_number: int) -> float:
    """Give the pitch of a scene's tone; scenes that follow each other differ."""
    return _NOTES_HZ[scene_number * _STEP % len(_NOTES_HZ)]


def tone(scene_number: int, seed: int, *, first_sample: int, sample_count: int, total_samples: int) -> Any:
    """Give a stretch of a card's sound.

    Args:
        scene_number: chooses the note.
        seed: chooses where each partial's wave starts.
        first_sample: where the stretch starts, in samples of `SAMPLE_RATE_HZ`.
        sample_count: its length in samples.
        total_samples: length of the whole sound, which the fades at both ends need.

    Returns:
        Left and right as float32, shape (2, sample_count), full scale 1.0.
    """
    import numpy as np

    at = np.arange(first_sample, first_sample + sample_count, dtype=np.float64)
    envelope = _fades(np, at, total_samples) * _amplitude()
    ears = [np.zeros_like(at), np.zeros_like(at)]
    for index, (multiple, strength) in enumerate(_PARTIALS):
        phase = 2 * math.pi * ((seed * 0.381966 + index * 0.7) % 1.0)
        for ear, detune in enumerate((0.0, _DETUNE_HZ)):
            hz = note_hz(scene_number) * multiple + detune
            ears[ear] += strength * np.sin(2 * math.pi * hz / SAMPLE_RATE_HZ * at + phase)
    return (np.stack(ears) * envelope).astype(np.float32)


def _amplitude() -> float:
    power = sum(strength**2 for _, strength in _PARTIALS) / 2
    return float(10 ** (LEVEL_DBFS / 20) / math.sqrt(power))


def _fades(np: Any, at: Any, total_samples: int) -> Any:
    length = max(1, min(FADE_MS * SAMPLE_RATE_HZ // 1000, total_samples // 4))
    nearest_end = np.minimum(at, total_samples - 1 - at)
    return np.sin(np.clip(nearest_end / length, 0.0, 1.0) * (math.pi / 2)) ** 2
