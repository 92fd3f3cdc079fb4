"""Every piece of a film is made by exactly one task of Cloud Run, however many there are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from events.plan import StitchPlan
from gpu_job.chunks import Share
from gpu_job.clips import FilmTasks
from gpu_job.cloud_task import read_task
from gpu_job.inputs import Inputs
from gpu_job.objects import DiskObjects
from media.target import choose_target
from tests.gpu_job.bench import Bench

MakeClip = Callable[..., Path]


@pytest.fixture
def plan(bench: Bench, make_clip: MakeClip) -> StitchPlan:
    """Plan a film of two clips that are kept and three that are not; those are said to be five minutes long."""
    own, odd, slow = make_clip(0, frames=12), make_clip(1, rate="30", frames=12), make_clip(2, rate="25", frames=12)
    plan = bench.plan(own, odd, slow, own, odd)
    clips = [
        clip.model_copy(update={"facts": clip.facts.model_copy(update={"duration_ms": 300_000, "frame_count": None})})
        if clip.facts.frame_rate != "24/1"
        else clip.model_copy(update={"facts": clip.facts.model_copy(update={"duration_ms": 1_000_000})})
        for clip in plan.clips
    ]
    return plan.model_copy(update={"clips": clips})


def tasks_as_seen_by(plan: StitchPlan, bench: Bench, index: int, count: int) -> tuple[list[str], list[str]]:
    """Give the names of all pieces, and of those of a task that Cloud Run starts with these variables."""
    told = {"CLOUD_RUN_TASK_INDEX": str(index), "CLOUD_RUN_TASK_COUNT": str(count), "GOOGLE_CLOUD_PROJECT": "demo-p"}
    task = read_task(told)
    inputs = Inputs(plan, DiskObjects(bench.store.root), bench.work)
    tasks = FilmTasks(plan, choose_target(plan), inputs, lambda *_: pytest.fail("all lengths are known")).tasks
    return [each.name for each in tasks], [each.name for each in Share(task.index, task.count).of(tasks)]


def test_each_piece_of_a_film_is_made_by_one_task_for_all_counts_from_1_to_50(plan: StitchPlan, bench: Bench) -> None:
    whole, _ = tasks_as_seen_by(plan, bench, 0, 1)
    assert len(whole) == len(set(whole)) > 50
    for count in range(1, 51):
        seen = [tasks_as_seen_by(plan, bench, index, count) for index in {0, count // 2, count - 1}]
        assert all(each == whole for each, _ in seen), "every task cuts the film into the same pieces"
        shares = [Share(index, count).of(whole) for index in range(count)]
        assert sorted(piece for share in shares for piece in share) == sorted(whole)
        assert [mine for _, mine in seen] == [shares[index] for index in {0, count // 2, count - 1}]
