"""Jobs that have a name, each under all checkers in worlds of every kind, and each with the end that it must have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from functions import api
from pipeline.records import JobState, SegmentState
from tests.simulation.faults import Chance, parse_options
from tests.simulation.history import Shape, play
from tests.simulation.world import World

Meanwhile = Callable[[World, str], object]
SEEDS = range(6)


def nothing(_world: World, _job_id: str) -> None:
    pass


def when(state: JobState, what: Callable[[World, str], object]) -> Meanwhile:
    """Do something once, as soon as the job is in a state."""

    def act(world: World, job_id: str) -> None:
        if world.documents.jobs[job_id].state is state and f"once {state}" not in str(world.trace):
            world.trace.note(world.at, f"once {state}")
            world.act(f"when it is {state}", lambda: what(world, job_id))

    return act


def cancel(world: World, job_id: str) -> object:
    return api.cancel_job(world.services, job_id)


def resume(world: World, job_id: str) -> object:
    # Whatever failed it has passed.
    world.chance.healed = True
    return api.resume_job(world.services, job_id)


def restart(shape: Shape) -> Callable[[World, str], object]:
    return lambda world, _job_id: api.create_job(world.services, shape.request(forceRestart=True), "someone")


@dataclass(frozen=True)
class Named:
    """A shape, the faults it meets each time, and how its jobs end, one after the other."""

    shape: Shape
    faults: tuple[str, ...] = ()
    ends: tuple[str, ...] = ("completed",)
    meanwhile: Meanwhile = field(default=nothing)
    done: int | None = None


TWO, CHAIN = Shape(segments=2), Shape(segments=5, width=1, daisy_chain=True)
SHAPES = {
    "one segment": Named(Shape(segments=1), done=1),
    "a chain of five": Named(CHAIN, done=5),
    "a reel of given clips": Named(Shape(segments=4, kind="stitch"), done=4),
    "a film that is made on the spot": Named(replace(TWO, on_the_spot=True), done=2),
    "all are filtered": Named(TWO, ("filtered",), ("failed",), done=0),
    "all are filtered, and may be left out": Named(replace(TWO, policy="skip"), ("filtered",), ("failed",), done=0),
    "all are broken": Named(TWO, ("clip_broken",), ("failed",), done=0),
    "nobody is told of any object": Named(TWO, ("finalize_missing",), done=2),
    "a chain of which nobody is told anything": Named(CHAIN, ("finalize_missing",), done=5),
    "everything comes twice": Named(replace(TWO, segments=4), ("duplicated", "finalize_twice", "clip_twice"), done=4),
    "every answer of the generator is lost": Named(TWO, ("unavailable_though_taken",), done=2),
    "the generator forgets what it does": Named(TWO, ("operation_forgotten",), done=2),
    "the generator never comes to an end": Named(TWO, ("generation_never_ends",), ("failed",), done=0),
    "every stitch is killed": Named(TWO, ("stitch_killed",), ("failed",), done=2),
    "whoever is to begin the stitch always dies": Named(TWO, ("crash_around_stitch_start",), ("failed",), done=2),
    "every film comes twice": Named(TWO, ("stitch_answers_twice",), done=2),
    "it is cancelled while it is generating": Named(TWO, (), ("cancelled",), when(JobState.GENERATING, cancel)),
    "it is cancelled while it is stitching": Named(TWO, (), ("cancelled",), when(JobState.STITCHING, cancel), done=2),
    "it fails and is resumed with better luck": Named(
        TWO, ("filtered",), ("completed",), when(JobState.FAILED, resume), done=2
    ),
    "it is replaced by another one": Named(
        TWO, (), ("cancelled", "completed"), when(JobState.GENERATING, restart(TWO))
    ),
}


@pytest.mark.parametrize("embedded", [False, True], ids=["cloud", "embedded"])
@pytest.mark.parametrize("name", SHAPES)
def test_it_ends_as_it_must(name: str, embedded: bool) -> None:
    named = SHAPES[name]
    faults = parse_options("none") | dict.fromkeys(named.faults, 1.0)
    for seed in SEEDS:
        chance = Chance(seed, faults, swarm=False)
        outcome = play(chance, replace(named.shape, embedded=embedded), named.meanwhile)

        assert outcome.violation is None, f"{outcome.violation}\n{outcome.world.trace}"
        documents = outcome.world.documents
        ends = tuple(str(job.state) for job in documents.jobs.values())
        assert ends == named.ends, f"seed {seed}\n{outcome.world.trace}"
        if named.done is not None:
            job = next(iter(documents.jobs.values()))
            there = sum(each.state is SegmentState.DONE for each in documents.of(job.job_id))
            assert there == named.done, f"seed {seed}\n{outcome.world.trace}"
