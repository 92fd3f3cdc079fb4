"""The simulator can fail: mistakes that people make, one at a time, each caught soon and by the right checker.

Each is planted into the product's own code for the length of a test.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any, cast

import pytest

from functions import adopt, clips, films, on_sweep, perform, render
from functions.advance import advance, messages_of
from functions.services import Services
from pipeline import decide as deciding
from pipeline import facts, job, segment, stitching
from pipeline.ports import Committed
from pipeline.records import Job, JobState, Segment, SegmentState
from pipeline.table import Move, Outcome
from tests.simulation.faults import USUAL
from tests.simulation.history import LIVENESS
from tests.simulation.shrink import Case, report, shrink

HISTORIES_MAX = 2000
Plant = Callable[[pytest.MonkeyPatch], None]
S, J = SegmentState, JobState
#: Without their types, which would not let a mistake in.
SEGMENTS = cast(dict[Any, Any], segment.TABLE)
JOBS = cast(dict[Any, Any], job.TABLE)


def publishes_before_it_commits(patch: pytest.MonkeyPatch) -> None:
    def hasty(services: Services, job_id: str, event: facts.Event) -> Committed:
        index = deciding.segment_index_of(event)
        part = None if index is None else services.jobs.segments(job_id)[index]
        decided = deciding.decide(services.jobs.load(job_id), part, event, services.clock.now())
        if services.together is None and (outgoing := messages_of(decided.commands)):
            services.bus.publish(outgoing)
        return advance(services, job_id, event)

    patch.setattr(perform, "advance", hasty)


def counts_what_was_left_out_twice(patch: pytest.MonkeyPatch) -> None:
    counted = job._count

    def careless(before: Job, change: job.SegmentChange | None) -> Job:
        assert change is not None
        skipped = before.skipped_count + (change.after.state is S.SKIPPED)
        return replace(counted(before, change), skipped_count=skipped)

    patch.setattr(job, "_count", careless)


def forgets_which_attempt_failed(patch: pytest.MonkeyPatch) -> None:
    def careless(of: Job, part: Segment, event: facts.SegmentFailed, now: datetime) -> Outcome:
        return segment._attempt_failed(of, part, replace(event, attempt=part.attempt), now)

    for state in (S.CLAIMED, S.GENERATING):
        cell = segment.TABLE[state, facts.SegmentFailed]
        assert isinstance(cell, Move)
        patch.setitem(SEGMENTS, (state, facts.SegmentFailed), Move(careless, cell.to))


def ignores_the_lease(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(SEGMENTS, (S.CLAIMED, facts.SegmentRequested), Move(segment._claim, (S.CLAIMED,)))


def orders_again_at_once(patch: pytest.MonkeyPatch) -> None:
    careful = render.submit

    def hasty(services: Services, of: Job, part: Segment) -> list[facts.Event]:
        lost = facts.SegmentFailed(part.index, part.attempt, "unavailable", "no answer", retryable=True)
        return careful(services, of, part) or [lost]

    patch.setattr(render, "submit", hasty)


def looks_for_no_clip_before_it_buys(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(adopt, "paid_for", lambda *_: None)


def does_not_wait_for_what_may_land(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(segment, "may_land_until", lambda *_: None)


def cancels_what_is_completed(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(JOBS, (J.COMPLETED, facts.CancelRequested), job._CANCEL)


def takes_a_clip_again(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(SEGMENTS, (S.DONE, facts.SegmentDone), Move(segment._done, (S.DONE,)))


def forgets_a_deadline(patch: pytest.MonkeyPatch) -> None:
    started = segment._started

    def careless(of: Job, part: Segment, event: facts.GenerationStarted, now: datetime) -> Outcome:
        outcome = started(of, part, event, now)
        return replace(outcome, segment=replace(outcome.segment, wake_at=None)) if outcome.segment else outcome

    patch.setitem(SEGMENTS, (S.CLAIMED, facts.GenerationStarted), Move(careless, (S.CLAIMED, S.GENERATING)))


def claims_a_stitch_that_is_claimed(patch: pytest.MonkeyPatch) -> None:
    claimed = stitching.requested

    def careless(of: Job, event: facts.StitchRequested, now: datetime, _change: Any) -> Outcome:
        return claimed(replace(of, stitch=replace(of.stitch, claimed=False)), event, now)

    patch.setitem(JOBS, (J.STITCHING, facts.StitchRequested), Move(careless, (J.STITCHING,)))


def takes_a_death_for_a_try(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(stitching, "LOST", "another word")


def resumes_without_the_lock(patch: pytest.MonkeyPatch) -> None:
    def careless(*asked: Any) -> Outcome:
        return replace(job._resume(*asked), takes_lock=False)

    patch.setitem(JOBS, (J.FAILED, facts.ResumeRequested), Move(careless, (J.FAILED, J.GENERATING, J.STITCHING)))


def lets_progress_fall(patch: pytest.MonkeyPatch) -> None:
    true = deciding.progress_of
    patch.setattr(deciding, "progress_of", lambda current: true(replace(current, progress=0)))


def takes_a_film_of_other_clips(patch: pytest.MonkeyPatch) -> None:
    careful = films.film_done

    def careless(services: Services, of: Job, attempt: int, info: Any) -> facts.StitchDone:
        report = films._report(services, of.job_id, attempt, clips.look_at(services, info).facts)
        return careful(services, replace(of, done_count=len(report.joins) + 1), attempt, info)

    patch.setattr(films, "film_done", careless)


def sweeps_jobs_only(patch: pytest.MonkeyPatch) -> None:
    true = perform.drive

    def lazy(services: Services, job_id: str, event: facts.Event) -> object:
        return None if isinstance(event, facts.SegmentEvent) else true(services, job_id, event)

    patch.setattr(on_sweep, "drive", lazy)


BOUGHT_TWICE = "no clip is bought twice"
PLANTS: dict[Plant, set[str]] = {
    publishes_before_it_commits: {"what is published was committed before"},
    counts_what_was_left_out_twice: {"the counts are the truth"},
    forgets_which_attempt_failed: {BOUGHT_TWICE},
    ignores_the_lease: {BOUGHT_TWICE},
    orders_again_at_once: {BOUGHT_TWICE},
    looks_for_no_clip_before_it_buys: {BOUGHT_TWICE},
    does_not_wait_for_what_may_land: {BOUGHT_TWICE},
    cancels_what_is_completed: {"terminal states absorb"},
    # Whichever shows first: the other clip, or the money that it brought back.
    takes_a_clip_again: {"a done segment stays done", "money spent is money accounted"},
    forgets_a_deadline: {"every active state has a deadline"},
    # Whichever shows first: the second stitch, or the try that its claim counts.
    claims_a_stitch_that_is_claimed: {"one stitch at a time", "tries are limited"},
    takes_a_death_for_a_try: {"a death before the start is no try"},
    resumes_without_the_lock: {"one job of a kind is active in a project"},
    lets_progress_fall: {"progress never falls"},
    takes_a_film_of_other_clips: {"a completed film holds every clip once, in order"},
    sweeps_jobs_only: {LIVENESS},
}


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.__name__)
def test_a_core_that(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)

    played = (Case(seed, USUAL).play() for seed in range(HISTORIES_MAX))
    outcome = next((each for each in played if each.violation is not None), None)

    assert outcome is not None, "nobody has noticed"
    assert outcome.violation is not None
    assert outcome.violation.checker in PLANTS[plant], outcome.violation


def test_a_history_that_fails_is_made_short_and_told_with_the_command_that_repeats_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ignores_the_lease(monkeypatch)
    played = (Case(seed, USUAL).play() for seed in range(HISTORIES_MAX))
    outcome = next(each for each in played if each.violation is not None)

    smaller, again = shrink(Case(outcome.seed, USUAL))

    assert outcome.violation is not None
    assert again.violation is not None
    assert again.violation.checker == outcome.violation.checker
    assert sum(again.world.chance.fired.values()) <= sum(outcome.world.chance.fired.values())
    told = report(smaller, again)
    assert f"breaks the promise: {BOUGHT_TWICE}" in told
    assert f"make sim SEED={outcome.seed} COUNT=1" in told
