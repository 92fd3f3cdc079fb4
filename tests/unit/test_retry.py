"""Retry is a formula with bounds."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.limits import BACKOFF_FIRST, BACKOFF_LONGEST, TRIES_MAX
from pipeline.retry import GiveUp, Retry, after_failure, backoff
from tests.unit.documents import NOW

jitters = st.floats(0, 1, exclude_max=True)


@pytest.mark.parametrize(
    ("tries", "jitter", "wait_seconds"),
    [
        pytest.param(0, 0.0, 1.0, id="a try that did not count waits as the first: 2 * 2**0 * (1 + 0) / 2 = 1"),
        pytest.param(1, 0.0, 1.0, id="2 * 2**0 * (1 + 0) / 2 = 1"),
        pytest.param(1, 0.5, 1.5, id="2 * 2**0 * (1 + 0.5) / 2 = 1.5"),
        pytest.param(2, 0.0, 2.0, id="2 * 2**1 * (1 + 0) / 2 = 2"),
        pytest.param(3, 0.0, 4.0, id="2 * 2**2 * (1 + 0) / 2 = 4"),
        pytest.param(5, 0.5, 24.0, id="2 * 2**4 * (1 + 0.5) / 2 = 24"),
        pytest.param(6, 0.0, 30.0, id="min(2 * 2**5, 60) * (1 + 0) / 2 = 30"),
        pytest.param(6, 0.5, 45.0, id="min(2 * 2**5, 60) * (1 + 0.5) / 2 = 45"),
        pytest.param(1000, 0.0, 30.0, id="min(2 * 2**16, 60) * (1 + 0) / 2 = 30"),
    ],
)
def test_the_wait_after_a_failure(tries: int, jitter: float, wait_seconds: float) -> None:
    assert backoff(tries, jitter).total_seconds() == wait_seconds


@given(st.integers(1, 10_000), jitters)
def test_the_wait_is_between_half_and_all_of_a_ceiling_that_doubles_and_is_bounded(tries: int, jitter: float) -> None:
    ceiling = min(BACKOFF_FIRST * 2 ** min(tries - 1, 30), BACKOFF_LONGEST)

    assert ceiling / 2 <= backoff(tries, jitter) <= ceiling


@given(st.integers(1, 50), jitters, jitters)
def test_more_tries_never_wait_less_for_the_same_chance(tries: int, jitter: float, other: float) -> None:
    assert backoff(tries, jitter) <= backoff(tries + 1, jitter)
    assert (backoff(tries, jitter) <= backoff(tries, other)) or jitter > other


@given(st.integers(0, 100), st.booleans(), jitters)
def test_there_is_another_try_only_after_a_passing_error_and_while_tries_are_left(
    tries: int, retryable: bool, jitter: float
) -> None:
    answer = after_failure(tries, retryable=retryable, now=NOW, jitter=jitter)

    assert isinstance(answer, Retry) is (retryable and tries < TRIES_MAX)
    if isinstance(answer, Retry):
        assert answer.not_before == NOW + backoff(tries, jitter)
        assert answer.not_before > NOW + timedelta(milliseconds=999)


def test_giving_up_says_why() -> None:
    assert after_failure(1, retryable=False, now=NOW, jitter=0) == GiveUp("the error is permanent")
    assert after_failure(3, retryable=True, now=NOW, jitter=0) == GiveUp("all 3 tries are used up")
