"""Whatever Vertex and Cloud Storage do, a film ends: as it should, at its price, and with the reason in words."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pipeline import limits
from pipeline.records import Segment
from tests.cloud.ordered import (
    bought,
    check_cost,
    check_made_for_its_price,
    id_of,
    let_heal,
    live,
    once,
    order,
    wait_until,
    wait_until_quiet,
)
from tests.cloud.servers.vertex import Ending
from tests.cloud.stack import LocalCloud

ANOTHER_MODEL = "veo-3.1-generate-001"


@pytest.fixture(scope="module")
def emulated() -> Iterator[LocalCloud]:
    with LocalCloud() as cloud:
        yield cloud


@pytest.fixture
def cloud(needs_emulators: None, request: pytest.FixtureRequest) -> LocalCloud:
    cloud: LocalCloud = request.getfixturevalue("emulated")
    return cloud


def first_segment(cloud: LocalCloud, job_id: str) -> Segment:
    return cloud.segments(job_id)[0]


def test_a_used_up_quota_is_waited_for_and_is_no_try(cloud: LocalCloud) -> None:
    refusals = limits.TRIES_MAX + 1
    cloud.vertex.rule(refuse=429, prompt="quota, scene 0", times=refusals)

    job_id = order(cloud, "quota", 2)
    wait_until("it waits for its quota", lambda: first_segment(cloud, job_id).waiting_quota)
    waiting = first_segment(cloud, job_id)
    job = live(cloud, job_id)

    assert (str(waiting.state), waiting.tries) == ("pending", 0)
    assert waiting.error is not None
    assert waiting.error.code == "quota_exhausted"
    assert "Quota exceeded" in waiting.error.message
    check_made_for_its_price(cloud, job, 2)
    assert (first_segment(cloud, job_id).attempt, first_segment(cloud, job_id).tries) == (refusals + 1, 1)


def test_a_model_that_is_gone_fails_the_job_and_names_the_setting(cloud: LocalCloud) -> None:
    cloud.vertex.retired.add(ANOTHER_MODEL)

    job = live(cloud, order(cloud, "retired", 2, model=ANOTHER_MODEL))

    assert job.error is not None
    assert (job.state, job.error.code) == ("failed", "model_retired")
    assert ANOTHER_MODEL in job.error.message
    assert "LONGREEL_VEO_MODEL" in job.error.message
    assert bought(cloud, job.job_id) == {}


def test_a_prompt_that_is_refused_fails_the_job_at_no_cost(cloud: LocalCloud) -> None:
    cloud.vertex.rule(refuse=400, prompt="refused, scene 1")

    job = live(cloud, order(cloud, "refused", 2))

    assert job.error is not None
    assert (job.state, job.error.code, job.error.segment_index) == ("failed", "prompt_refused", 1)
    wait_until_quiet(cloud)
    assert bought(cloud, job.job_id) == {0: 1}


@pytest.mark.parametrize("policy", ["skip", "fail"])
def test_a_clip_that_is_filtered_is_found_by_the_sweep_and_the_jobs_policy_decides(
    cloud: LocalCloud, policy: str
) -> None:
    name = f"filtered-{policy}"
    cloud.vertex.rule(Ending.FILTERED, prompt=f"{name}, scene 1")
    job_id = order(cloud, name, 3, onSegmentFailure=policy)
    wait_until_quiet(cloud)
    assert str(cloud.segments(job_id)[1].state) == "generating", "nobody tells of it, and nobody asks yet"

    let_heal(cloud)
    job = cloud.finished(job_id)

    segment = cloud.segments(job_id)[1]
    assert segment.error is not None
    assert (segment.error.code, segment.wasted_micro_usd) == ("filtered", 0)
    assert bought(cloud, job_id) == once(3)
    assert cloud.vertex.polls[str(segment.operation)] == 1
    if policy == "skip":
        assert (job.state, job.done_count, job.skipped_count) == ("completed", 2, 1)
        assert job.film is not None
        assert job.film.report.frame_count == 2 * 4 * 24
        assert [each for each in job.warnings if each.startswith("Scene 2 is left out")]
    else:
        assert job.error is not None
        assert (job.state, job.error.code, job.error.segment_index) == ("failed", "filtered", 1)


@pytest.mark.parametrize(
    ("ending", "code"),
    [(Ending.NOTHING, "no_object"), (Ending.PICTURE, "bad_media"), (Ending.TRUNCATED, "bad_media")],
)
def test_an_order_that_came_to_nothing_is_given_again_and_shown_as_wasted(
    cloud: LocalCloud, ending: Ending, code: str
) -> None:
    name = f"broken-{ending}"
    cloud.vertex.rule(ending, prompt=f"{name}, scene 0")

    job = live(cloud, order(cloud, name, 2))

    segment = first_segment(cloud, job.job_id)
    assert segment.error is not None
    assert (job.state, segment.attempt, segment.error.code) == ("completed", 2, code)
    assert bought(cloud, job.job_id) == {0: 2, 1: 1}
    check_cost(job, used=2, wasted=1)


def test_an_order_that_comes_to_nothing_every_time_fails_the_job_after_its_tries(cloud: LocalCloud) -> None:
    cloud.vertex.rule(Ending.TRUNCATED, prompt="never-good, scene 0", times=None)

    job = live(cloud, order(cloud, "never-good", 1))

    assert job.error is not None
    assert (job.state, job.error.code) == ("failed", "bad_media")
    assert bought(cloud, job.job_id) == {0: limits.TRIES_MAX}
    check_cost(job, used=0, wasted=limits.TRIES_MAX)


@pytest.mark.parametrize("ending", [Ending.TWICE, Ending.TWO, Ending.UNSAID])
def test_a_clip_that_comes_twice_or_unannounced_is_taken_once(cloud: LocalCloud, ending: Ending) -> None:
    name = f"odd-{ending}"
    cloud.vertex.rule(ending, prompt=f"{name}, scene 0")

    check_made_for_its_price(cloud, live(cloud, order(cloud, name, 2)), 2)


def test_events_that_come_twice_late_and_backwards_change_nothing(cloud: LocalCloud) -> None:
    twice, late = id_of("twice"), id_of("late")
    cloud.storage.events.misbehave("double", prefix=f"jobs/{twice}/", times=100)
    cloud.storage.events.misbehave("hold", prefix=f"jobs/{late}/segments/", times=3)

    check_made_for_its_price(cloud, cloud.finished(order(cloud, "twice", 3)), 3)
    order(cloud, "late", 3)
    wait_until("all clips are there", lambda: len(cloud.storage.events.held) == 3)
    let_heal(cloud)
    check_made_for_its_price(cloud, cloud.finished(late), 3)
    before = cloud.job(late)
    cloud.storage.events.release(backwards=True)
    wait_until_quiet(cloud)

    assert cloud.job(late) == before, "they came when all was over"
    cloud.storage.events.behave()


@pytest.mark.parametrize("how", [{"answer": 503}, {"cut": True}, {"nameless": True}], ids=["503", "cut", "nameless"])
def test_an_order_that_was_taken_without_an_answer_is_adopted_and_not_given_again(
    cloud: LocalCloud, how: dict[str, bool | int]
) -> None:
    name = f"adopted-{next(iter(how))}"
    cloud.vertex.rule(prompt=f"{name}, scene 0", **how)

    job = cloud.finished(order(cloud, name, 2))

    check_made_for_its_price(cloud, job, 2)
    assert first_segment(cloud, job.job_id).operation is None
    assert max(cloud.vertex.submits[each.prefix] for each in cloud.vertex.bought if job.job_id in each.prefix) == 1


def test_an_order_that_vertex_did_not_take_is_given_again_when_its_clip_could_have_landed(cloud: LocalCloud) -> None:
    cloud.vertex.misbehave(kind="veo.submit", status=503)

    job = live(cloud, order(cloud, "not-taken", 1))

    assert (job.state, bought(cloud, job.job_id)) == ("completed", {0: 1})
    assert first_segment(cloud, job.job_id).attempt == 2


def test_an_operation_that_never_ends_is_given_up_after_its_longest(cloud: LocalCloud) -> None:
    cloud.vertex.rule(Ending.NEVER, prompt="never, scene 0")
    job_id = order(cloud, "never", 1)
    wait_until_quiet(cloud)

    let_heal(cloud)
    wait_until("it was asked about", lambda: cloud.vertex.polls.total() > 0)
    wait_until_quiet(cloud)
    assert (str(first_segment(cloud, job_id).state), first_segment(cloud, job_id).attempt) == ("generating", 1)
    cloud.advance(limits.GENERATION_LONGEST.total_seconds())
    cloud.sweep()
    job = live(cloud, job_id)

    segment = first_segment(cloud, job_id)
    assert segment.error is not None
    assert (job.state, segment.attempt, segment.error.code) == ("completed", 2, "generation_timeout")
    check_cost(job, used=1, wasted=1)
    assert bought(cloud, job_id) == {0: 2}
