"""The cloud's stitcher: asks every engine, takes the cheapest that can, or the next one where that has no room."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Protocol, runtime_checkable

from events.errors import LimitExceeded, StitchFailed
from events.plan import Engine as EngineName
from events.plan import StitchPlan
from pipeline.ports import Clock
from pipeline.records import Route
from pipeline.retry import NO_ROOM
from pipeline.routing import Engine, choose
from pipeline.work_ports import FilmReady, Gone, Running, Started, Stopped


@runtime_checkable
class FindsOwners(Protocol):
    """An engine that knows whose a piece of work is by its own name for it."""

    def owner_of(self, operation: str) -> tuple[str, int] | None:
        """Give the job id and the attempt (1-based); None if it is none of ours."""
        ...


class RoutedStitcher:
    """Several engines behind the Stitcher port. An operation is named `engine:the engine's own name`.

    Args:
        engines: those that are set up here.
        clock: tells how long a job has left.
    """

    def __init__(self, engines: Sequence[Engine], clock: Clock) -> None:
        self._engines = {engine.name: engine for engine in engines}
        self._clock = clock

    def route(self, plan: StitchPlan) -> Route:
        """Give the best route: which engine, its price, why, and why the others lost.

        Raises:
            StitchFailed: no engine can make the film; or not the one that the request asks for.
        """
        return self._ranked(plan)[0][1]

    def start(self, plan: StitchPlan, route: Route) -> Started | FilmReady:
        """Start by the route; where its engine has no room now, by the next best, with a warning.

        Raises:
            StitchFailed: it cannot be made; retryable where every engine that could was only out of room.
            Unavailable: it may or may not have been started.
        """
        no_room: list[str] = []
        waits: list[float] = []
        for name, taken in self._in_turn(plan, route):
            try:
                answer = self._engines[name].start(plan)
            except LimitExceeded as exc:
                no_room.append(f"{name}: {exc.message}")
                waits += [exc.retry_after_seconds] if exc.retry_after_seconds is not None else []
                continue
            return self._named(name, answer, _explained(taken, no_room) if no_room else None)
        text = f"make the film of {plan.job_id}: no engine has room now ({'; '.join(no_room)})"
        refused = StitchFailed(text, code=NO_ROOM, retryable=True)
        # Whoever has room first is asked first.
        refused.retry_after_seconds = min(waits, default=None)
        raise refused

    def poll(self, operation: str) -> Running | Stopped | Gone:
        """Ask the engine that has the work."""
        engine, native = self._of(operation)
        return engine.poll(native) if engine is not None else Gone()

    def cancel(self, operation: str) -> None:
        """Tell the engine that has the work."""
        engine, native = self._of(operation)
        if engine is not None:
            engine.cancel(native)

    def owner_of(self, operation: str) -> tuple[str, int] | None:
        """Give the job id and the attempt (1-based) of work by an engine's own name for it; None if it is nobody's."""
        for engine in self._engines.values():
            if isinstance(engine, FindsOwners) and (owner := engine.owner_of(operation)) is not None:
                return owner
        return None

    def _in_turn(self, plan: StitchPlan, route: Route) -> Iterator[tuple[EngineName, Route]]:
        """Give the chosen engine, and the others only where that one has no room."""
        # What was chosen stays chosen, even if the deadline came nearer since.
        yield EngineName(route.stitcher), route
        for name, offered in self._ranked(plan):
            if name != route.stitcher:
                yield name, offered

    def _ranked(self, plan: StitchPlan) -> list[tuple[EngineName, Route]]:
        answers = {name: engine.offer(plan) for name, engine in self._engines.items()}
        return choose(plan, answers, self._clock.now())

    def _named(self, name: EngineName, answer: Started | FilmReady, route: Route | None) -> Started | FilmReady:
        if isinstance(answer, Started):
            return Started(f"{name}:{answer.operation}", route)
        return replace(answer, route=route)

    def _of(self, operation: str) -> tuple[Engine | None, str]:
        name, _, native = operation.partition(":")
        known = name in {str(each) for each in EngineName}
        # An engine that was taken out of the configuration knows of nothing any more.
        return (self._engines.get(EngineName(name)) if known else None), native


def _explained(taken: Route, no_room: Sequence[str]) -> Route:
    warnings = (*(f"The film is made by {taken.stitcher} instead: {reason}" for reason in no_room), *taken.warnings)
    losers = {loser.partition(":")[0]: loser for loser in (*taken.losers, *no_room)}
    return replace(taken, losers=tuple(losers[name] for name in sorted(losers)), warnings=warnings)
