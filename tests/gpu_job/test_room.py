"""Room on the disk: what is said before the start is enough and not absurd, and too little of it is refused at once."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from adapters.gcs import CloudObjectStore
from adapters.gcs_client import storage_client
from events.errors import LimitExceeded
from events.plan import Loudness, StitchPlan, Transition
from gpu_job.cloud_objects import CloudObjects
from gpu_job.objects import DiskObjects
from gpu_job.room import chunk_bytes, disk_bytes
from gpu_job.workspace import RESERVE_BYTES
from media.target import choose_target
from tests.cloud.servers.storage import StorageServer
from tests.gpu_job.bench import Bench

MakeClip = Callable[..., Path]
MakePlan = Callable[[str], StitchPlan]

KINDS = ("conforming", "one odd", "all different", "other sound", "crossfades", "one group", "loudness", "music")
PROCESSES = 2
PROJECT, BUCKET = "demo-p", "films-a"
#: Index, report, manifests: what is not counted.
PAPERS_BYTES = 200_000


@pytest.fixture
def make_plan(bench: Bench, make_clip: MakeClip) -> MakePlan:
    """Give a function that plans a film of a kind, with clips that are hard to encode."""
    noisy = "-vf noise=alls=14:allf=t"

    def make(kind: str) -> StitchPlan:
        clip = partial(make_clip, size="320x192", frames=48, after=noisy)
        grouped = partial(clip, video="-g 48")
        wide, other, quick = clip(0), clip(1), clip(2, rate="30", sound="44100 1")
        if kind == "one odd":
            return bench.plan(wide, quick, other)
        if kind == "all different":
            return bench.plan(wide, quick, clip(3, size="256x256", sound=None))
        if kind == "other sound":
            return bench.plan(wide, other, clip(3, sound="44100 1"))
        if kind == "crossfades":
            return bench.plan(wide, other, clip(3), transition=Transition.CROSSFADE, transition_ms=200)
        if kind == "one group":
            clips = (grouped(number) for number in (0, 1, 3))
            return bench.plan(*clips, transition=Transition.FADE_BLACK, transition_ms=200)
        if kind == "loudness":
            return bench.plan(wide, other, loudness=Loudness.R128)
        if kind == "music":
            bench.store.write("gs://films-a/music.mp4", wide.read_bytes())
            return bench.plan(wide, other, music="gs://films-a/music.mp4")
        return bench.plan(wide, other, clip(3))

    return make


@contextmanager
def watched(*folders: Path) -> Iterator[list[int]]:
    """Look at how many bytes lie in folders, again and again; the list holds the most that were seen."""
    peak, is_over = [0], threading.Event()

    def look() -> None:
        while not is_over.wait(0.002):
            peak[0] = max(peak[0], sum(map(bytes_below, folders)))

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield peak
    finally:
        is_over.set()
        watcher.join()


def bytes_below(folder: Path) -> int:
    found: dict[int, int] = {}
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                seen = (Path(place) / name).stat()
            except FileNotFoundError:  # moved or deleted since
                continue
            found[seen.st_ino] = min(seen.st_size, 512 * seen.st_blocks)
    return sum(found.values())


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_said_before_is_enough_and_not_absurd(bench: Bench, make_plan: MakePlan, kind: str) -> None:
    plan = make_plan(kind)
    told = disk_bytes(plan, choose_target(plan), DiskObjects(bench.store.root), PROCESSES)
    before = bytes_below(bench.store.root)

    with watched(bench.store.root, bench.work) as peak:
        report = bench.stitch(plan, processes=PROCESSES)

    used = peak[0] - before
    assert report.size_bytes <= used <= told + PAPERS_BYTES
    # Fades may need all frames of all clips: how many is known only when the clips are read.
    assert told <= (6 if plan.has_fades else 3) * used + PAPERS_BYTES


class OnCloud(NamedTuple):
    objects: CloudObjects
    plan: StitchPlan


@pytest.fixture
def on_cloud(
    bench: Bench, make_plan: MakePlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str], OnCloud]]:
    """Give a function that plans a film of clips in Cloud Storage."""
    with StorageServer(tmp_path / "storage", [BUCKET]) as server:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.url)

        def make(kind: str) -> OnCloud:
            plan = make_plan(kind)
            clips = []
            for clip in plan.clips:
                uri = clip.uri.replace("clips-a", BUCKET)
                generation = server.put(uri, bench.store.read(clip.uri)).generation
                clips.append(clip.model_copy(update={"uri": uri, "generation": generation}))
            if plan.music:
                server.put(plan.music, bench.store.read(plan.music))
            store = CloudObjectStore(partial(storage_client, PROJECT), deadline_seconds=5)
            return OnCloud(CloudObjects(store), plan.model_copy(update={"clips": clips}))

        yield make


@pytest.mark.parametrize("kind", ["conforming", "all different", "crossfades", "music"])
def test_in_the_cloud_the_disk_holds_the_clips_the_film_and_what_is_under_way(
    bench: Bench, on_cloud: Callable[[str], OnCloud], kind: str
) -> None:
    objects, plan = on_cloud(kind)
    target = choose_target(plan)
    told = disk_bytes(plan, target, objects, PROCESSES)

    with watched(bench.work) as peak:
        report = bench.stitch(plan, objects=objects, processes=PROCESSES)

    assert peak[0] <= told + PAPERS_BYTES
    if not plan.music:
        clips = sum(clip.facts.size_bytes for clip in plan.clips)
        windows = 4 * PROCESSES * max(clip.facts.size_bytes for clip in plan.clips) if plan.has_fades else 0
        under_way = (PROCESSES + 1) * chunk_bytes(plan, target) + windows
        assert peak[0] <= clips + report.size_bytes + under_way + PAPERS_BYTES


@pytest.mark.parametrize("kind", ["conforming", "one odd", "crossfades", "loudness"])
def test_a_disk_that_is_too_small_is_refused_before_anything_is_encoded(
    bench: Bench, make_plan: MakePlan, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    plan = make_plan(kind)
    told = disk_bytes(plan, choose_target(plan), DiskObjects(bench.store.root), PROCESSES)
    real = shutil.disk_usage

    def nearly(path: Any) -> Any:
        return real(path)._replace(free=told + RESERVE_BYTES - 1_500_000)

    monkeypatch.setattr(shutil, "disk_usage", nearly)
    with pytest.raises(LimitExceeded) as refused:
        bench.stitch(plan, processes=PROCESSES)

    assert str(bench.work) in refused.value.message
    assert "2 MB are missing" in refused.value.message
    assert bench.program_calls == 0
    assert not bench.film.exists()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Give a function that makes a file system of so many bytes."""
    place = tmp_path / "small"
    place.mkdir()

    def mount(size_bytes: int) -> Path:
        command = ["mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "tmpfs", str(place)]
        if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode != 0:
            pytest.skip("a small file system cannot be mounted here; run this as a root user who may mount")
        return place

    yield mount
    if place.is_mount():
        subprocess.run(["umount", str(place)], check=True)


@pytest.mark.parametrize("kind", ["all different", "crossfades", "music"])
def test_what_is_said_before_suffices_on_a_disk_that_has_no_more(
    bench: Bench, make_plan: MakePlan, small_disk: Callable[[int], Path], kind: str
) -> None:
    plan = make_plan(kind)
    told = disk_bytes(plan, choose_target(plan), DiskObjects(bench.store.root), PROCESSES)
    # The program itself keeps a reserve free; what is more than what was said must not be needed.
    disk = small_disk(bytes_below(bench.store.root) + told + RESERVE_BYTES + PAPERS_BYTES)
    small = Bench(disk, bench.ffmpeg)
    shutil.copytree(bench.store.root, small.store.root, dirs_exist_ok=True)

    with watched(disk) as peak:
        assert small.stitch(plan, processes=PROCESSES).frame_count

    assert peak[0] <= shutil.disk_usage(disk).total - RESERVE_BYTES
    shutil.rmtree(disk / "objects")
    shutil.rmtree(disk / "work")
