"""Films made by the functions on Google's emulators, through Google's clients, from the callable to the film."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cloud.stack import LocalCloud


@pytest.fixture
def cloud(needs_emulators: None) -> Iterator[LocalCloud]:
    with LocalCloud() as cloud:
        yield cloud


def test_prompts_become_a_film_by_the_callable_without_a_poll(cloud: LocalCloud) -> None:
    prompts = [{"prompt": f"Scene {number}", "durationMs": 4000} for number in range(1, 4)]

    called = cloud.call("createJob", {"prompts": prompts, "generator": "veo"})
    job = cloud.finished(called["jobId"])

    assert job.state == "completed", job
    assert job.route is not None
    assert job.route.stitcher == "splice"
    assert job.user_id == "alice"
    assert cloud.vertex.polls.total() == 0
    assert [cloud.vertex.times_bought(order.prefix) for order in cloud.vertex.bought] == [1, 1, 1]
    assert job.cost.spent_micro_usd >= 3 * 400_000 == job.cost.estimated_micro_usd
