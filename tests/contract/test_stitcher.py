"""What every stitcher promises: one film an attempt, at the plan's own place, beside a report that is true."""

from __future__ import annotations

import pytest

from events.clip import Clip, StitchReport
from events.errors import StitchFailed
from events.plan import PlannedClip, StitchPlan
from media.probe import probe
from pipeline.object_port import ObjectInfo, ObjectStore
from pipeline.work_ports import FilmReady, Gone, Running, Started
from tests.contract.rigs import StitcherRig


class Reader:
    """An object, as `media.probe` reads it."""

    def __init__(self, objects: ObjectStore, info: ObjectInfo) -> None:
        self._objects, self._uri = objects, info.uri
        self.size_bytes = info.size_bytes

    def read(self, offset: int, length: int) -> bytes:
        return self._objects.read(self._uri, offset, length)


def look_at(stitcher: StitcherRig, uri: str) -> Clip:
    info = stitcher.objects.stat(uri)
    assert info is not None
    return Clip(uri=uri, generation=info.generation, facts=probe(Reader(stitcher.objects, info), uri))


def plan_of(stitcher: StitcherRig, attempt: int = 1) -> StitchPlan:
    clips = [
        PlannedClip(segment_index=index, **dict(look_at(stitcher, uri))) for index, uri in enumerate(stitcher.clips)
    ]
    job = f"gs://{stitcher.bucket}/jobs/job_abc123"
    return StitchPlan(
        job_id="job_abc123",
        attempt=attempt,
        clips=clips,
        output_uri=f"{job}/output/{attempt}/film.mp4",
        report_uri=f"{job}/stitch/{attempt}/report.json",
    )


def make(stitcher: StitcherRig, plan: StitchPlan) -> Started | FilmReady:
    answer = stitcher.stitcher.start(plan, stitcher.stitcher.route(plan))
    stitcher.work()
    return answer


def test_a_route_says_what_it_costs_why_and_why_the_others_lost(stitcher: StitcherRig) -> None:
    route = stitcher.stitcher.route(plan_of(stitcher))

    assert route.stitcher
    assert route.reason
    assert route.price_micro_usd >= 0
    assert all(": " in loser for loser in route.losers)


def test_the_same_plan_has_the_same_route(stitcher: StitcherRig) -> None:
    assert stitcher.stitcher.route(plan_of(stitcher)) == stitcher.stitcher.route(plan_of(stitcher))


def test_a_plan_ends_in_its_film_which_is_what_its_report_says(stitcher: StitcherRig) -> None:
    plan = plan_of(stitcher)

    make(stitcher, plan)

    film, report = (
        look_at(stitcher, plan.output_uri).facts,
        StitchReport.from_json(stitcher.objects.read(plan.report_uri)),
    )
    wanted = sum(clip.facts.frame_count or 0 for clip in plan.clips)
    assert (film.frame_count, film.size_bytes) == (report.frame_count, report.size_bytes)
    assert film.frame_count == wanted
    assert [join.clip_index for join in report.joins] == list(range(1, len(plan.clips)))


def test_work_that_goes_on_is_running_until_the_film_is_there(stitcher: StitcherRig) -> None:
    plan = plan_of(stitcher)
    answer = stitcher.stitcher.start(plan, stitcher.stitcher.route(plan))
    if isinstance(answer, FilmReady):
        assert stitcher.objects.stat(answer.uri) is not None
        return

    assert isinstance(stitcher.stitcher.poll(answer.operation), Running)
    stitcher.work()

    assert isinstance(stitcher.stitcher.poll(answer.operation), Gone)
    assert stitcher.objects.stat(plan.output_uri) is not None


def test_starting_the_same_attempt_twice_makes_one_film(stitcher: StitcherRig) -> None:
    plan = plan_of(stitcher)

    answers = [stitcher.stitcher.start(plan, stitcher.stitcher.route(plan)) for _ in range(2)]

    assert answers[0] == answers[1]
    assert stitcher.ordered() <= 1
    stitcher.work()
    film = stitcher.objects.stat(plan.output_uri)
    make(stitcher, plan)
    assert stitcher.objects.stat(plan.output_uri) == film


def test_another_attempt_makes_a_film_of_its_own(stitcher: StitcherRig) -> None:
    first, second = plan_of(stitcher), plan_of(stitcher, attempt=2)

    make(stitcher, first)
    make(stitcher, second)

    assert stitcher.objects.stat(first.output_uri) is not None
    assert stitcher.objects.stat(second.output_uri) is not None


def test_a_clip_that_was_changed_since_it_was_looked_at_is_not_used(stitcher: StitcherRig) -> None:
    plan = plan_of(stitcher)
    stitcher.objects.write(stitcher.clips[1], stitcher.objects.read(stitcher.clips[0]))

    with pytest.raises(StitchFailed) as failed:
        make(stitcher, plan)

    assert failed.value.segment_index == 1
    assert stitcher.objects.stat(plan.output_uri) is None


def test_cancelling_is_safe_whatever_became_of_the_work(stitcher: StitcherRig) -> None:
    plan = plan_of(stitcher)
    answer = stitcher.stitcher.start(plan, stitcher.stitcher.route(plan))
    operation = answer.operation if isinstance(answer, Started) else "splice/job_abc123/1"

    stitcher.stitcher.cancel(operation)
    stitcher.work()
    stitcher.stitcher.cancel(operation)
