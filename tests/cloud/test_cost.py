"""What a film costs in Firestore through the real functions: the same a segment for 10 as for 200, and no poll.

Clips take times that differ, as Veo's do. Where segments of a film end at the very same time their commits meet, and
those that come second read the job and the segment again: twice as many reads of `segment_done` at the worst.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cloud.ordered import bought, once, order, wait_until_quiet
from tests.cloud.stack import LocalCloud

#: Source: requirements, "per segment at most 4 Firestore writes and 6 reads".
WRITES_OF_A_SEGMENT, READS_OF_A_SEGMENT = 4, 6
FEW, MANY = 10, 200
#: What is read again after a commit that was refused: the job and the segment.
READS_OF_A_REFUSAL = 2


@pytest.fixture
def cloud(needs_emulators: None) -> Iterator[LocalCloud]:
    with LocalCloud() as cloud:
        yield cloud


def measure(cloud: LocalCloud, name: str, count: int) -> dict[str, Any]:
    """Make a film, and give what Firestore would bill for it."""
    chance = random.Random(count)
    prompts = [{"prompt": f"{name}, scene {number:03}", "durationMs": 4000} for number in range(count)]
    for prompt in prompts:
        cloud.vertex.rule(prompt=prompt["prompt"], latency_seconds=chance.uniform(0.1, 0.9))
    cloud.meter(reset=True)
    job = cloud.finished(order(cloud, name, count, prompts=prompts, maxParallelSegments=8))
    wait_until_quiet(cloud)
    assert (job.state, job.done_count) == ("completed", count)
    assert bought(cloud, job.job_id) == once(count)
    return cloud.meter()


def test_a_segment_costs_four_writes_and_six_reads_at_most_however_many_there_are(cloud: LocalCloud) -> None:
    measure(cloud, "warm", 2)

    few, many = measure(cloud, "few", FEW), measure(cloud, "many", MANY)

    more = {what: (many[what] - few[what]) / (MANY - FEW) for what in ("writes", "reads", "refused")}
    print(f"of a segment: {more}; of {FEW}: {few}; of {MANY}: {many}")  # noqa: T201 figures for people
    assert more["writes"] == WRITES_OF_A_SEGMENT
    assert more["reads"] <= READS_OF_A_SEGMENT
    assert more["reads"] - READS_OF_A_REFUSAL * more["refused"] <= READS_OF_A_SEGMENT - 1 + 0.1, "without a collision"
    # The job itself: its request, its lock, its window, its stitch.
    assert few["writes"] - WRITES_OF_A_SEGMENT * FEW <= 10
    assert cloud.vertex.polls.total() == 0
