"""The tone: quiet, different from scene to scene, without clicks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.cards.sound import LEVEL_DBFS, SAMPLE_RATE_HZ, note_hz, tone

SECOND = SAMPLE_RATE_HZ


def whole(scene: int, samples: int, seed: int = 1) -> np.ndarray:
    return np.asarray(tone(scene, seed, first_sample=0, sample_count=samples, total_samples=samples))


@given(st.integers(1, 10_000), st.integers(0, 2**63))
def test_it_rests_at_the_stated_level_whatever_the_scene(scene: int, seed: int) -> None:
    at_rest = tone(scene, seed, first_sample=SECOND // 2, sample_count=SECOND, total_samples=2 * SECOND)

    level = 20 * np.log10(np.sqrt(np.mean(np.square(at_rest))))
    assert level == pytest.approx(LEVEL_DBFS, abs=0.5)
    assert np.abs(at_rest).max() < 10 ** (-20 / 20)


@given(st.integers(1, 10_000))
def test_scenes_that_follow_each_other_sound_different(scene: int) -> None:
    higher, lower = sorted((note_hz(scene), note_hz(scene + 1)), reverse=True)

    assert higher / lower > 2 ** (2.9 / 12)


@given(st.integers(1, 3 * SECOND))
def test_it_starts_and_ends_in_silence(samples: int) -> None:
    found = whole(1, samples)

    assert found.shape == (2, samples)
    assert np.abs(found[:, 0]).max() < 1e-4
    assert np.abs(found[:, -1]).max() < 1e-4


@given(st.lists(st.integers(1, 5000), min_size=1, max_size=8))
def test_stretches_joined_are_the_whole(lengths: list[int]) -> None:
    total = sum(lengths)
    starts = np.cumsum([0, *lengths[:-1]])

    parts = [
        tone(3, 5, first_sample=int(start), sample_count=length, total_samples=total)
        for start, length in zip(starts, lengths, strict=True)
    ]

    assert np.array_equal(np.concatenate(parts, axis=1), whole(3, total, seed=5))


def test_the_two_ears_hear_a_little_apart() -> None:
    left, right = whole(2, 2 * SECOND)

    assert not np.allclose(left, right, atol=1e-3)
