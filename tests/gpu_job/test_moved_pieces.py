"""On one machine the bytes of pieces move into the film: what it takes of the disk, and what a kill leaves."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import google_crc32c
import pytest

from events.errors import DiskFull, StitchFailed
from events.plan import Loudness, StitchPlan, Transition
from gpu_job.ffmpeg import FFmpeg
from gpu_job.manifest import Manifest, checkpoint_folder
from gpu_job.objects import DiskObjects
from gpu_job.room import disk_bytes, film_bytes, twice_bytes
from media.target import choose_target
from tests.gpu_job.bench import REPOSITORY, Bench, clean_environment
from tests.gpu_job.test_disk_full import small_disk
from tests.gpu_job.test_resume import Film, fingerprint
from tests.gpu_job.test_room import PAPERS_BYTES, bytes_below, watched

MakeClip = Callable[..., Path]
Fingerprint = tuple[str, str]

#: Runs the program until it does something for the so-manieth time, and then kills it.
KILLED_AT = """
import os, sys
event, ending, number, signal_number = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
del sys.argv[1:5]
def heard(name, args):
    global number
    if name == event and str(args[0]).endswith(ending):
        number -= 1
        if number == 0:
            os.kill(os.getpid(), signal_number)
sys.addaudithook(heard)
import gpu_job.film_place, gpu_job.workspace
gpu_job.film_place._BATCH_BYTES = 0
gpu_job.workspace.RESERVE_BYTES = 0
from gpu_job.__main__ import main
sys.exit(main())
"""


def odd_plan(bench: Bench, make_clip: MakeClip, count: int = 6, **wishes: Any) -> StitchPlan:
    """Plan a film of clips of which all but one are encoded, and to about as many bytes as they had."""
    clip = partial(make_clip, size="320x192", after="-vf noise=alls=8:allf=t -crf 22")
    odd = [clip(1 + number % 2, rate="30", frames=24, sound="44100 1") for number in range(count)]
    return bench.plan(make_clip(0, size="320x192", frames=24 * (count + 1)), *odd, **wishes)


def run_killed(film: Film, event: str, ending: str, number: int, by: int = signal.SIGKILL) -> None:
    """Run the program; it is dead when it has come so far."""
    _, _, _, *arguments = film.command("--processes", "1")
    command = [sys.executable, "-c", KILLED_AT, event, ending, str(number), str(int(by)), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=REPOSITORY, env=clean_environment())
    film.bench.killed |= by == signal.SIGKILL
    assert done.returncode in (-9, 143), done.stdout + done.stderr


def run_on(film: Film) -> None:
    """Run the program to its end."""
    _, _, _, *arguments = film.command("--processes", "1")
    command = [sys.executable, "-c", KILLED_AT, "nothing", "", "0", "0", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=REPOSITORY, env=clean_environment())
    assert done.returncode == 0, done.stdout + done.stderr


def told_of(bench: Bench, plan: StitchPlan, processes: int = 1) -> int:
    return disk_bytes(plan, choose_target(plan), DiskObjects(bench.store.root), processes)


def test_beside_the_film_no_more_than_one_piece_lies_on_the_disk(bench: Bench, make_clip: MakeClip) -> None:
    plan = odd_plan(bench, make_clip)
    target, before = choose_target(plan), bytes_below(bench.store.root)

    with watched(bench.store.root, bench.work) as peak:
        report = bench.stitch(plan, processes=2)

    used, twice = peak[0] - before, twice_bytes(plan, target)
    assert report.size_bytes < used <= report.size_bytes + twice + PAPERS_BYTES // 2
    assert used <= told_of(bench, plan, 2) + PAPERS_BYTES
    # All that was encoded a second time would be more.
    assert report.size_bytes - plan.clips[0].facts.size_bytes > 2 * (twice + PAPERS_BYTES)


@pytest.fixture(scope="module")
def wanted(ffmpeg: FFmpeg, make_clip: MakeClip, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Fingerprint]:
    """Give a function that tells what a film is like that nobody ever stopped."""
    made: dict[str, Fingerprint] = {}

    def fingerprint_of(**wishes: Any) -> Fingerprint:
        if repr(wishes) not in made:
            bench = Bench(tmp_path_factory.mktemp("wanted"), ffmpeg)
            bench.stitch(odd_plan(bench, make_clip, **wishes), processes=2)
            made[repr(wishes)] = fingerprint(bench.film)
        return made[repr(wishes)]

    return fingerprint_of


def test_killed_while_bytes_move_and_while_they_are_given_back_nothing_is_encoded_again(
    bench: Bench, make_clip: MakeClip, ffmpeg_program: str, ffmpeg: FFmpeg, wanted: Callable[..., Fingerprint]
) -> None:
    """And that on a disk that has no more than what was said."""
    plan = odd_plan(bench, make_clip)
    room = bytes_below(bench.store.root) + told_of(bench, plan) + PAPERS_BYTES
    with small_disk(bench.folder / "small", room):
        small = Bench(bench.folder / "small", ffmpeg)
        shutil.copytree(bench.store.root, small.store.root, dirs_exist_ok=True)
        film = Film(small, plan, ffmpeg_program)

        run_killed(film, "os.rename", ".hole", 2)
        begun = small.store.path(checkpoint_folder(plan) + "film.mp4")
        assert begun.exists()
        assert begun.with_name("film.mp4.moved").exists()
        film.log.write_text("")
        run_killed(film, "os.utime", ".mp4", 1)
        run_on(film)

        assert film.made().total() == 0
        assert fingerprint(small.film) == wanted()
        assert film.checkpoints() == []


@pytest.mark.parametrize(
    "wishes",
    [{"loudness": Loudness.R128}, {"transition": Transition.CROSSFADE, "transition_ms": 200}],
    ids=["loudness", "crossfades"],
)
def test_films_with_fades_or_new_sound_are_stopped_in_vain_as_well(
    bench: Bench, make_clip: MakeClip, ffmpeg_program: str, wanted: Callable[..., Fingerprint], wishes: dict[str, Any]
) -> None:
    film = Film(bench, odd_plan(bench, make_clip, count=3, **wishes), ffmpeg_program)

    run_killed(film, "os.rename", ".hole", 1, signal.SIGTERM)
    assert film.bench.store.path(checkpoint_folder(film.plan) + "film.mp4.moved").exists()
    film.log.write_text("")
    run_on(film)

    assert not [name for name in film.made() if "clip-" in name or "join-" in name]
    assert fingerprint(bench.film) == wanted(count=3, **wishes)
    assert film.checkpoints() == []


class FailsToPublish(DiskObjects):
    """A store that does not take the film."""

    def publish(self, path: Path, uri: str) -> None:
        if uri.endswith("film.mp4"):
            raise StitchFailed("as the test wishes")
        super().publish(path, uri)


def test_a_film_that_fails_at_its_very_end_gives_its_pieces_back(bench: Bench, make_clip: MakeClip) -> None:
    plan = odd_plan(bench, make_clip, count=4)
    with pytest.raises(StitchFailed, match="as the test wishes"):
        bench.stitch(plan, objects=FailsToPublish(bench.store.root), processes=2)

    store = bench.store
    kept = {info.uri: info for info in store.list(checkpoint_folder(plan))}
    manifests = [Manifest.from_json(store.read(uri)) for uri in kept if uri.endswith(".json") and "clip-" in uri]
    assert len(manifests) == 8
    for manifest in manifests:
        assert manifest is not None
        assert kept[manifest.uri].generation == manifest.generation
        assert google_crc32c.value(store.read(manifest.uri)) == manifest.crc32c
    assert not [uri for uri in kept if "film.mp4" in uri]


def test_where_files_keep_no_holes_twice_what_is_encoded_is_asked_for(
    bench: Bench, make_clip: MakeClip, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = odd_plan(bench, make_clip)
    made, _ = film_bytes(plan, choose_target(plan))
    told = told_of(bench, plan)

    monkeypatch.setattr("gpu_job.room.keeps_holes", lambda folder: False)

    assert told + made // 2 <= told_of(bench, plan) <= told + made + 2 * twice_bytes(plan, choose_target(plan))


def test_a_store_on_a_disk_of_its_own_must_have_the_room_as_well(bench: Bench, make_clip: MakeClip) -> None:
    with small_disk(bench.folder / "small", 32_000_000):
        small = Bench(bench.folder / "small", bench.ffmpeg)
        plan = odd_plan(small, make_clip, count=2)

        with pytest.raises(DiskFull, match=rf"are needed in {small.store.root}.* MB are missing"):
            small.stitch(plan, work=bench.work)

        assert small.program_calls == 0
