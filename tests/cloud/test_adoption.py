"""A clip that was paid for is never bought again, never lost: the functions' process is killed by -9, for real."""

from __future__ import annotations

import time
from collections.abc import Iterator
from http.client import HTTPException
from itertools import count

import pytest

from events.messages import Topic
from tests.cloud.ordered import (
    CLIP_MICRO_USD,
    bought,
    check_made_for_its_price,
    id_of,
    live,
    once,
    order,
    wait_until,
    wait_until_quiet,
)
from tests.cloud.stack import LocalCloud

#: After these nobody knows whether the order was sent; it was not.
BEFORE_THE_ORDER = {"after commit", "before submit"}
#: What the process does outside.
AROUND = ("create", "commit", "publish", "submit", "start")


@pytest.fixture(scope="module")
def emulated() -> Iterator[LocalCloud]:
    with LocalCloud(variables={"LONGREEL_ACTIVE_JOBS_MAX": "100"}) as cloud:
        yield cloud


@pytest.fixture
def cloud(needs_emulators: None, request: pytest.FixtureRequest) -> Iterator[LocalCloud]:
    cloud: LocalCloud = request.getfixturevalue("emulated")
    yield cloud
    cloud.die_at(0)
    cloud.vertex.latency_seconds = 0.05
    cloud.vertex.work()


def order_until_taken(cloud: LocalCloud, name: str, segments: int) -> str:
    """Order as an app does that gets no answer: again, by the same request."""
    while True:
        try:
            return order(cloud, name, segments)
        except (OSError, HTTPException):
            continue


def film_of_a_killed_process(cloud: LocalCloud, name: str, line: int, named: str = "") -> str:
    """Let the process die while it makes a film, check that its clip was bought once, and give where it died."""
    cloud.die_at(line, named, job_id=id_of(name))
    job = live(cloud, order_until_taken(cloud, name, 1))
    where = str(cloud.controlled()["diedAt"])

    first = f"jobs/{job.job_id}/segments/0/1/"
    assert bought(cloud, job.job_id) == {0: 1}, f"killed at line {line}, {where}"
    if any(first in each.prefix for each in cloud.vertex.bought):
        check_made_for_its_price(cloud, job, 1)
    else:
        # Nobody can know that it was not sent, so the one that was given up is shown as paid for.
        assert where in BEFORE_THE_ORDER, f"killed at line {line}, {where}"
        assert (job.state, job.cost.wasted_micro_usd) == ("completed", CLIP_MICRO_USD)
    return where


def test_at_whatever_line_the_process_is_killed_the_clip_is_bought_once_and_the_film_is_made(cloud: LocalCloud) -> None:
    died_at = []
    for line in count(1):
        where = film_of_a_killed_process(cloud, f"line-{line}", line)
        if not where:
            break
        died_at.append(where)

    assert len(died_at) > 20, died_at
    around = {f"{when} {what}" for what in AROUND for when in ("before", "after")}
    assert set(died_at) <= around
    # Events overtake each other, so the same line is not the same moment in every film: name those that were missed.
    for missed in sorted(around - set(died_at)):
        assert film_of_a_killed_process(cloud, missed.replace(" ", "-"), 1, missed) == missed


def test_a_clip_whose_order_nobody_recorded_is_brought_home_by_its_own_event(cloud: LocalCloud) -> None:
    cloud.vertex.latency_seconds = None
    cloud.die_at(1, named="after submit")
    job_id = order(cloud, "unrecorded", 1)
    wait_until("killed", lambda: cloud.controlled()["diedAt"] == "after submit")
    wait_until_quiet(cloud)
    (segment,) = cloud.segments(job_id)
    assert (str(segment.state), segment.operation) == ("claimed", None)

    cloud.vertex.work()
    job = cloud.finished(job_id)

    check_made_for_its_price(cloud, job, 1)
    assert cloud.segments(job_id)[0].operation is None
    assert cloud.vertex.submits[cloud.vertex.bought[-1].prefix] == 1, "it was not even asked for a second time"


def test_an_unrecorded_order_is_not_given_again_while_its_clip_may_land(cloud: LocalCloud) -> None:
    cloud.vertex.latency_seconds = None
    cloud.die_at(1, named="after submit")
    job_id = order(cloud, "slow", 1)
    wait_until("killed", lambda: cloud.controlled()["diedAt"] == "after submit")

    # Its lease runs out, the sweep looks, and operators lose their patience; Veo takes 3 min at the longest.
    for _ in range(3):
        cloud.advance(60)
        cloud.sweep()
        cloud.call("resumeJob", {"jobId": job_id}, uid="slow")
        wait_until_quiet(cloud)
    assert bought(cloud, job_id) == {0: 1}
    cloud.lose(Topic.OBJECT_FINALIZED, name=f"jobs/{job_id}/segments/")
    cloud.vertex.work()
    wait_until_quiet(cloud)
    assert cloud.job(job_id).active, "its event was lost as well"
    cloud.advance(120)
    cloud.sweep()

    check_made_for_its_price(cloud, cloud.finished(job_id), 1)


def where_it_died(cloud: LocalCloud, seconds: float = 3) -> str:
    """Give the line at which the process was killed; nothing if it was not for so long."""
    deadline = time.monotonic() + seconds
    while not (where := cloud.controlled()["diedAt"]) and time.monotonic() < deadline:
        time.sleep(0.02)
    return str(where)


def test_films_are_made_and_nothing_is_bought_twice_while_the_process_is_killed_again_and_again(
    cloud: LocalCloud,
) -> None:
    jobs = [order(cloud, f"storm-{number}", 3) for number in range(4)]
    killed = []
    for line in (7, 11, 13, 17, 19, 23, 29):
        cloud.die_at(line)
        where = where_it_died(cloud)
        if not where:
            # What the kills before left behind waits for its deadline: let it come, so that there is work to kill at.
            cloud.advance(600)
            cloud.sweep()
            where = where_it_died(cloud)
        killed.append(where)
    cloud.die_at(0)

    for job_id in jobs:
        job = live(cloud, job_id)
        assert job.state == "completed"
        assert bought(cloud, job_id) == once(3)
    assert sum(1 for each in killed if each) >= 5, killed


def test_a_clip_that_lands_after_its_job_was_cancelled_is_kept(cloud: LocalCloud) -> None:
    cloud.vertex.latency_seconds = None
    job_id = order(cloud, "cancelled", 3, maxParallelSegments=2)
    wait_until("ordered", lambda: [str(each.state) for each in cloud.segments(job_id)][:2] == ["generating"] * 2)

    cloud.call("cancelJob", {"jobId": job_id}, uid="cancelled")
    cloud.vertex.work()
    wait_until("kept", lambda: [str(each.state) for each in cloud.segments(job_id)] == ["done", "done", "cancelled"])
    for _ in range(2):
        cloud.advance(600)
        cloud.sweep()
    wait_until_quiet(cloud)

    job = cloud.job(job_id)
    assert (str(job.state), job.done_count, job.cost.spent_micro_usd) == ("cancelled", 2, 2 * CLIP_MICRO_USD)
    assert bought(cloud, job_id) == once(2)
    for segment in cloud.segments(job_id)[:2]:
        assert segment.clip is not None
        assert cloud.storage.find(segment.clip.uri) is not None
