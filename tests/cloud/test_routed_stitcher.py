"""The cloud's stitcher over its real engines: what each kind of film goes to, and what happens without room."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from adapters.cloud_run import CloudRunEngine
from adapters.compose_splice import ComposeSplice
from adapters.routed_stitcher import RoutedStitcher
from adapters.transcoder import TranscoderEngine, make_client
from events.errors import StitchFailed
from events.names import parse_uri
from events.plan import Compression, Engine, StitchPlan
from pipeline.routing import Engine as RoutedEngine
from pipeline.routing import Offer
from pipeline.work_ports import FilmReady, Gone, Running, Started
from tests.cloud.run_bench import ALIKE, BUCKET, CPU_JOB, GPU_JOB, MIXED, PROJECT, REGION, RunBench, run_bench
from tests.cloud.servers.transcoder import Limits, TranscoderServer
from tests.cloud.transcoder_plans import clip_of, plan_of, plans
from tests.contract.rigs import VirtualClock

NO_CARDS = "Quota exceeded for total allowable count of GPUs per project per region."
NO_PROCESSORS = "Quota exceeded for total allowable CPU per project per region."


class Desk:
    """Every engine, behind servers that speak as Google does."""

    def __init__(self, bench: RunBench, transcoder: TranscoderServer, engine: TranscoderEngine) -> None:
        self.bench = bench
        self.transcoder = transcoder
        self.engines: list[RoutedEngine] = [
            ComposeSplice(bench.objects),
            engine,
            bench.engine(Engine.GPU),
            bench.engine(Engine.CPU),
        ]
        self.stitcher = RoutedStitcher(self.engines, bench.clock)

    def without(self, *names: Engine) -> RoutedStitcher:
        return RoutedStitcher([each for each in self.engines if each.name not in names], self.bench.clock)

    def started(self, plan: StitchPlan) -> Started | FilmReady:
        return self.stitcher.start(plan, self.stitcher.route(plan))


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.delenv("PUBSUB_EMULATOR_HOST", raising=False)
    with run_bench(tmp_path) as bench, TranscoderServer() as server, make_client(server.url) as client:
        engine = TranscoderEngine(PROJECT, REGION, "transcoder_reports", bench.objects, client=lambda: client)
        yield Desk(bench, server, engine)


@pytest.fixture(scope="module")
def pricing() -> RoutedStitcher:
    """Give a router whose engines only make offers: nobody is asked."""
    return RoutedStitcher(_silent_engines(), VirtualClock())


def _silent_engines() -> list[RoutedEngine]:
    nothing: Any = None
    return [
        ComposeSplice(nothing),
        TranscoderEngine(PROJECT, REGION, "transcoder_reports", nothing),
        CloudRunEngine(Engine.GPU, PROJECT, REGION, GPU_JOB, nothing),
        CloudRunEngine(Engine.CPU, PROJECT, REGION, CPU_JOB, nothing),
    ]


def film(count: int, seconds: int, size: tuple[int, int] = (1280, 720), **wishes: Any) -> StitchPlan:
    """Plan a film of clips of which only the headers are known; none conforms to another."""
    frames, (width, height) = 24 * seconds, size
    known = {"duration_ms": 1000 * seconds, "frame_count": frames, "width_px": width, "height_px": height}
    plain = {"rotation": "0", "pixelAspect": "1:1", "color": "1/1/1 tv"}
    clips = [clip_of(index, conform={**plain, "profile": str(index)}, **known) for index in range(count)]
    return plan_of(clips, **wishes)


@pytest.mark.parametrize(
    ("plan", "engine"),
    [
        pytest.param(film(2, 5, (640, 360)), "transcoder", id="10 s of small pictures cost a quarter of a cent there"),
        pytest.param(film(2, 4, (640, 360)), "cpu", id="clips that are too short for the Transcoder API"),
        pytest.param(film(4, 8, (640, 360)), "cpu", id="32 s of small pictures are encoded in seconds"),
        pytest.param(film(20, 8, (1920, 1080), compression=Compression.SMALL), "gpu", id="160 s of large pictures"),
        pytest.param(film(60, 60, (1920, 1080), compression=Compression.SMALL), "gpu", id="an hour"),
    ],
)
def test_which_engine_is_the_cheapest_depends_on_length_and_size(
    pricing: RoutedStitcher, plan: StitchPlan, engine: str
) -> None:
    route = pricing.route(plan)

    assert route.stitcher == engine, route


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(plans())
def test_the_price_on_the_route_is_the_least_of_all_offers_and_every_other_engine_has_a_reason(
    pricing: RoutedStitcher, plan: StitchPlan
) -> None:
    answers = {engine.name: engine.offer(plan) for engine in _silent_engines()}
    prices = {name: answer.price_micro_usd for name, answer in answers.items() if isinstance(answer, Offer)}

    route = pricing.route(plan)

    assert route.price_micro_usd == min(prices.values())
    assert prices[Engine(route.stitcher)] == route.price_micro_usd
    assert [each.partition(": ")[0] for each in route.losers] == sorted({*map(str, answers)} - {route.stitcher})
    assert all(each.partition(": ")[2] for each in route.losers)


def test_the_offers_of_a_film_with_one_odd_clip_are_those_of_its_engines(desk: Desk) -> None:
    plan = desk.bench.plan(MIXED)

    route = desk.stitcher.route(plan)

    assert route.stitcher == "cpu"
    assert [each.partition(": ")[0] for each in route.losers] == ["gpu", "splice", "transcoder"]
    assert "clip 2: " in route.losers[1]
    assert desk.transcoder.log.count() == desk.bench.run.log.count() == 0


def test_a_film_that_can_be_spliced_is_there_at_once_and_names_no_other_route(desk: Desk) -> None:
    plan = desk.bench.plan(ALIKE)

    answer = desk.started(plan)

    assert isinstance(answer, FilmReady)
    assert (answer.uri, answer.route) == (plan.output_uri, None)


def test_without_a_card_and_without_processors_the_last_engine_makes_it_and_both_are_told(desk: Desk) -> None:
    """Only by a card is a film of large pictures that is encoded whole cheapest; nothing is really encoded here."""
    desk.bench.run.hold()
    for said in (NO_CARDS, NO_PROCESSORS):
        desk.bench.run.refuse(400, said, "FAILED_PRECONDITION")
    desk.transcoder.hold()
    plan = _stored(desk, film(20, 8, (1920, 1080), compression=Compression.SMALL))
    chosen = desk.stitcher.route(plan)
    assert [chosen.stitcher, *(each.partition(":")[0] for each in chosen.losers)] == [
        "gpu",
        "cpu",
        "splice",
        "transcoder",
    ]

    answer = desk.stitcher.start(plan, chosen)

    assert isinstance(answer, Started)
    assert answer.operation.startswith("transcoder:projects/")
    assert answer.route is not None
    assert answer.route.stitcher == "transcoder"
    assert answer.route.price_micro_usd > chosen.price_micro_usd
    assert [each.partition(":")[0] for each in answer.route.losers] == ["cpu", "gpu", "splice"]
    cpu, gpu, _ = answer.route.losers
    assert NO_PROCESSORS in cpu
    assert NO_CARDS in gpu
    assert answer.route.warnings == (
        f"The film is made by transcoder instead: {gpu}",
        f"The film is made by transcoder instead: {cpu}",
    )
    assert not desk.bench.run.executions


def test_an_engine_that_is_not_deployed_is_passed_over_with_a_warning(desk: Desk) -> None:
    desk.bench.run.hold()
    stitcher = RoutedStitcher(
        [
            CloudRunEngine(Engine.CPU, PROJECT, REGION, "nowhere", desk.bench.objects, desk.bench.run.url),
            desk.bench.engine(Engine.GPU),
        ],
        desk.bench.clock,
    )
    plan = desk.bench.plan(MIXED)

    answer = stitcher.start(plan, stitcher.route(plan))

    assert isinstance(answer, Started)
    assert answer.route is not None
    assert answer.route.stitcher == "gpu"
    (warning,) = answer.route.warnings
    assert warning.startswith("The film is made by gpu instead: cpu: ")
    assert "not deployed" in warning


@pytest.mark.parametrize("forced", [None, Engine.CPU])
def test_without_any_room_it_may_be_tried_again_and_everybody_who_had_none_is_named(
    desk: Desk, forced: Engine | None
) -> None:
    refusals = [NO_PROCESSORS] if forced else [NO_PROCESSORS, NO_CARDS]
    for said in refusals:
        desk.bench.run.refuse(429, said, "RESOURCE_EXHAUSTED")
    plan = desk.bench.plan(MIXED, engine=forced)

    with pytest.raises(StitchFailed) as refused:
        desk.started(plan)

    assert (refused.value.code, refused.value.retryable) == ("no_room", True)
    assert all(said in refused.value.message for said in refusals)
    assert not desk.bench.run.executions
    # The very next try may do: no claim is left behind.
    desk.bench.run.hold()
    assert isinstance(desk.started(plan), Started)


def test_what_was_chosen_is_started_although_its_deadline_came_nearer_since(desk: Desk) -> None:
    desk.bench.run.hold()
    plan = desk.bench.plan(MIXED)
    offer = desk.bench.engine(Engine.CPU).offer(plan)
    assert isinstance(offer, Offer)
    deadline = desk.bench.clock.now() + timedelta(milliseconds=offer.duration_ms)
    plan = plan.model_copy(update={"deadline_at": deadline})
    route = desk.stitcher.route(plan)
    assert route.stitcher == "cpu"
    desk.bench.clock.advance(timedelta(seconds=1))

    answer = desk.stitcher.start(plan, route)

    assert isinstance(answer, Started)
    assert answer.operation.startswith("cpu:")
    assert answer.route is None


def test_the_engine_that_has_the_work_is_asked_and_called_off(desk: Desk) -> None:
    desk.bench.run.hold()
    plan = desk.bench.plan(MIXED)
    answer = desk.started(plan)
    assert isinstance(answer, Started)

    assert isinstance(desk.stitcher.poll(answer.operation), Running)
    desk.stitcher.cancel(answer.operation)

    (execution,) = desk.bench.run.executions
    assert execution.over.wait(30)
    # Taken out of the configuration since, it knows of nothing; neither does a stitcher of another column.
    for stitcher, operation in ((desk.without(Engine.CPU), answer.operation), (desk.stitcher, "local_stitch:1")):
        assert stitcher.poll(operation) == Gone()
        stitcher.cancel(operation)


def test_whose_a_transcoder_job_is_can_be_told_while_it_is_there_and_configured(desk: Desk) -> None:
    desk.transcoder.hold()
    plan = _stored(desk, film(2, 5, (640, 360)))
    answer = desk.started(plan)
    assert isinstance(answer, Started)
    name = answer.operation.removeprefix("transcoder:")

    assert desk.stitcher.owner_of(name) == (plan.job_id, 1)
    assert desk.without(Engine.TRANSCODER).owner_of(name) is None
    desk.stitcher.cancel(answer.operation)
    assert desk.stitcher.owner_of(name) is None


def test_a_transcoder_queue_that_is_full_is_no_room(desk: Desk) -> None:
    desk.transcoder.hold()
    desk.transcoder.limits = Limits(interactive=0, batch_pending=0)
    desk.bench.run.hold()
    plan = _stored(desk, film(2, 5, (640, 360)))

    answer = desk.started(plan)

    assert isinstance(answer, Started)
    assert answer.operation.startswith("cpu:")
    assert answer.route is not None
    (warning,) = answer.route.warnings
    assert warning.startswith("The film is made by cpu instead: transcoder: ")


def _stored(desk: Desk, plan: StitchPlan) -> StitchPlan:
    """Put something where each clip of a plan is said to lie: engines look at versions before they order."""

    def here(uri: str) -> str:
        return f"gs://{BUCKET}/{parse_uri(uri).name}"

    written = [desk.bench.objects.write(here(clip.uri), b"a clip") for clip in plan.clips]
    clips = [
        clip.model_copy(update={"uri": info.uri, "generation": info.generation})
        for clip, info in zip(plan.clips, written, strict=True)
    ]
    places = {"output_uri": here(plan.output_uri), "report_uri": here(plan.report_uri)}
    return plan.model_copy(update={"clips": clips, **places})
