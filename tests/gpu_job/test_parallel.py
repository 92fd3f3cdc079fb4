"""Several workers on one film: everything once, the last one joins, and of two on the same work one goes home."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from functools import partial
from io import StringIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.disk import DiskObjectStore
from adapters.gcs import CloudObjectStore
from adapters.gcs_client import storage_client
from events.clip import StitchReport
from events.errors import PreconditionFailed, Unavailable
from events.plan import StitchPlan
from gpu_job.chunks import Share
from gpu_job.ffmpeg import FFmpeg
from gpu_job.leases import Holder, ObjectLease, take_lease
from gpu_job.manifest import checkpoint_folder
from gpu_job.objects import DiskObjects
from gpu_job.parallel import process_count
from gpu_job.reporter import HEARTBEAT_SECONDS, Reporter
from gpu_job.stitch import Tools, stitch
from pipeline.object_port import ObjectInfo
from tests.cloud.servers.storage import StorageServer
from tests.gpu_job.bench import REPOSITORY, Bench, clean_environment
from tests.gpu_job.film_reading import barcodes
from tests.gpu_job.test_chunks import target

MakeClip = Callable[..., Path]

PROJECT, BUCKET = "demo-p", "films-a"
PLAN = f"gs://{BUCKET}/jobs/job_abc123/stitch/1/plan.json"


def odd_plan(bench: Bench, make_clip: MakeClip) -> StitchPlan:
    return bench.plan(make_clip(0, frames=250), make_clip(1, rate="30", frames=180, sound="44100 2"))


class Worker:
    """One of several, with a disk of its own."""

    def __init__(self, bench: Bench, share: Share) -> None:
        self.said = StringIO()
        self._bench = bench
        self._share = share

    def run(self, plan: StitchPlan) -> StitchReport | None:
        tools = Tools(
            objects=DiskObjects(self._bench.store.root),
            reporter=Reporter(self.said),
            ffmpeg=lambda: FFmpeg(self._bench.ffmpeg.program),
            work=self._bench.work / f"{self._share.index}-of-{self._share.count}",
            stall_seconds=60,
            share=self._share,
            processes=1,
        )
        return stitch(plan, tools)

    @property
    def made(self) -> list[str]:
        lines = [json.loads(line) for line in self.said.getvalue().splitlines()]
        return [line["message"].split()[1] for line in lines if line.get("message", "").startswith("making ")]


def clear(bench: Bench, plan: StitchPlan) -> None:
    bench.store.delete(plan.output_uri)
    bench.store.delete(plan.report_uri)
    for path in bench.work.iterdir():
        for lock in path.iterdir():
            lock.unlink()
        path.rmdir()


def test_one_after_another_each_makes_its_share_and_the_last_one_joins(bench: Bench, make_clip: MakeClip) -> None:
    plan = odd_plan(bench, make_clip)
    alone = Worker(bench, Share())
    assert alone.run(plan)
    whole, film = Counter(alone.made), bench.film.read_bytes()
    assert len(whole) >= 4
    for count in (2, 3, 7):
        clear(bench, plan)
        workers = [Worker(bench, Share(index, count)) for index in range(count)]

        reports = [worker.run(plan) for worker in workers]

        # Shares that are empty belong to the end: the last one to have work joins, and those behind find the film.
        assert any(reports)
        assert sum((Counter(worker.made) for worker in workers), Counter()) == whole
        assert bench.film.read_bytes() == film
        assert bench.store.list(checkpoint_folder(plan)) == []
    clear(bench, plan)


def test_all_at_once_they_make_everything_once(bench: Bench, make_clip: MakeClip) -> None:
    plan = odd_plan(bench, make_clip)
    workers = [Worker(bench, Share(index, 3)) for index in range(3)]

    def run(worker: Worker) -> StitchReport | None:
        try:
            return worker.run(plan)
        except Unavailable:
            return None  # Two were the last at the same moment, and the other one joins.

    with ThreadPoolExecutor(3) as pool:
        reports = list(pool.map(run, workers))

    assert len([report for report in reports if report]) >= 1
    made = sum((Counter(worker.made) for worker in workers), Counter())
    assert set(made.values()) == {1}
    assert len(barcodes(bench.film)) == 250 + 144
    clear(bench, plan)


def test_the_longest_pieces_are_begun_first_so_that_no_processor_waits_for_the_last(
    bench: Bench, make_clip: MakeClip
) -> None:
    clips = make_clip(0, frames=12), make_clip(1, rate="30", frames=30), make_clip(2, rate="25", frames=60)
    plan, worker = bench.plan(*clips), Worker(bench, Share())

    worker.run(plan)

    clear(bench, plan)
    pictures = [name for name in worker.made if "chunk" in name]
    assert pictures == worker.made[:2] == ["clip-1-chunk-00000", "clip-0-chunk-00000"]


def test_a_film_without_anything_to_encode_is_made_by_the_first_worker_alone(bench: Bench, make_clip: MakeClip) -> None:
    plan = bench.plan(make_clip(0), make_clip(1))

    assert Worker(bench, Share(1, 2)).run(plan) is None
    assert not bench.film.exists()
    assert Worker(bench, Share(0, 2)).run(plan)
    clear(bench, plan)


class Cloud:
    """Cloud Storage with a plan and its clips, and the program as Cloud Run starts it."""

    def __init__(self, server: StorageServer, bench: Bench, plan: StitchPlan) -> None:
        self.server = server
        self.bench = bench
        self.store = CloudObjectStore(partial(storage_client, PROJECT), deadline_seconds=1)
        clips = [
            clip.model_copy(update={"uri": uri, "generation": server.put(uri, bench.store.read(clip.uri)).generation})
            for clip in plan.clips
            for uri in [clip.uri.replace("clips-a", BUCKET)]
        ]
        self.plan = plan.model_copy(update={"clips": clips})
        server.put(PLAN, self.plan.to_json().encode())

    def start(self, name: str, *more: str, **environment: str) -> subprocess.Popen[str]:
        told = {
            "STORAGE_EMULATOR_HOST": self.server.url,
            "LONGREEL_EMULATED": "on",
            "GOOGLE_CLOUD_PROJECT": PROJECT,
            "CLOUD_RUN_EXECUTION": "stitch-x1",
        }
        work = self.bench.folder / f"cloud-{name}"
        command = [sys.executable, "-m", "gpu_job", "--plan", PLAN, "--objects", "gs://", "--work", str(work)]
        return subprocess.Popen(
            [*command, "--lease-seconds", "4", *more],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=REPOSITORY,
            env=clean_environment() | told | environment,
        )

    def ended(self, worker: subprocess.Popen[str]) -> list[dict[str, object]]:
        out, complaints = worker.communicate(timeout=120)
        assert worker.returncode == 0, out + complaints
        return [json.loads(line) for line in out.splitlines()]


@pytest.fixture
def cloud(bench: Bench, make_clip: MakeClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    with StorageServer(tmp_path / "storage", [BUCKET]) as server:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.url)
        yield Cloud(server, bench, odd_plan(bench, make_clip))


def notes(lines: list[dict[str, object]], word: str) -> list[str]:
    return [str(line["message"]) for line in lines if line["type"] == "note" and word in str(line["message"])]


def test_tasks_of_cloud_run_share_the_work_and_one_joins(cloud: Cloud) -> None:
    workers = [cloud.start(str(index), CLOUD_RUN_TASK_INDEX=str(index), CLOUD_RUN_TASK_COUNT="3") for index in range(3)]

    said = [cloud.ended(worker) for worker in workers]

    made = Counter(note.split()[1] for lines in said for note in notes(lines, "making "))
    assert set(made.values()) == {1}
    assert len(made) >= 4
    assert len([lines for lines in said if notes(lines, "making ")]) == 3
    assert cloud.store.stat(cloud.plan.output_uri)
    assert cloud.store.list(f"gs://{BUCKET}/checkpoints/job_abc123/") == []


def test_of_two_executions_on_one_film_one_works_and_the_other_goes_home(cloud: Cloud) -> None:
    first = cloud.start("1")
    assert first.stdout
    next(line for line in first.stdout if "making" in line)

    second = cloud.ended(cloud.start("2", CLOUD_RUN_EXECUTION="stitch-x2"))

    out, complaints = first.communicate(timeout=120)
    assert first.returncode == 0, out + complaints
    assert notes(second, "making ") == [], "nothing is made twice"
    assert notes(second, "alive") or second[0]["message"] == "The film was there already."
    assert cloud.store.stat(cloud.plan.output_uri)


def test_a_worker_that_is_slow_but_alive_is_left_alone(cloud: Cloud, ffmpeg_program: str) -> None:
    slow = script(cloud.bench.folder, ffmpeg_program, "while :; do read -t 1 x < /dev/zero; done")
    first = cloud.start("1", "--ffmpeg", str(slow))
    assert first.stdout
    next(line for line in first.stdout if "chunk-00001" in line)

    second = cloud.ended(cloud.start("2", CLOUD_RUN_EXECUTION="stitch-x2"))

    assert notes(second, "another worker is at it and alive")
    assert first.poll() is None
    first.terminate()
    first.communicate(timeout=20)
    assert first.returncode == 143
    assert not cloud.store.stat(cloud.plan.output_uri)


def kill_amid_the_work(cloud: Cloud) -> None:
    task = cloud.start("1", "--processes", "1")
    assert task.stdout
    begun = 0
    while begun < 3:
        begun += "making" in task.stdout.readline()
    task.kill()
    task.communicate()


def test_what_a_killed_task_has_done_is_not_done_again_when_cloud_run_starts_it_anew(cloud: Cloud) -> None:
    kill_amid_the_work(cloud)

    again = cloud.ended(cloud.start("2", CLOUD_RUN_TASK_ATTEMPT="1"))

    assert not any("clip-1-chunk-00000 " in note for note in notes(again, "making "))
    assert again[-1]["resumedCount"] == 1


def test_another_execution_takes_over_from_a_dead_one(cloud: Cloud) -> None:
    kill_amid_the_work(cloud)

    again = cloud.ended(cloud.start("2", CLOUD_RUN_EXECUTION="stitch-x2"))

    assert not any("clip-1-chunk-00000 " in note for note in notes(again, "making "))
    assert again[-1]["type"] == "result"


LEASE = "gs://films-a/some.lease"


class Time:
    """A clock that only its sleepers move; `meanwhile` happens at every sleep."""

    def __init__(self, meanwhile: Callable[[], object] = lambda: None) -> None:
        self.seconds = 0.0
        self._meanwhile = meanwhile

    def now(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        self._meanwhile()


def taken(store: DiskObjectStore, owner: str, time: Time, number: int = 0) -> ObjectLease | None:
    return take_lease(store, LEASE, Holder(owner, number), 10, clock=time.now, sleep=time.sleep)


def test_a_lease_is_taken_at_once_and_given_back(tmp_path: Path) -> None:
    store, time = DiskObjectStore(tmp_path), Time()
    lease = taken(store, "a", time)
    assert lease
    assert lease.renew()

    lease.release()

    assert store.stat(LEASE) is None
    assert taken(store, "b", time)
    assert time.seconds == 0


def test_a_living_holder_keeps_its_lease(tmp_path: Path) -> None:
    store = DiskObjectStore(tmp_path)
    lease = taken(store, "a", Time())
    assert lease

    assert taken(store, "b", Time(lease.renew)) is None
    assert lease.renew()


def test_a_silent_holder_loses_its_lease_and_hears_of_it(tmp_path: Path) -> None:
    store, time = DiskObjectStore(tmp_path), Time()
    dead = taken(store, "a", time)
    assert dead

    assert taken(store, "b", time)

    assert 10 <= time.seconds < 11
    assert not dead.renew()
    dead.release()
    assert store.stat(LEASE), "it is not its own any more"


def test_a_beat_while_a_lease_is_given_back_is_no_loss_of_it(tmp_path: Path) -> None:
    lease = taken(DiskObjectStore(tmp_path), "a", Time())
    assert lease

    lease.release()

    assert lease.renew()


class LeasesInObjects(DiskObjects):
    """A folder with leases as they are in the cloud; the first that is deleted stays in sight until it was missed."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.missed = threading.Event()
        self._store = Watched(root, self.missed)

    def lease(self, uri: str, holder: Holder, seconds: float) -> ObjectLease:
        found = take_lease(self.store, uri, holder, seconds)
        assert found
        return found


