"""What Cloud Run's jobs offer: prices and times by the model, and what they refuse. No server is asked."""

from __future__ import annotations

import re
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
from events.plan import Compression, Engine, Loudness, PlannedClip, StitchPlan, Transition
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


def test_a_long_film_is_made_in_as_many_tasks_as_have_ten_minutes_of_work_each(cpu: CloudRunEngine) -> None:
    """An hour of full HD: 26 frames a second on 8 processors, so that it takes 55 minutes to encode."""
    film = plan(*[clip(60) for _ in range(60)])

    offer = offered(cpu, film)

    assert offer.reason.startswith("8 processors encode 60 of 60 clips in 6 tasks in about ")
    one, six = estimate(film, CPU_MACHINE), estimate(film, CPU_MACHINE, 50)
    assert (one.task_count, six.task_count) == (1, 6)
    assert offer.duration_ms == int(1000 * six.seconds)
    assert six.join_seconds == one.join_seconds
    assert 500 < six.share_seconds < 680
    assert six.seconds < one.seconds / 3
    # Every task pays its own start, and fetches the clips.
    assert one.price_micro_usd(CPU_MACHINE) < offer.price_micro_usd < 1.1 * one.price_micro_usd(CPU_MACHINE)


def test_what_is_too_long_for_one_task_can_be_made_by_many(
    cpu: CloudRunEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model, "CPU_MACHINE", Machine(8, 16, gpu=False, task_seconds_max=3600))
    film = plan(*[clip(60) for _ in range(60)])

    alone = CloudRunEngine(Engine.CPU, "demo-p", "us-east4", "cpu", DiskObjectStore(tmp_path), tasks_max=1)

    assert " in 6 tasks in about " in offered(cpu, film).reason
    assert re.match(r"it should take 6\d minutes, too close to the 60 after which", refused(alone, film))


def test_what_is_too_long_for_all_tasks_is_refused_with_the_minutes(
    cpu: CloudRunEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model, "CPU_MACHINE", Machine(8, 512, gpu=False, task_seconds_max=3600))

    reason = refused(cpu, plan(*[clip(600) for _ in range(160)]))

    assert re.match(r"even in 50 tasks it should take \d+ minutes, too close to the 60 after which", reason), reason


def test_a_card_has_one_task_unless_more_are_allowed(gpu: CloudRunEngine, tmp_path: Path) -> None:
    film = plan(*[clip(60) for _ in range(80)])
    four = CloudRunEngine(Engine.GPU, "demo-p", "us-east4", "gpu", DiskObjectStore(tmp_path), tasks_max=4)

    assert offered(gpu, film).reason.startswith("an L4 encodes 80 of 80 clips in about ")
    assert offered(four, film).reason.startswith("an L4 encodes 80 of 80 clips in 2 tasks in about ")


@given(
    seconds=st.integers(1, 600),
    count=st.integers(1, 40),
    tasks_max=st.integers(1, 50),
    compression=st.sampled_from(Compression),
)
def test_more_tasks_never_take_longer_and_no_task_is_without_work(
    seconds: int, count: int, tasks_max: int, compression: Compression
) -> None:
    film = plan(*[clip(seconds) for _ in range(count)], compression=compression)

    one, many = estimate(film, CPU_MACHINE), estimate(film, CPU_MACHINE, tasks_max)

    assert 1 <= many.task_count <= tasks_max
    assert many.task_count <= count * max(1, -(-seconds * 24 // 300))
    assert many.share_seconds <= one.share_seconds
    assert many.price_micro_usd(CPU_MACHINE) >= one.price_micro_usd(CPU_MACHINE)
    if many.task_count > 1:
        assert many.share_seconds > model.SHARE_SECONDS / 2 or many.task_count == tasks_max


def test_fades_cost_the_rest_of_the_groups_that_they_touch(cpu: CloudRunEngine) -> None:
    clips = [conforming() for _ in range(15)]

    cut, faded = offered(cpu, plan(*clips)), offered(cpu, plan(*clips, transition=Transition.CROSSFADE))
    again = offered(cpu, plan(*clips, transition=Transition.CROSSFADE, compression=Compression.SMALL))
    small = offered(cpu, plan(*clips, compression=Compression.SMALL))

    assert faded.reason.startswith("8 processors encode 14 fades in about ")
    assert again.reason.startswith("8 processors encode 15 of 15 clips and 14 fades in about ")
    assert cut.duration_ms < faded.duration_ms
    assert small.duration_ms < again.duration_ms


def test_the_sound_of_the_whole_film_costs_its_passes_and_another_splice(cpu: CloudRunEngine) -> None:
    clips = [clip(60) for _ in range(10)]
    wishes: list[dict[str, object]] = [
        {},
        {"music": "gs://films-a/users/u/music.mp3"},
        {"loudness": Loudness.R128},
        {"loudness": Loudness.R128, "music": "gs://films-a/users/u/music.mp3"},
    ]

    offers = [offered(cpu, plan(*clips, **wish)) for wish in wishes]

    times = [offer.duration_ms for offer in offers]
    assert times == sorted(set(times))
    assert times[-1] - times[0] > 1000 * 600 / model.SOUND_SPEED * 5


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
    assert one.price_micro_usd(machine) <= more.price_micro_usd(machine)


@given(seconds=st.floats(0, 10_000))
def test_a_begun_second_is_paid(seconds: float) -> None:
    second = job_second_micro_usd(CPU_MACHINE.vcpus, CPU_MACHINE.memory_gib, gpu=False)

    price = CPU_MACHINE.price_micro_usd(seconds)

    assert price % second == 0
    assert 0 <= price - seconds * second <= second + 1e-6
