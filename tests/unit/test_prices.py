"""What a film costs by each way: list prices, in whole millionths of a dollar, and never less for more."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.prices import L4_SECOND_NANO_USD, job_second_micro_usd, transcoder_micro_usd

#: Up to an hour.
LENGTHS_MS = st.integers(0, 3_600_000)
SIDES_PX = st.integers(2, 4096)


@pytest.mark.parametrize(
    ("width_px", "height_px", "minute_usd"),
    [
        (640, 360, 0.015),
        (1279, 720, 0.015),
        (1280, 720, 0.030),
        (720, 1280, 0.030),
        (1080, 1080, 0.030),
        (1920, 1080, 0.030),
        (1920, 1082, 0.060),
        (3840, 2160, 0.060),
    ],
)
def test_a_minute_of_output_costs_what_the_price_list_says_of_its_size(
    width_px: int, height_px: int, minute_usd: float
) -> None:
    assert transcoder_micro_usd(60_000, width_px, height_px) == round(minute_usd * 1_000_000)


def test_a_begun_millionth_counts() -> None:
    # A millisecond of 0.015 USD a minute is a quarter of a millionth.
    assert [transcoder_micro_usd(ms, 640, 360) for ms in (0, 1, 4, 5)] == [0, 1, 1, 2]


@given(LENGTHS_MS, LENGTHS_MS, SIDES_PX, SIDES_PX)
def test_a_longer_output_never_costs_less(one_ms: int, other_ms: int, width_px: int, height_px: int) -> None:
    shorter, longer = sorted((one_ms, other_ms))

    assert transcoder_micro_usd(shorter, width_px, height_px) <= transcoder_micro_usd(longer, width_px, height_px)


@given(LENGTHS_MS, SIDES_PX, SIDES_PX, SIDES_PX, SIDES_PX)
def test_a_larger_output_never_costs_less_and_one_that_lies_otherwise_the_same(
    length_ms: int, width_px: int, height_px: int, wider_px: int, higher_px: int
) -> None:
    small = transcoder_micro_usd(length_ms, min(width_px, wider_px), min(height_px, higher_px))

    assert small <= transcoder_micro_usd(length_ms, max(width_px, wider_px), max(height_px, higher_px))
    assert transcoder_micro_usd(length_ms, width_px, height_px) == transcoder_micro_usd(length_ms, height_px, width_px)


@given(LENGTHS_MS, LENGTHS_MS, SIDES_PX, SIDES_PX)
def test_one_output_costs_no_more_than_its_parts(one_ms: int, other_ms: int, width_px: int, height_px: int) -> None:
    parts = [transcoder_micro_usd(each, width_px, height_px) for each in (one_ms, other_ms)]

    assert sum(parts) - 1 <= transcoder_micro_usd(one_ms + other_ms, width_px, height_px) <= sum(parts)


@given(st.integers(1, 8), st.integers(1, 32), st.booleans())
def test_a_larger_machine_never_costs_less_and_a_card_costs_more(vcpus: int, memory_gib: int, gpu: bool) -> None:
    price = job_second_micro_usd(vcpus, memory_gib, gpu=gpu)

    assert job_second_micro_usd(vcpus + 1, memory_gib, gpu=gpu) > price
    assert job_second_micro_usd(vcpus, memory_gib + 1, gpu=gpu) > price
    card = job_second_micro_usd(vcpus, memory_gib, gpu=True) - job_second_micro_usd(vcpus, memory_gib, gpu=False)
    assert 0 <= L4_SECOND_NANO_USD - 1000 * card < 1000


def test_an_hour_of_a_machine_costs_what_the_price_list_says() -> None:
    # 8 vCPUs at 0.000018 and 16 GiB at 0.000002 USD a second; an L4 at 0.0001867.
    assert 3600 * job_second_micro_usd(8, 16, gpu=False) == 633_600
    assert 3600 * job_second_micro_usd(8, 16, gpu=True) == pytest.approx(633_600 + 672_120, rel=0.002)
