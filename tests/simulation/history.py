"""One history, from a seed to its end: act one with faults, in which nothing may go wrong; act two, in which all ends.

Act one lasts a number of steps, with users and an operator who do as they please. Then nothing goes wrong any more,
and within `ENDS_WITHIN` of virtual time every job must be over and wait for nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from events import messages
from functions import api
from pipeline import decide as decisions
from pipeline.commands import Outgoing
from pipeline.records import JobState
from tests.simulation.faults import Chance
from tests.simulation.ports import Violation
from tests.simulation.world import BUCKET, World, tiny_clip

#: Steps with faults. Most histories are over before.
STEPS_WITH_FAULTS = 400
#: Steps after it.
STEPS_WITHOUT = 6000
#: How long anything may take once nothing goes wrong: three tries of a generation that never ends, and a stitch.
ENDS_WITHIN = timedelta(hours=5)

LIVENESS = "every job ends"


@dataclass(frozen=True)
class Shape:
    """What is asked for, and in what kind of world."""

    segments: int = 2
    width: int = 2
    kind: str = "long_form"
    policy: str = "fail"
    daisy_chain: bool = False
    embedded: bool = False
    resubmittable: bool = False
    on_the_spot: bool = False

    def request(self, **more: Any) -> dict[str, Any]:
        """Give the request as a user sends it."""
        shared = {"onSegmentFailure": self.policy, "maxParallelSegments": self.width, "kind": self.kind, **more}
        if self.kind == "stitch":
            return {**shared, "clips": [f"gs://{BUCKET}/uploads/{index}.mp4" for index in range(self.segments)]}
        prompts = [f"scene {index}" for index in range(self.segments)]
        return {**shared, "prompts": prompts, "generator": "paid", "daisyChain": self.daisy_chain}


def shape_of(chance: Chance) -> Shape:
    """Draw a shape."""
    kind = chance.choice(["long_form"] * 5 + ["stitch"])
    return Shape(
        segments=chance.number(2 if kind == "stitch" else 1, 4),
        width=chance.number(1, 3),
        kind=kind,
        policy=chance.choice(["fail", "skip"]),
        daisy_chain=chance.choice([False, False, False, True]),
        embedded=chance.choice([False, False, True]),
        resubmittable=chance.choice([False, False, False, True]),
        on_the_spot=chance.choice([False, True]),
    )


@dataclass
class Outcome:
    """What became of a history."""

    seed: int
    options: Mapping[str, float]
    violation: Violation | None
    #: What the world was like at the end.
    world: World
    asked: int = 0
    states: Counter[str] = field(default_factory=Counter)


def play(
    chance: Chance,
    shape: Shape | None = None,
    meanwhile: Callable[[World, str], object] = lambda _world, _job_id: None,
) -> Outcome:
    """Play one history.

    Args:
        chance: everything that is left to it.
        shape: what is asked for; None draws one.
        meanwhile: called before every step of act one, with the first job's id.
    """
    shape = shape or shape_of(chance)
    world = World(chance, embedded=shape.embedded, resubmittable=shape.resubmittable, on_the_spot=shape.on_the_spot)
    outcome = Outcome(chance.seed, chance.options, None, world)
    try:
        _play(world, shape, meanwhile)
    except Violation as violation:
        outcome.violation = violation
    except Exception as exc:  # noqa: BLE001 - a bug of ours is a broken promise like any other
        outcome.violation = Violation("no handler has a bug", f"{type(exc).__name__}: {exc}")
        outcome.violation.__cause__ = exc
    outcome.asked = len(chance.asked)
    outcome.states.update(str(job.state) for job in world.documents.jobs.values())
    world.close()
    return outcome


def _play(world: World, shape: Shape, meanwhile: Callable[[World, str], object]) -> None:
    if shape.kind == "stitch":
        for index in range(shape.segments):
            world.objects.write(f"gs://{BUCKET}/uploads/{index}.mp4", tiny_clip()[0])
    user = User(world, shape)
    user.create()
    world.between = user.interfere
    for _ in range(STEPS_WITH_FAULTS):
        user.maybe()
        meanwhile(world, user.first)
        if not world.step():
            break
    world.heal()
    _end(world)
    world.checkers.at_rest()


def _end(world: World) -> None:
    until = world.at + ENDS_WITHIN
    for _ in range(STEPS_WITHOUT):
        if world.is_quiet or not world.step():
            break
        if world.at > until:
            raise Violation(LIVENESS, f"{ENDS_WITHIN} after the last fault: " + "; ".join(_blocking(world)))
    if not world.is_quiet:
        raise Violation(LIVENESS, "; ".join(_blocking(world)) or "messages go round for ever")
    if still := [job.job_id for job in world.documents.jobs.values() if job.active]:
        raise Violation(LIVENESS, f"{', '.join(still)} wait for nothing, and nothing will come: {_blocking(world)}")


def _blocking(world: World) -> Iterator[str]:
    """Tell which condition blocks which job, and what would release it."""
    for job in world.documents.jobs.values():
        if job.active or job.wake_at is not None:
            yield f"{job.job_id} is {job.state}, {job.done_count} of {job.segment_count} done, wakes at {job.wake_at}"
            if job.state is JobState.STITCHING:
                yield f"its stitch {job.stitch}: a film of attempt {job.stitch.attempt}, or its failure"
        for segment in world.documents.of(job.job_id):
            if segment.wake_at is not None or (job.active and segment.clip is None):
                what = f"a clip under attempt {segment.attempt}" if segment.attempt else "its first claim"
                where = f"segment {segment.index} is {segment.state} (wakes at {segment.wake_at})"
                yield f"{where}: {what} would release it"


class User:
    """Somebody who orders a film, and does at any moment what users and operators do."""

    def __init__(self, world: World, shape: Shape) -> None:
        self._world = world
        self._shape = shape
        self.first = ""
        self._seen_messages = 0

    def create(self, **more: Any) -> None:
        """Order a film."""
        request = self._shape.request(requestId="one", **more)
        # As an app does that gets no answer: again, by the same request.
        for _ in range(20):
            self._world.act("the user orders a film", lambda: api.create_job(self._world.services, request, "someone"))
            if self._world.documents.jobs:
                self.first = next(iter(self._world.documents.jobs))
                return
        self._world.chance.healed = True
        self._world.act("the user orders a film", lambda: api.create_job(self._world.services, request, "someone"))
        self._world.chance.healed = False
        self.first = next(iter(self._world.documents.jobs))

    def maybe(self) -> None:
        """Do something, or rather not."""
        chance, services, world = self._world.chance, self._world.services, self._world
        jobs = list(world.documents.jobs)
        if chance.happens("user_cancels"):
            job_id = chance.choice(jobs)
            world.act(f"the user cancels {job_id}", lambda: api.cancel_job(services, job_id))
        if chance.happens("user_resumes"):
            job_id = chance.choice(jobs)
            world.act(f"the user resumes {job_id}", lambda: api.resume_job(services, job_id))
        if chance.happens("user_repeats_request"):
            again = self._shape.request(requestId="one")
            world.act("the user repeats the request", lambda: api.create_job(services, again, "someone"))
        if chance.happens("user_restarts") and len(jobs) < 4:
            force = self._shape.request(forceRestart=True)
            world.act("the user forces a restart", lambda: api.create_job(services, force, "someone"))
        if chance.happens("user_starts_another") and len(jobs) < 4:
            other = self._shape.request()
            world.act("the user starts another film", lambda: api.create_job(services, other, "someone"))
        if chance.happens("operator_replays"):
            world.act("an operator replays", lambda: world.queue.publish([Outgoing(self._replay())]))
            world.expect([Outgoing(messages.Requested(job_id=jobs[0]))])

    def interfere(self) -> None:
        """Cancel, resume or replay while a handler stands still, or rather not."""
        world = self._world
        if not world.chance.happens("somebody_interferes"):
            return
        services, job_id = world.services, world.chance.choice(list(world.documents.jobs))
        match world.chance.number(0, 2):
            case 0:
                world.act(f"meanwhile the user cancels {job_id}", lambda: api.cancel_job(services, job_id))
            case 1:
                world.act(f"meanwhile the user resumes {job_id}", lambda: api.resume_job(services, job_id))
            case _:
                world.act("meanwhile an operator replays", lambda: world.queue.publish([Outgoing(self._replay())]))

    def _replay(self) -> messages.Message:
        chance = self._world.chance
        job = self._world.documents.jobs[chance.choice(list(self._world.documents.jobs))]
        index = chance.number(0, job.segment_count - 1)
        return chance.choice(
            [
                messages.Requested(job_id=job.job_id),
                messages.SegmentRequested(job_id=job.job_id, segment_index=index),
                messages.SegmentDone(job_id=job.job_id, segment_index=index),
                messages.StitchRequested(job_id=job.job_id),
            ]
        )


@contextmanager
def cells_entered(into: Counter[str]) -> Iterator[None]:
    """Count which cells of both tables are asked while this lasts."""
    segment_before, job_before = decisions._ask_segment, decisions._ask_job

    def ask_segment(before: Any, part: Any, event: Any, now: Any) -> Any:
        into[f"segment {part.state} {type(event).__name__}"] += 1
        return segment_before(before, part, event, now)

    def ask_job(before: Any, event: Any, now: Any, change: Any) -> Any:
        into[f"job {before.state} {type(event).__name__}"] += 1
        return job_before(before, event, now, change)

    decisions._ask_segment, decisions._ask_job = ask_segment, ask_job
    try:
        yield
    finally:
        decisions._ask_segment, decisions._ask_job = segment_before, job_before
