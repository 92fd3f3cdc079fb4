"""What every clock promises."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tests.contract.rigs import ClockRig


def test_the_time_is_aware_utc_and_in_whole_milliseconds(clock: ClockRig) -> None:
    now = clock.clock.now()

    assert now.utcoffset() == timedelta(0)
    assert now.microsecond % 1000 == 0


def test_the_time_is_the_present(clock: ClockRig) -> None:
    before = datetime.now(UTC) - timedelta(milliseconds=1)

    assert before <= clock.clock.now() <= datetime.now(UTC)


def test_the_time_does_not_run_backwards(clock: ClockRig) -> None:
    times = [clock.clock.now() for _ in range(1000)]

    assert times == sorted(times)


def test_chance_lies_between_zero_and_one_and_is_spread(clock: ClockRig) -> None:
    drawn = [clock.clock.jitter() for _ in range(1000)]

    assert all(0 <= each < 1 for each in drawn)
    assert len(set(drawn)) > 900
    assert min(drawn) < 0.2
    assert max(drawn) > 0.8
