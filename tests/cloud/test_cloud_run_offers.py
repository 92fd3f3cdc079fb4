"""What Cloud Run's jobs offer: prices and times by the model, and what they refuse. No server is asked."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters import cloud_run_estimate as model
from adapters.cloud_run import CloudRunEngine
from adapters.cloud_run_estimate import CPU_MACHINE, GPU_MACHINE, Machine, estimate
from adapters.disk import DiskObjectStore
from events.clip import ClipFacts
from events.plan import Compression, Engine, PlannedClip, StitchPlan
from pipeline.prices import job_second_micro_usd
from pipeline.routing import Offer, Refusal
from tests.media.test_target import facts as conforming

MEBIBYTE = 1024**2


def clip(seconds: int = 8, width: int = 1920, height: int = 1080, rate: str = "24", **changes: object) -> ClipFacts:
    """Give a clip that nothing is known of but its picture, so that it is encoded."""
    facts = {
        "container": "matroska",
        "size_bytes": seconds * MEBIBYTE,
        "duration_ms": seconds * 1000,
        "frame_count": int(seconds * Fraction(rate)),
        "width_px": width,
        "height_px": height,
        "frame_rate": rate,
        "video_codec": "vp9",
        "obstacles": ["picture coded as vp9"],
    }
    return ClipFacts.model_validate({**facts, **changes}, by_name=True)


def plan(*clips: ClipFacts, **wishes: object) -> StitchPlan:
    home = "gs://films-a/jobs/job_abc123"
    planned = [
        PlannedClip(uri=f"{home}/segments/{index}/1/clip", generation=1, facts=facts, segment_index=index)
        for index, facts in enumerate(clips)
    ]
    return StitchPlan(
        job_id="job_abc123",
        attempt=1,
        clips=planned,
        output_uri=f"{home}/output/1/film.mp4",
        report_uri=f"{home}/stitch/1/report.json",
        **wishes,  # type: ignore[arg-type]
    )


@pytest.fixture
def gpu(tmp_path: Path) -> CloudRunEngine:
    return CloudRunEngine(Engine.GPU, "demo-p", "us-east4", "gpu", DiskObjectStore(tmp_path))


@pytest.fixture
def cpu(tmp_path: Path) -> CloudRunEngine:
    return CloudRunEngine(Engine.CPU, "demo-p", "us-east4", "cpu", DiskObjectStore(tmp_path))


def offered(engine: CloudRunEngine, stitch_plan: StitchPlan) -> Offer:
    answer = engine.offer(stitch_plan)
    assert isinstance(answer, Offer), answer
    return answer


def refused(engine: CloudRunEngine, stitch_plan: StitchPlan) -> str:
    answer = engine.offer(stitch_plan)
    assert isinstance(answer, Refusal), answer
    return answer.reason


def test_two_minutes_of_full_hd_by_card_and_by_processors(gpu: CloudRunEngine, cpu: CloudRunEngine) -> None:
    film = plan(*[clip() for _ in range(15)])

    by_card, by_processors = offered(gpu, film), offered(cpu, film)

    assert by_card.reason.startswith("an L4 encodes 15 of 15 clips in about ")
    assert by_processors.reason.startswith("8 processors encode 15 of 15 clips in about ")
    assert 40_000 < by_card.duration_ms < 120_000
    assert 100_000 < by_processors.duration_ms < 240_000
    assert by_card.price_micro_usd == GPU_MACHINE.price_micro_usd(by_card.duration_ms / 1000)
    # A film of two minutes costs cents either way; the Transcoder API takes 60,000.
    assert all(10_000 < offer.price_micro_usd < 40_000 for offer in (by_card, by_processors))


def test_a_long_film_is_cheaper_by_card(gpu: CloudRunEngine, cpu: CloudRunEngine) -> None:
    film = plan(*[clip() for _ in range(60)])

    assert offered(gpu, film).price_micro_usd < offered(cpu, film).price_micro_usd


def test_a_short_film_is_dearer_by_card_because_a_card_takes_long_to_come(
    gpu: CloudRunEngine, cpu: CloudRunEngine
) -> None:
    film = plan(clip(seconds=4), clip(seconds=4))

    assert offered(cpu, film).price_micro_usd < offered(gpu, film).price_micro_usd


def test_a_card_that_is_of_no_use_says_so(gpu: CloudRunEngine) -> None:
    """NVENC cannot number its parameter sets, so it cannot make a clip fit others that are kept."""
    reason = offered(gpu, plan(conforming(), conforming(), clip())).reason

    assert reason.startswith("8 processors encode 1 of 3 clips in about ")
    assert reason.endswith("because the card cannot fit clips to others that are kept")


def test_only_clips_that_are_encoded_cost_encoding(cpu: CloudRunEngine) -> None:
    kept = offered(cpu, plan(*[conforming() for _ in range(15)]))
    mixed = offered(cpu, plan(*[conforming() for _ in range(14)], clip()))
    whole = offered(cpu, plan(*[conforming() for _ in range(15)], compression=Compression.SMALL))

    assert kept.reason.startswith("no picture is encoded; ")
    assert kept.price_micro_usd < mixed.price_micro_usd < whole.price_micro_usd / 4


def test_what_does_not_fit_the_memory_is_refused_with_the_numbers(gpu: CloudRunEngine, cpu: CloudRunEngine) -> None:
    film = plan(*[clip(size_bytes=3 * 1024**3) for _ in range(5)])

    for engine in (gpu, cpu):
        assert "for files, and the machine's disk, which is its memory, has 15.0 GB" in refused(engine, film)


def test_a_film_too_long_for_a_task_is_refused_with_the_minutes(
    gpu: CloudRunEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model, "GPU_MACHINE", Machine(8, 16, gpu=True, task_seconds_max=60))

    reason = refused(gpu, plan(*[clip() for _ in range(15)]))

    assert reason.startswith("it should take 1 minutes, too close to the 1 after which Cloud Run stops a task")


@given(
    seconds=st.integers(1, 600),
    size=st.sampled_from([(640, 360), (1280, 720), (1920, 1080), (3840, 2160)]),
    count=st.integers(1, 20),
    compression=st.sampled_from(Compression),
    gpu=st.booleans(),
)
def test_more_work_never_takes_less_time(
    seconds: int, size: tuple[int, int], count: int, compression: Compression, gpu: bool
) -> None:
    machine = GPU_MACHINE if gpu else CPU_MACHINE
    clips = [clip(seconds, *size) for _ in range(count)]

    one = estimate(plan(*clips, compression=compression), machine)
    more = estimate(plan(*clips, clip(seconds, *size), compression=compression), machine)
    longer = estimate(plan(*clips[1:], clip(2 * seconds, *size), compression=compression), machine)

    assert 0 < one.seconds < more.seconds
    assert one.seconds < longer.seconds
    assert 0 < one.disk_bytes < more.disk_bytes
    assert machine.price_micro_usd(one.seconds) <= machine.price_micro_usd(more.seconds)


@given(seconds=st.floats(0, 10_000))
def test_a_begun_second_is_paid(seconds: float) -> None:
    second = job_second_micro_usd(CPU_MACHINE.vcpus, CPU_MACHINE.memory_gib, gpu=False)

    price = CPU_MACHINE.price_micro_usd(seconds)

    assert price % second == 0
    assert 0 <= price - seconds * second <= second + 1e-6
