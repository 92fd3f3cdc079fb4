"""The choice of an engine: the cheapest that can do it in time, the one that was asked for, or every reason why not."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.errors import StitchFailed
from events.plan import Engine, PlannedClip, StitchPlan, Transition
from pipeline.routing import Offer, Refusal, chain_drawback, choose, dollars
from tests.unit.documents import NOW, clip_of

Answers = dict[Engine, Offer | Refusal]

OFFERS = st.builds(
    Offer,
    price_micro_usd=st.integers(0, 5) | st.integers(0, 10**9),
    duration_ms=st.integers(0, 5) | st.integers(0, 10**8),
    reason=st.sampled_from(["it encodes", "it copies"]),
    drawback=st.none() | st.just("a frame is shown twice"),
)
REFUSALS = st.builds(Refusal, st.sampled_from(["clip 2 is too short", "no room for files"]))
ANSWERS = st.dictionaries(st.sampled_from(Engine), OFFERS | REFUSALS, min_size=1)
#: Milliseconds that the job has left; None where nothing says.
LEFT_MS = st.none() | st.integers(-1000, 5) | st.integers(0, 10**8)


def plan_of(engine: Engine | None = None, left_ms: int | None = None) -> StitchPlan:
    return StitchPlan(
        job_id="job_abc123",
        attempt=1,
        clips=[PlannedClip(segment_index=0, **dict(clip_of(0, 1)))],
        engine=engine,
        deadline_at=None if left_ms is None else NOW + timedelta(milliseconds=left_ms),
        output_uri="gs://bucket/jobs/job_abc123/output/1/film.mp4",
        report_uri="gs://bucket/jobs/job_abc123/stitch/1/report.json",
    )


def able(answers: Answers, left_ms: int | None) -> dict[Engine, Offer]:
    """Give the offers that are made in time."""
    return {
        name: answer
        for name, answer in answers.items()
        if isinstance(answer, Offer) and (left_ms is None or answer.duration_ms <= left_ms)
    }


@given(ANSWERS, LEFT_MS)
def test_the_cheapest_that_can_do_it_well_and_in_time_is_chosen_and_of_equal_ones_the_faster(
    answers: Answers, left_ms: int | None
) -> None:
    possible = able(answers, left_ms)
    if not possible:
        with pytest.raises(StitchFailed, match="no engine can") as refused:
            choose(plan_of(left_ms=left_ms), answers, NOW)
        assert (refused.value.code, refused.value.retryable) == ("no_engine", False)
        assert all(f"{name}: " in refused.value.message for name in answers)
        return

    ranked = choose(plan_of(left_ms=left_ms), answers, NOW)

    assert {name for name, _ in ranked} == set(possible)
    offers = [possible[name] for name, _ in ranked]
    costs = [(offer.drawback is not None, offer.price_micro_usd, offer.duration_ms) for offer in offers]
    assert costs == sorted(costs)
    for name, route in ranked:
        assert (route.stitcher, route.price_micro_usd) == (str(name), possible[name].price_micro_usd)
        assert route.reason == possible[name].reason
        drawback = possible[name].drawback
        assert route.warnings == ((f"The film is made by {name}: {drawback}.",) if drawback else ())


@given(ANSWERS, LEFT_MS, st.none() | st.sampled_from(Engine))
def test_every_engine_that_was_asked_stands_on_the_route_once_with_its_reason(
    answers: Answers, left_ms: int | None, forced: Engine | None
) -> None:
    possible = able(answers, left_ms)
    if not (forced in possible if forced else possible):
        return

    for name, route in choose(plan_of(forced, left_ms), answers, NOW):
        losers = dict(loser.split(": ", 1) for loser in route.losers)
        assert list(losers) == sorted(str(other) for other in answers if other is not name)
        for other, reason in losers.items():
            answer = answers[Engine(other)]
            if isinstance(answer, Refusal):
                assert reason == answer.reason
            elif forced:
                assert reason == f"the request asks for {forced}"
            elif Engine(other) not in possible:
                assert reason.startswith(f"it would take {answer.duration_ms // 1000} s, but the job has ")
            elif answer.drawback and not possible[name].drawback:
                assert reason == answer.drawback
            else:
                assert reason == f"{dollars(answer.price_micro_usd)} instead of {dollars(route.price_micro_usd)}"


@given(ANSWERS, LEFT_MS, st.sampled_from(Engine))
def test_an_engine_that_is_asked_for_makes_it_alone_or_nobody_does(
    answers: Answers, left_ms: int | None, forced: Engine
) -> None:
    plan = plan_of(forced, left_ms)
    if forced in able(answers, left_ms):
        ((name, route),) = choose(plan, answers, NOW)
        assert name is forced
        assert route.reason.endswith("; the request asks for it")
        return

    with pytest.raises(StitchFailed) as refused:
        choose(plan, answers, NOW)

    assert (refused.value.code, refused.value.retryable) == ("engine_refused", False)
    assert refused.value.message.startswith(f"make the film by {forced}, as the request asks: ")
    answer = answers.get(forced)
    reason = "it is not here" if answer is None else "it would take" if isinstance(answer, Offer) else answer.reason
    assert reason in refused.value.message


@given(st.permutations(list(Engine)), st.lists(OFFERS, min_size=4, max_size=4))
def test_the_choice_does_not_depend_on_who_was_asked_first(names: list[Engine], offers: list[Offer]) -> None:
    answers: Answers = dict(zip(Engine, offers, strict=True))
    shuffled: Answers = {name: answers[name] for name in names}

    assert choose(plan_of(), shuffled, NOW) == choose(plan_of(), answers, NOW)


def test_a_drawback_is_worse_than_any_price_and_only_the_chosen_one_is_told_of() -> None:
    splice, cpu = Offer(1, 1000, "it copies", "a frame is shown twice"), Offer(50_000, 60_000, "it encodes")

    (_, better), (_, worse) = choose(plan_of(), {Engine.SPLICE: splice, Engine.CPU: cpu}, NOW)

    assert (better.stitcher, better.losers, better.warnings) == ("cpu", ("splice: a frame is shown twice",), ())
    assert (worse.stitcher, worse.warnings) == ("splice", ("The film is made by splice: a frame is shown twice.",))


@pytest.mark.parametrize(("continues", "fades"), [(False, False), (True, False), (True, True)])
def test_only_a_chain_without_fades_shows_frames_twice(continues: bool, fades: bool) -> None:
    plan = plan_of()
    first = plan.clips[0]
    both = [first, first.model_copy(update={"continues": continues})]
    transition = Transition.CROSSFADE if fades else Transition.CUT
    plan = plan.model_copy(update={"clips": both, "transition": transition})

    assert (chain_drawback(plan) is not None) == (continues and not fades)
    assert plan.continued_clips == ([1] if continues and not fades else [])


def test_an_offer_that_just_meets_the_deadline_is_in_time_and_a_millisecond_more_is_not() -> None:
    answers: Answers = {Engine.CPU: Offer(1, 60_000, "it encodes")}

    assert choose(plan_of(left_ms=60_000), answers, NOW)
    with pytest.raises(StitchFailed, match="cpu: it would take 60 s, but the job has 59 s left"):
        choose(plan_of(left_ms=59_999), answers, NOW)


def test_a_deadline_that_has_passed_leaves_no_time_and_not_less() -> None:
    with pytest.raises(StitchFailed, match="but the job has 0 s left"):
        choose(plan_of(left_ms=-5000), {Engine.CPU: Offer(1, 60_000, "it encodes")}, NOW)


@pytest.mark.parametrize(
    ("micro_usd", "text"),
    [(0, "$0"), (1, "$0.000001"), (33, "$0.000033"), (17_400, "$0.0174"), (1_000_000, "$1"), (12_500_000, "$12.5")],
)
def test_an_amount_has_as_many_digits_as_it_needs(micro_usd: int, text: str) -> None:
    assert dollars(micro_usd) == text


@given(st.integers(0, 10**15))
def test_an_amount_can_be_read_back_to_the_millionth(micro_usd: int) -> None:
    whole, _, fraction = dollars(micro_usd).removeprefix("$").partition(".")

    assert int(whole) * 1_000_000 + int(fraction.ljust(6, "0") or "0") == micro_usd
    assert not fraction.endswith("0")
