"""Memory: a film that this machine cannot encode is refused before anything is done, and no other one is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import gpu_job.memory
from events.errors import LimitExceeded, OutOfMemory
from events.plan import StitchPlan, Transition
from gpu_job.exits import NO_ROOM, exit_code_of
from gpu_job.memory import machine_bytes, memory_bytes, require_memory
from media.target import choose_target
from pipeline.retry import TOO_SMALL
from tests.gpu_job.bench import Bench
from tests.media.test_target import a_plan, facts

MakeClip = Callable[..., Path]

GIB = 1024**3
UHD, UHD8 = {"width_px": 3840, "height_px": 2160}, {"width_px": 7680, "height_px": 4320}
FADES: dict[str, Any] = {"transition": Transition.CROSSFADE, "transition_ms": 500}


def needed(plan: StitchPlan) -> int:
    return memory_bytes(plan, choose_target(plan))


def test_what_is_said_is_what_was_measured() -> None:
    assert 0.77 * GIB < needed(a_plan(facts(**UHD), facts(**UHD, frame_rate="25/1"))) < 1.0 * GIB
    assert 0.91 * GIB < needed(a_plan(facts(**UHD), facts(**UHD), **FADES)) < 1.1 * GIB
    assert 3.3 * GIB < needed(a_plan(facts(**UHD8), facts(**UHD8), **FADES)) < 3.7 * GIB


def test_fades_of_8k_are_refused_where_they_do_not_fit_and_the_text_says_why() -> None:
    plan = a_plan(facts(**UHD8), facts(**UHD8), **FADES)

    with pytest.raises(
        LimitExceeded, match=r"needs about 3\.4 GiB of memory, this machine has 2\.0 GiB; .*fades"
    ) as caught:
        require_memory(plan, choose_target(plan), 2 * GIB)

    assert exit_code_of(caught.value) == NO_ROOM
    require_memory(plan, choose_target(plan), 4 * GIB)


def test_a_film_that_does_not_fit_asks_for_the_larger_machine_once() -> None:
    plan = a_plan(facts(**UHD8), facts(**UHD8), **FADES)

    with pytest.raises(OutOfMemory, match=r"this machine has 2\.0 GiB; it is tried again on a larger one") as caught:
        require_memory(plan, choose_target(plan), 2 * GIB, may_grow=True)

    assert (caught.value.retryable, caught.value.code in TOO_SMALL) == (True, True)
    with pytest.raises(LimitExceeded):
        require_memory(plan.model_copy(update={"larger": True}), choose_target(plan), 2 * GIB, may_grow=True)


def test_clips_that_are_copied_take_no_memory_however_large_they_are() -> None:
    plan = a_plan(facts(**UHD8), facts(**UHD8, sample_rate_hz=44100))

    require_memory(plan, choose_target(plan), 1)


def test_a_large_clip_that_is_made_small_counts_as_it_is_decoded() -> None:
    small = [facts() for _ in range(3)]

    assert needed(a_plan(*small, facts(**UHD8))) > 5 * needed(a_plan(*small, facts(frame_rate="25/1")))


def test_nothing_is_encoded_of_a_film_that_does_not_fit(
    bench: Bench, make_clip: MakeClip, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = bench.plan(make_clip(0), make_clip(1, rate="30"))
    monkeypatch.setattr(gpu_job.memory, "machine_bytes", lambda: 1024)

    with pytest.raises(LimitExceeded, match="memory"):
        bench.stitch(plan)

    assert not bench.store.path(plan.output_uri).exists()


def machine(root: Path, groups: str, **limits: str) -> int:
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(groups)
    for path, limit in limits.items():
        file = root / "sys/fs/cgroup" / path.replace("__", "/").replace("_max", ".max").replace("_in", ".limit_in")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(limit)
    return machine_bytes(root)


def test_the_smallest_limit_of_all_groups_that_we_are_in_counts(tmp_path: Path) -> None:
    whole = machine_bytes(tmp_path / "none")

    inner = machine(tmp_path / "a", "0::/jobs/one\n", jobs__one__memory_max="max\n", jobs__memory_max="4096\n")
    older = machine(tmp_path / "b", "5:cpu:/x\n4:memory:/y\n", memory__memory_in_bytes="8192\n")
    without = machine(tmp_path / "c", "0::/\n", memory_max="max\n")

    assert (inner, older, without) == (4096, 8192, whole)
    assert whole > 0


@given(groups=st.text(st.characters(codec="utf-8"), max_size=60))
def test_whatever_the_groups_are_called_there_is_some_memory(
    groups: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert machine(tmp_path_factory.mktemp("root"), groups) > 0
