"""Which engine makes a film: the cheapest that can do it well and in time, unless the request forces one.

Pure. Each engine looks at the plan and makes an offer or says why not; the choice, its price and its reason, and why
the others lost, go on the job.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from events.errors import StitchFailed
from events.plan import Engine as EngineName
from events.plan import StitchPlan
from pipeline.records import Route
from pipeline.work_ports import FilmReady, Gone, Running, Started, Stopped


@dataclass(frozen=True, slots=True)
class Offer:
    """An engine can make the film."""

    price_micro_usd: int
    #: How long it should take, from the start to the finished object.
    duration_ms: int
    #: What it would do, in words.
    reason: str
    #: What would be worse than it could be, as a sentence without a full stop; None for a film as it should be.
    drawback: str | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """An engine cannot make the film."""

    #: Why not, in words.
    reason: str


def chain_drawback(plan: StitchPlan) -> str | None:
    """Give what is wrong with a film by an engine that does not look for the frames that a chain repeats."""
    return "the first frame of each chained clip may be shown twice" if plan.continued_clips else None


class Engine(Protocol):
    """One way to make a film; the router chooses among them."""

    @property
    def name(self) -> EngineName:
        """Tell which one it is."""
        ...

    def offer(self, plan: StitchPlan) -> Offer | Refusal:
        """Tell what the film would cost, or why it cannot be made; asks nobody outside."""
        ...

    def start(self, plan: StitchPlan) -> Started | FilmReady:
        """Start making the film; safe to repeat for the same attempt.

        Raises:
            StitchFailed: it cannot be made.
            LimitExceeded: there is no quota for it now; nothing was started, another engine may take it.
            Unavailable: it may or may not have been started.
        """
        ...

    def poll(self, operation: str) -> Running | Stopped | Gone:
        """Ask about work; only for what is overdue."""
        ...

    def cancel(self, operation: str) -> None:
        """Tell that nobody waits any more; best effort."""
        ...


def choose(
    plan: StitchPlan, answers: Mapping[EngineName, Offer | Refusal], now: datetime
) -> list[tuple[EngineName, Route]]:
    """Rank the engines that can make the film, the best first: whatever they cost, those without a drawback.

    Args:
        plan: its `engine` forces one; its `deadline_at` rules out what would take longer.
        answers: what each engine that is there said.
        now: aware, UTC.

    Raises:
        StitchFailed: none can; or the forced one cannot, or is not here. The text gives every reason.
    """
    able: dict[EngineName, Offer] = {}
    why_not: dict[EngineName, str] = {}
    for name, answer in answers.items():
        if isinstance(answer, Refusal):
            why_not[name] = answer.reason
        elif plan.engine is not None and name is not plan.engine:
            why_not[name] = f"the request asks for {plan.engine}"
        elif (late := _late(plan, answer, now)) is not None:
            why_not[name] = late
        else:
            able[name] = answer
    if plan.engine is not None and plan.engine not in able:
        reason = why_not.get(plan.engine, "it is not here")
        raise StitchFailed(f"make the film by {plan.engine}, as the request asks: {reason}", code="engine_refused")
    if not able:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in why_not.items())
        raise StitchFailed(f"make the film of {plan.job_id}: no engine can ({reasons})", code="no_engine")
    ranked = sorted(able, key=lambda name: (*_rank(able[name]), name))
    return [(name, _route(name, able, why_not, forced=plan.engine is not None)) for name in ranked]


def _rank(offer: Offer) -> tuple[bool, int, int]:
    return offer.drawback is not None, offer.price_micro_usd, offer.duration_ms


def _late(plan: StitchPlan, offer: Offer, now: datetime) -> str | None:
    if plan.deadline_at is None:
        return None
    left_ms = (plan.deadline_at - now) // timedelta(milliseconds=1)
    if offer.duration_ms <= left_ms:
        return None
    return f"it would take {offer.duration_ms // 1000} s, but the job has {max(0, left_ms) // 1000} s left"


def _route(
    name: EngineName, able: Mapping[EngineName, Offer], why_not: Mapping[EngineName, str], *, forced: bool
) -> Route:
    chosen = able[name]
    worse = {other: _why_worse(offer, chosen) for other, offer in able.items() if other is not name}
    losers = tuple(f"{other}: {reason}" for other, reason in sorted({**why_not, **worse}.items()))
    reason = f"{chosen.reason}; the request asks for it" if forced else chosen.reason
    warnings = (f"The film is made by {name}: {chosen.drawback}.",) if chosen.drawback else ()
    return Route(str(name), reason, chosen.price_micro_usd, losers, warnings)


def _why_worse(offer: Offer, chosen: Offer) -> str:
    if offer.drawback and not chosen.drawback:
        return offer.drawback
    return f"{dollars(offer.price_micro_usd)} instead of {dollars(chosen.price_micro_usd)}"


def dollars(micro_usd: int) -> str:
    """Give an amount for people, with as many digits as it needs.

    >>> dollars(17_400), dollars(33), dollars(0)
    ('$0.0174', '$0.000033', '$0')
    """
    text = f"{micro_usd // 1_000_000}.{micro_usd % 1_000_000:06d}".rstrip("0").rstrip(".")
    return f"${text}"
