"""Retry is a decision value: whether to try again, and not before when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from events.errors import DiskFull, OutOfMemory
from pipeline.limits import (
    BACKOFF_FIRST,
    BACKOFF_LONGEST,
    DEATHS_MAX,
    QUOTA_WAIT,
    RETRY_AFTER_LONGEST,
    TRIES_MAX,
)
from pipeline.records import Segment, SegmentState, replace

#: Codes of failures after which the provider may have billed the attempt all the same.
_BILLED = frozenset({"attempt_lost", "generation_timeout", "bad_media", "no_object"})
_BEING_MADE = frozenset({SegmentState.CLAIMED, SegmentState.GENERATING})
#: Code of a stitch that no engine has room for now: it is waited for as long as for a quota.
NO_ROOM = "no_room"
#: Codes of a stitch that its machine was too small for: the next try takes a larger one, or does less at a time.
TOO_SMALL = frozenset({OutOfMemory.code, DiskFull.code})
#: Code of a stitch that ended without a film and without a word.
LOST = "stitch_lost"
#: Code of a stitch that was stopped because its time was up, and of one that was stopped from outside.
TIME_LIMIT, STOPPED = "time_limit", "program_stopped"
#: Codes of a stitch that was cut off rather than failed: what it had done by then is kept, and the next try goes on.
INTERRUPTED = frozenset(
    {TIME_LIMIT, STOPPED, OutOfMemory.code, "execution_failed", "execution_hangs", "stitch_program_died"}
)


@dataclass(frozen=True, slots=True)
class Retry:
    """Try again, but not before `not_before`."""

    not_before: datetime


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Do not try again."""

    reason: str


def backoff(tries: int, jitter: float) -> timedelta:
    """Give the wait after the `tries`-th try (1-based) failed: exponential, between half and all of the ceiling.

    Args:
        tries: tries made so far; 0, where the only one did not count, waits as 1 does.
        jitter: a random number in [0, 1) that the caller draws.

    >>> [backoff(tries, 0.0).total_seconds() for tries in (1, 2, 3)]
    [1.0, 2.0, 4.0]
    """
    ceiling = min(BACKOFF_FIRST * (1 << min(max(tries, 1) - 1, 16)), BACKOFF_LONGEST)
    return timedelta(seconds=ceiling.total_seconds() * (1 + jitter) / 2)


def after_failure(tries: int, *, retryable: bool, now: datetime, jitter: float) -> Retry | GiveUp:
    """Decide what follows the failure of the `tries`-th try (1-based)."""
    if not retryable:
        return GiveUp("the error is permanent")
    if tries >= TRIES_MAX:
        return GiveUp(f"all {TRIES_MAX} tries are used up")
    return Retry(now + backoff(tries, jitter))


def after_death(deaths: int, *, now: datetime, jitter: float) -> Retry | GiveUp:
    """Decide what follows when, for the `deaths`-th time, a worker died before its work was known to have begun.

    The wait does not grow: that the worker is dead was waited for.
    """
    if deaths >= DEATHS_MAX:
        return GiveUp(f"it never began, {DEATHS_MAX} times")
    return Retry(now + backoff(1, jitter))


def after_refusal(now: datetime, jitter: float, retry_after_seconds: float | None) -> datetime:
    """Give when to ask again after "not now": when the other side wishes it, else when a quota is counted anew.

    Args:
        now: aware, UTC.
        jitter: a random number in [0, 1) that the caller draws.
        retry_after_seconds: as the other side said; None where it said nothing.
    """
    if retry_after_seconds is None:
        return now + QUOTA_WAIT + backoff(1, jitter)
    longest = RETRY_AFTER_LONGEST.total_seconds()
    return now + timedelta(seconds=min(max(retry_after_seconds, 0.0), longest)) + backoff(1, jitter)


def may_have_been_billed(code: str) -> bool:
    """Tell whether the provider may have billed an attempt that failed by `code`."""
    return code in _BILLED


def with_waste(segment: Segment, code: str) -> Segment:
    """Count the price of an attempt that failed by `code` as wasted, if it may have been billed."""
    if not may_have_been_billed(code) or not segment.price_micro_usd:
        return segment
    return replace(segment, wasted_micro_usd=segment.wasted_micro_usd + segment.price_micro_usd)


def without_waste(segment: Segment, attempt: int) -> Segment:
    """Take back what was counted as wasted when the clip of an attempt that was given up is there after all.

    Where a later attempt is on its way, nothing is taken back: two were bought, and one of them is for nothing.
    """
    # What was called off half-way has no error: it was no failure.
    is_under_way = segment.state in _BEING_MADE or (segment.state is SegmentState.CANCELLED and segment.error is None)
    was_counted = attempt < segment.attempt or (segment.error is not None and segment.error.code in _BILLED)
    if is_under_way or not was_counted or segment.wasted_micro_usd < segment.price_micro_usd:
        return segment
    return replace(segment, wasted_micro_usd=segment.wasted_micro_usd - segment.price_micro_usd)
