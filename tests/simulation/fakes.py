"""A generator and a stitcher that cost money, fail in every way that real ones do, and keep the books.

What an order comes to is decided when it is given; when that comes true is the world's to say. Each is as slow and as
forgetful as the services that it stands for: a report may be missing, an operation unknown, a film written twice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from events.errors import LimitExceeded, RenderFailed, StitchFailed, Unavailable
from events.plan import StitchPlan
from events.requests import PromptSpec, Settings
from pipeline.records import Route
from pipeline.work_ports import FilmReady, Gone, Quote, RenderOrder, Running, Started, Stopped
from tests.simulation.faults import Chance

#: What a clip costs.
PRICE_MICRO_USD = 400_000
#: What a stitch costs.
STITCH_MICRO_USD = 3_000


class Surroundings(Protocol):
    """What a fake may do to the world around it."""

    chance: Chance
    #: How many things have happened.
    steps: int

    def now(self) -> datetime:
        """Tell the time."""
        ...

    def line(self, fault: str, text: str) -> None:
        """Pass a line at which the process may die."""
        ...

    def later(self, wait: timedelta, text: str, act: Callable[[], None]) -> None:
        """Let something happen after a while."""
        ...


class Fate(StrEnum):
    """What a paid order comes to."""

    LANDS = "lands"
    #: What lands is no video.
    BROKEN = "broken"
    #: It ends without an object, and says so only to who asks.
    FILTERED = "filtered"
    FAILS = "fails"
    NEVER_ENDS = "never ends"


@dataclass
class Purchase:
    """An order that was taken."""

    order: RenderOrder
    at: datetime
    fate: Fate
    #: Nobody can ask about it.
    is_forgotten: bool
    ended_at: datetime | None = None
    #: The world's step in which it ended.
    ended_step: int = 0

    @property
    def operation(self) -> str:
        """The generator's name for it."""
        return f"operations/{self.order.job_id}-{self.order.segment_index}-{self.order.attempt}-{self.at:%H%M%S%f}"

    @property
    def is_billed(self) -> bool:
        """Whether it costs money by now: what came out is paid for, whatever it is worth."""
        return self.ended_at is not None and self.fate in (Fate.LANDS, Fate.BROKEN)


@dataclass
class SimulatedGenerator:
    """Makes clips for money: the same order given twice is paid twice. One that is resubmittable takes no money."""

    world: Surroundings
    #: Writes a clip under an order's prefix: the order, and whether it is a good one.
    land: Callable[[RenderOrder, bool], None]
    resubmittable: bool = False
    bought: list[Purchase] = field(default_factory=list)
    #: Told of every order before it is taken.
    on_submit: Callable[[RenderOrder], None] = lambda _order: None
    _no_quota_until: datetime | None = None
    _down_until: datetime | None = None

    def check(self, scene: PromptSpec, settings: Settings, field: str) -> Quote:
        """Tell the price."""
        del scene, settings, field
        return Quote(0 if self.resubmittable else PRICE_MICRO_USD)

    def submit(self, order: RenderOrder) -> Started:
        """Take an order."""
        chance = self.world.chance
        self.world.line("crash_before_submit", "before submit")
        self._refuse()
        if chance.happens("prompt_refused"):
            raise RenderFailed("submit: the prompt was refused", code="prompt_refused")
        purchase = self._known(order) or self._buy(order)
        if chance.happens("unavailable_though_taken"):
            raise Unavailable("submit: the connection broke after the request was sent")
        self.world.line("crash_between_submit_and_record", "after submit")
        return Started(purchase.operation)

    def poll(self, operation: str) -> Running | Stopped | Gone:
        """Tell what became of an order."""
        self._refuse(quota=False)
        answer = self._answer(operation)
        # The answer is on its way, and the world goes on.
        self.world.line("interleaved", "the generator has answered")
        return answer

    def _answer(self, operation: str) -> Running | Stopped | Gone:
        found = next((each for each in self.bought if each.operation == operation), None)
        if found is None or found.is_forgotten:
            return Gone()
        if found.ended_at is None:
            return Running()
        match found.fate:
            case Fate.FILTERED:
                return Stopped("filtered", "the result was filtered", retryable=False)
            case Fate.FAILS:
                return Stopped("generation_failed", "an internal error", retryable=True)
            case _:
                return Gone()

    def cancel(self, operation: str) -> None:
        """Hear that nobody waits; as real ones do, it goes on."""
        del operation
        self._refuse(quota=False)

    def _refuse(self, *, quota: bool = True) -> None:
        chance, now = self.world.chance, self.world.now()
        if chance.happens("unavailable_burst"):
            self._down_until = now + chance.wait(1, 120)
        if quota and chance.happens("quota_burst"):
            self._no_quota_until = now + chance.wait(1, 300)
        if chance.healed:
            self._down_until = self._no_quota_until = None
        if self._down_until and now < self._down_until:
            raise Unavailable("ask the generator: 503")
        if quota and self._no_quota_until and now < self._no_quota_until:
            raise LimitExceeded("submit: 429, the quota is used up")

    def _known(self, order: RenderOrder) -> Purchase | None:
        if not self.resubmittable:
            return None
        return next((each for each in self.bought if each.order.output_prefix == order.output_prefix), None)

    def _buy(self, order: RenderOrder) -> Purchase:
        chance = self.world.chance
        self.on_submit(order)
        purchase = Purchase(order, self.world.now(), self._fate(), chance.happens("operation_forgotten"))
        self.bought.append(purchase)
        if purchase.fate is not Fate.NEVER_ENDS:
            slow = chance.happens("clip_late")
            wait = chance.wait(200, 1200) if slow else chance.wait(5, 90)
            self.world.later(
                wait, f"segment {order.segment_index}/{order.attempt} {purchase.fate}", self._end(purchase)
            )
        return purchase

    def _fate(self) -> Fate:
        fates = {
            "filtered": Fate.FILTERED,
            "generation_fails": Fate.FAILS,
            "generation_never_ends": Fate.NEVER_ENDS,
            "clip_broken": Fate.BROKEN,
        }
        return next((fate for name, fate in fates.items() if self.world.chance.happens(name)), Fate.LANDS)

    def _end(self, purchase: Purchase) -> Callable[[], None]:
        def end() -> None:
            purchase.ended_at, purchase.ended_step = self.world.now(), self.world.steps
            if purchase.fate in (Fate.LANDS, Fate.BROKEN):
                self.land(purchase.order, purchase.fate is Fate.LANDS)
                if self.world.chance.happens("clip_twice"):
                    self.land(purchase.order, purchase.fate is Fate.LANDS)

        return end