class Watched(DiskObjectStore):
    def __init__(self, root: Path, missed: threading.Event) -> None:
        super().__init__(root)
        self._missed = missed

    def write(self, uri: str, content: bytes, if_generation: int | None = None) -> ObjectInfo:
        try:
            return super().write(uri, content, if_generation)
        except PreconditionFailed:
            self._missed.set()
            raise

    def delete(self, uri: str) -> None:
        super().delete(uri)
        if uri.endswith("/work-0-of-1.lease"):
            assert self._missed.wait(10)


def test_a_worker_whose_lease_goes_with_all_that_led_to_the_film_is_not_stopped(
    bench: Bench, make_clip: MakeClip, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped: list[int] = []
    monkeypatch.setattr("gpu_job.heartbeat.os.kill", lambda _pid, signal: stopped.append(signal))
    objects = LeasesInObjects(bench.store.root)
    plan = bench.plan(make_clip(0), make_clip(1, rate="30"))

    report = stitch(
        plan,
        Tools(
            objects=objects,
            reporter=Reporter(StringIO()),
            ffmpeg=lambda: FFmpeg(bench.ffmpeg.program),
            work=bench.work,
            stall_seconds=60,
            lease_seconds=0.4,
        ),
    )

    assert report is not None
    assert objects.missed.is_set()
    assert stopped == []


def test_a_later_try_of_the_same_task_does_not_wait_and_a_twin_does(tmp_path: Path) -> None:
    store, time = DiskObjectStore(tmp_path), Time()
    first = taken(store, "x/0", time)
    assert first

    assert taken(store, "x/0", Time(first.renew)) is None, "Cloud Run may start a container twice"
    assert taken(store, "x/0", time, number=1)
    assert time.seconds == 0


def test_a_lease_that_is_given_back_while_it_is_watched_is_taken(tmp_path: Path) -> None:
    store = DiskObjectStore(tmp_path)
    lease = taken(store, "a", Time())
    assert lease
    time = Time(lambda: lease.release())

    assert taken(store, "b", time)
    assert time.seconds < 1


@given(content=st.binary(max_size=30))
def test_a_lease_of_which_the_paper_cannot_be_read_is_one_of_somebody_else(content: bytes) -> None:

    with tempfile.TemporaryDirectory() as folder:
        store, time = DiskObjectStore(Path(folder)), Time()
        store.write(LEASE, content)

        assert taken(store, "", time)
        assert time.seconds >= 10


def test_only_one_of_many_gets_a_dead_ones_lease(tmp_path: Path) -> None:
    store = DiskObjectStore(tmp_path)
    taken(store, "dead", Time())
    barrier = threading.Barrier(8)

    def take(number: int) -> ObjectLease | None:
        barrier.wait()
        return take_lease(store, LEASE, Holder(f"worker-{number}"), 0.5)

    with ThreadPoolExecutor(8) as pool:
        holders = [lease for lease in pool.map(take, range(8)) if lease]

    # Each of the others saw it change hands, or waited for it to be silent again: then there is one at a time.
    assert len([lease for lease in holders if lease.renew()]) == 1


def script(folder: Path, real: str, body: str) -> Path:
    """Write an FFmpeg that does `body` before it encodes the second chunk."""
    program = folder / "ffmpeg-with-moments"
    program.write_text(f'#!/bin/sh\ncase "$*" in\n*chunk-00001*) {body};;\nesac\nexec "{real}" "$@"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return program


def test_an_ffmpeg_that_hangs_once_is_killed_and_its_piece_made_again(
    bench: Bench, make_clip: MakeClip, ffmpeg_program: str
) -> None:
    mark = bench.folder / "hung"
    hang = f'if [ ! -e "{mark}" ]; then touch "{mark}"; while :; do read -t 1 x < /dev/zero; done; fi'
    program = script(bench.folder, ffmpeg_program, hang)

    done = bench.run_program(odd_plan(bench, make_clip), "--ffmpeg", str(program), "--stall-seconds", "3")

    assert done.returncode == 0, done.stdout
    assert [line for line in bench.lines if "tried once more" in line.get("message", "")]
    assert len(barcodes(bench.film)) == 250 + 144


def test_it_shows_that_it_is_alive_although_nothing_moves() -> None:
    said, now = StringIO(), [0.0]
    reporter = Reporter(said, clock=lambda: now[0])
    reporter.progress(40, "Encoding…")
    for second in range(60):
        now[0] = float(second)
        reporter.beat()

    lines = [json.loads(line) for line in said.getvalue().splitlines()]
    assert {(line["percent"], line["message"]) for line in lines} == {(40, "Encoding…")}
    assert len(lines) >= 60 / (2 * HEARTBEAT_SECONDS)
    assert HEARTBEAT_SECONDS * 2 <= 10, "a beat may just miss its time, and comes one later"


def test_large_pictures_are_encoded_by_fewer_programs_so_that_memory_suffices() -> None:
    assert process_count(target(1280, 720, Fraction(24)), 1280 * 720, 8) == 8
    assert process_count(target(1280, 720, Fraction(24)), 1280 * 720, 2) == 2
    assert process_count(target(3840, 2160, Fraction(24)), 3840 * 2160, 8) == 2
    assert process_count(target(1920, 1080, Fraction(24)), 7680 * 4320, 8) == 1
    assert 1 <= process_count(target(2, 2, Fraction(24)), 4) <= len(os.sched_getaffinity(0))
