"""What breaks first, and what a film costs: the page's figures, reckoned once more by hand."""

from __future__ import annotations

import re

import pytest

from docs import capacity, film_price

#: Two minutes in fifteen clips, three times the mean in the busiest minutes: 86,400 s / 3.
DAY = 28_800


def test_each_limit_is_reached_where_arithmetic_by_hand_says() -> None:
    reached = {limit.name: limit.films_a_day for limit in capacity.limits()}

    assert reached == {
        "Veo requests": 10 * DAY / 60 / 15,
        "L4 cards (only films that must be encoded)": 3 / 60 * DAY,
        "Transcoder jobs (only films that must be encoded)": 30 / 120 * DAY,
        # Seconds of a processor: one call in eight, one in eight, 15 in four, 21 in four, 15 in two, and ten seconds.
        "Cloud Run's processors, of all functions together": int(
            10 / (1 / 8 + 1 / 8 + 15 / 4 + 21 / 4 + 15 / 2 + 10) * DAY
        ),
        "instances of `on_stitch_requested`": 10 / 10 * DAY,
        "Firestore writes to one ordered index": int(500 / (15 * 4 + 10) * DAY),
        "the sweep": 200 * DAY / 60 * 100 / 15,
        "Cloud Storage writes": int(1000 / (15 + 6) * DAY),
        "Pub/Sub requests": int(20_000 / (2 * (15 * 3 + 6)) * DAY),
    }
    assert list(reached.values()) == sorted(reached.values())


def test_a_million_films_a_day_is_what_arithmetic_by_hand_says() -> None:
    peak = 1_000_000 / DAY

    [row] = re.findall(r"^\| 1,000,000 \| (.+) \|$", capacity.tables()["growth"], re.M)

    wanted = [peak * 15 * 60, peak * 15 * 90, peak * 70, peak * 51]
    assert row.split(" | ") == [
        f"{peak:.1f}",
        *(f"{round(each):,}" for each in wanted),
        f"{1_000_000 * 2 * 15 * 8 * 8 // 8 // 1000:,} GB",
        f"${1_000_000 * 14.4:,.0f}",
    ]
    assert "929 processors" in capacity.tables()["million"]
    assert round(peak * 26.75) == 929


def test_a_film_costs_what_arithmetic_by_hand_says() -> None:
    rows = re.findall(r"^\| (.+?) \| .+? \| ([\d.]+) \|$", film_price.tables()["price"], re.M)

    assert {name: float(usd) for name, usd in rows} == pytest.approx(
        {
            "clips by Veo 3.1 fast, 1080p": 120 * 0.12,
            "clips and film, for each month": 240e6 / 2**30 * 0.02,
            "functions": 54 * (24e-6 + 2.5e-6 + 0.4e-6),
            "Firestore": 95 * 0.03 / 1e5 + 70 * 0.09 / 1e5,
            "Cloud Storage requests": 21 * 5e-6,
            "Pub/Sub": 51 * 2000 * 40 / 2**40,
        },
        abs=5e-7,
    )