@dataclass
class Stitch:
    """A stitch that was started."""

    plan: StitchPlan
    at: datetime
    #: What a poll answers once it has ended; `Gone` where the film is there, or where it was killed without a word.
    answer: Running | Stopped | Gone = field(default_factory=Running)


@dataclass
class SimulatedStitcher:
    """Makes films: on the spot, or later; a second start of the same attempt starts nothing."""

    world: Surroundings
    #: Writes the film of a plan, and its report; gives what a stitcher on the spot answers.
    make: Callable[[StitchPlan], FilmReady]
    on_the_spot: bool = False
    started: dict[str, Stitch] = field(default_factory=dict)
    #: Told of every plan before it is started.
    on_start: Callable[[StitchPlan], None] = lambda _plan: None

    def route(self, plan: StitchPlan) -> Route:
        """Say how."""
        del plan
        return Route("splice" if self.on_the_spot else "cpu", "there is no other", STITCH_MICRO_USD)

    def start(self, plan: StitchPlan, route: Route) -> Started | FilmReady:
        """Start a film, once for each attempt."""
        del route
        chance = self.world.chance
        self.world.line("crash_around_stitch_start", "before start")
        self._refuse(plan)
        if self.on_the_spot:
            film = self.make(plan)
            self.world.line("crash_around_stitch_start", "after start")
            return film
        operation = f"{plan.job_id}/{plan.attempt}"
        if operation not in self.started:
            self.on_start(plan)
            self.started[operation] = stitch = Stitch(plan, self.world.now())
            self._plan_end(stitch)
        if chance.happens("stitch_unavailable"):
            raise Unavailable("start the stitch: the connection broke after the request was sent")
        self.world.line("crash_around_stitch_start", "after start")
        return Started(operation)

    def poll(self, operation: str) -> Running | Stopped | Gone:
        """Tell what became of a stitch."""
        if self.world.chance.happens("stitch_unavailable"):
            raise Unavailable("ask the stitcher: 503")
        stitch = self.started.get(operation)
        answer = self._answer(stitch) if stitch else Gone()
        self.world.line("interleaved", "the stitcher has answered")
        return answer

    def _answer(self, stitch: Stitch) -> Running | Stopped | Gone:
        return Running(self.world.chance.number(0, 99)) if isinstance(stitch.answer, Running) else stitch.answer

    def cancel(self, operation: str) -> None:
        """Hear that nobody waits."""
        if self.world.chance.happens("stitch_unavailable"):
            raise Unavailable(f"cancel {operation}: 503")

    def _refuse(self, plan: StitchPlan) -> None:
        chance = self.world.chance
        if chance.happens("stitch_without_room"):
            raise LimitExceeded("start the stitch: there is no machine now", code="no_room", retryable=True)
        if chance.happens("stitch_impossible"):
            raise StitchFailed("start the stitch: it cannot be made", code="no_engine")
        if chance.happens("stitch_blames_a_clip"):
            bad = chance.choice(plan.clips).segment_index
            raise StitchFailed("start the stitch: a clip is broken", segment_index=bad, code="bad_clip")

    def _plan_end(self, stitch: Stitch) -> None:
        chance, plan = self.world.chance, stitch.plan
        wait = chance.wait(150, 900) if chance.happens("stitch_slow") else chance.wait(2, 60)
        text = f"stitch {plan.attempt}"
        if chance.happens("stitch_hangs"):
            # Every engine has a limit of time, after which it says so.
            stopped = Stopped("stitch_timeout", "it took too long", retryable=True)
            self.world.later(timedelta(minutes=20), f"{text} is stopped by its limit", self._ends(stitch, stopped))
        elif chance.happens("stitch_killed"):
            self.world.later(wait, f"{text} is killed without a word", self._ends(stitch, Gone()))
        elif chance.happens("stitch_fails"):
            bad = chance.choice(plan.clips).segment_index if chance.happens("stitch_blames_a_clip") else None
            stopped = Stopped("execution_failed", "it failed", retryable=True, bad_segment_index=bad)
            self.world.later(wait, f"{text} fails", self._ends(stitch, stopped))
            if chance.happens("stitch_is_ready_after_all"):
                self.world.later(wait + chance.wait(0, 600), f"{text} is ready after all", self._ready(stitch))
        else:
            self.world.later(wait, f"{text} is ready", self._ready(stitch))
            if chance.happens("stitch_answers_twice"):
                self.world.later(wait + chance.wait(0, 60), f"{text} is ready again", self._ready(stitch))

    def _ends(self, stitch: Stitch, answer: Stopped | Gone) -> Callable[[], None]:
        def end() -> None:
            stitch.answer = answer

        return end

    def _ready(self, stitch: Stitch) -> Callable[[], None]:
        def ready() -> None:
            self.make(stitch.plan)
            stitch.answer = Gone()

        return ready
