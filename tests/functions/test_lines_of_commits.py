"""No state changes without its line: over every cell of both tables, and through histories in which much goes wrong."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import groupby, islice, product
from typing import Any

import pytest

from events.errors import IllegalTransition, PipelineError, RenderFailed, Unavailable
from events.log_lines import ATTRIBUTE
from functions.decision_line import fields_of, text_of
from functions.perform import Errand, drive_all
from pipeline import facts
from pipeline.decide import Decision, decide
from pipeline.ports import Committed, Created, Decide
from pipeline.records import Job, JobState, Segment, SegmentState
from tests.functions.doubles import ReadsThrough
from tests.functions.logged import logged
from tests.functions.world import World
from tests.unit.documents import NOW, jobs_around, segment_events, segments_in
from tests.unit.test_job_table import situations

#: What one change is known by, in the store and in the log.
Change = tuple[object, ...]


def every_cell() -> Iterator[tuple[Job, Segment | None, facts.Event]]:
    """Give each event in each state, with words of the outside wherever it has words."""
    for state in SegmentState:
        for fresh, segments in groupby(segments_in(state), key=lambda each: each.attempt == 0):
            shown = list(segments)
            # What jobs there are depends on no more than this, and to make them takes longer than to decide.
            jobs = list(islice(jobs_around(shown[0]), 0, None, 1 if fresh else 13))
            for segment, kind in product(shown, facts.SEGMENT_EVENTS):
                for event in segment_events(kind, segment):
                    yield from ((job, segment, worded(event)) for job in jobs)
    for job_state in JobState:
        for job_kind in facts.JOB_EVENTS:
            for job, part, happened in situations(job_state, job_kind):
                # `decide` makes this one itself, within the commit of another.
                if not isinstance(happened, facts.SegmentEnded):
                    yield job, part, worded(happened)


def worded(event: facts.Event) -> Any:
    return replace(event, message="zqx said zqx") if hasattr(event, "message") else event  # type: ignore[call-arg]


def test_every_cell_of_both_tables_says_before_event_after_and_why() -> None:
    changed: Counter[str] = Counter()
    for job, segment, event in every_cell():
        try:
            decision = decide(job, segment, event, NOW)
        except IllegalTransition:
            continue
        committed = Committed(decision, decision.job or job, decision.segment or segment)
        line, text = fields_of(job, segment, event, committed)[ATTRIBUTE], text_of(job, segment, event, committed)

        assert (line["event"], line["jobStateBefore"]) == (type(event).__name__, job.state)
        assert (line["jobStateAfter"], line["changed"]) == (committed.job.state, decision.changes)
        assert str(line["reason"]).strip()
        assert str(line["reason"]) in text
        assert type(event).__name__ in text
        if segment is not None:
            assert committed.segment is not None
            assert (line["stateBefore"], line["stateAfter"]) == (segment.state, committed.segment.state)
        assert "zqx" not in text + str(line)
        if decision.changes:
            changed[type(event).__name__] += 1
            assert "ignored" not in text
            assert str(committed.job.state if segment is None else line["stateAfter"]) in text
    kinds = {kind.__name__ for kind in (*facts.SEGMENT_EVENTS, *facts.JOB_EVENTS)}
    assert set(changed) == kinds - {facts.SegmentEnded.__name__}


@dataclass
class WatchedStore(ReadsThrough):
    """Takes note of every change that the store behind it has committed."""

    store: Any
    changes: list[Change] = field(default_factory=list)

    def create(
        self, job: Job, segments: Sequence[Segment], supersede: Callable[[Job], Decision] | None = None
    ) -> Created:
        created: Created = self.store.create(job, segments, supersede)
        if created.fresh:
            self.changes.append((job.job_id, "created", str(job.state)))
        if created.superseded is not None and created.superseded.decision.changes:
            self.changes.append(change_of(created.superseded))
        return created

    def transact(self, job_id: str, segment_index: int | None, decide: Decide) -> Committed:
        committed: Committed = self.store.transact(job_id, segment_index, decide)
        if committed.decision.changes:
            self.changes.append(change_of(committed))
        return committed


def change_of(committed: Committed) -> Change:
    job, part = committed.job, committed.segment
    return (job.job_id, str(job.state), part.index if part else None, str(part.state) if part else None)


def line_of(line: dict[str, Any]) -> Change:
    if line["action"] == "created":
        return (line["jobId"], "created", line["jobStateAfter"])
    return (line["jobId"], line["jobStateAfter"], line.get("segment"), line.get("stateAfter"))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("embedded", [False, True], ids=["cloud", "embedded"])
def test_each_change_that_is_committed_has_one_line_whatever_goes_wrong_around_it(
    make_world: Callable[..., World], embedded: bool, seed: int
) -> None:
    """The bus does not answer every other time, generators refuse, jobs are restarted, stopped and resumed."""
    world, chance = make_world(embedded=embedded), random.Random(seed)
    store = WatchedStore(world.services.jobs)
    world.services = replace(world.services, jobs=store)
    world.pipeline = replace(world.pipeline, services=world.services)
    world.paid.lands_after = timedelta(seconds=20)
    world.paid.refusals.extend([(RenderFailed("filtered", retryable=True), False), (RenderFailed("no"), False)] * 2)

    def unsteady(line: str) -> None:
        if line == "before publish" and chance.random() < 0.5:
            raise Unavailable("the bus did not answer")

    world.trap.on_line = unsteady
    with logged() as written:
        for turn in range(4):
            with suppress(PipelineError):
                world.create_paid(2, forceRestart=bool(turn % 2), projectId=f"project{turn // 2}")
            for job in store.jobs():
                with suppress(PipelineError):
                    world.run()
                    world.sweep(timedelta(seconds=30))
                    chance.choice([world.resume, world.cancel, lambda _: None, lambda _: None])(job.job_id)
        world.trap.on_line = lambda _line: None
        for job in store.jobs():
            world.settle(job.job_id)

    told = [
        line for line in written.lines if line.get("action") in ("created", "decision") and line.get("changed", True)
    ]
    assert Counter(map(line_of, told)) == Counter(store.changes)
    assert len(store.changes) > 20


def test_a_job_whose_first_message_could_not_be_published_has_its_line_and_so_has_the_one_that_it_replaced(
    world: World,
) -> None:
    first = world.create_paid(1)

    def broken(line: str) -> None:
        if line == "before publish":
            raise Unavailable("the bus did not answer")

    world.trap.on_line = broken
    with logged() as written, suppress(Unavailable):
        world.create_paid(1, forceRestart=True)

    lines = [line for line in written.lines if line["action"] in ("created", "decision")]
    assert [(line["action"], line["jobStateAfter"]) for line in lines] == [
        ("created", "queued"),
        ("decision", "cancelled"),
    ]
    assert lines[1]["jobId"] == first


def test_changes_that_are_rolled_back_together_have_no_lines(make_world: Callable[..., World]) -> None:
    """An event that cannot be undoes those that were to be committed with it; each alone, they are written once."""
    world = make_world(embedded=True)
    good, bad = world.create_paid(1, projectId="a"), world.create_paid(1, projectId="b")
    errands = [
        Errand(good, facts.JobRequested()),
        Errand(bad, facts.StitchProgressed(7, 40)),
    ]
    with logged() as written:
        drive_all(world.services, errands)

    assert isinstance(errands[1].error, IllegalTransition)
    lines = [line for line in written.lines if line.get("event") == "JobRequested"]
    assert [line["jobId"] for line in lines] == [good]
