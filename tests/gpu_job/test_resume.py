"""Stopped and taken up again: the film is the one of a run that was never stopped, and little is done twice.

Fifty kills in all: half of them while one piece is encoded at a time, half while two are. `LONGREEL_KILLS=250` makes it
ten times as many.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import shutil
import signal
import stat
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import google_crc32c
import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.plan import Fit, StitchPlan
from gpu_job.ffmpeg import FFmpeg
from gpu_job.manifest import Manifest, checkpoint_folder
from gpu_job.objects import DiskObjects
from tests.gpu_job.bench import REPOSITORY, Bench, clean_environment
from tests.gpu_job.film_reading import audio_packets, decode

MakeClip = Callable[..., Path]

KILLS = int(os.environ.get("LONGREEL_KILLS", "25"))
#: The latest moment of a kill, in seconds after the start: about as long as the film takes on two slow cores.
LATEST_SECONDS = 2.5
#: How long the program may take to end after SIGTERM. Source: Cloud Run's container contract.
GRACE_SECONDS = 10


class Film:
    """A film of copied and encoded clips, and an FFmpeg that writes down what it is asked for."""

    def __init__(self, bench: Bench, plan: StitchPlan, ffmpeg_program: str) -> None:
        self.bench = bench
        self.plan = plan
        self.log = bench.folder / "asked.log"
        self.log.touch()
        self.program = bench.folder / "ffmpeg-that-writes-down"
        self.program.write_text(f'#!/bin/sh\necho "$*" >> "{self.log}"\nexec "{ffmpeg_program}" "$@"\n')
        self.program.chmod(self.program.stat().st_mode | stat.S_IXUSR)

    def command(self, *more: str) -> list[str]:
        return self.bench.command(self.plan, "--ffmpeg", str(self.program), *more)

    def start(self, *more: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self.command(*more),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            cwd=REPOSITORY,
            env=clean_environment(),
        )

    def made(self) -> Counter[str]:
        """Count how often each piece was begun."""
        return Counter(re.findall(r"file:\S*/(\S+)-?\.mp4$", self.log.read_text(), re.M))

    def checkpoints(self) -> list[str]:
        return [info.uri for info in self.bench.store.list(checkpoint_folder(self.plan))]

    def begin_again(self) -> None:
        """Forget the film."""
        self.log.write_text("")
        self.bench.store.delete(self.plan.output_uri)
        self.bench.store.delete(self.plan.report_uri)

    def report(self) -> dict[str, object]:
        said: dict[str, object] = json.loads(self.bench.report.read_bytes())
        return said


def plan_of(bench: Bench, make_clip: MakeClip) -> StitchPlan:
    return bench.plan(
        make_clip(0, frames=240),
        make_clip(1, rate="30", frames=180, sound="44100 2"),
        make_clip(2, frames=24, sound=None),
        make_clip(3, size="200x96", rate="25", frames=100),
    )


@pytest.fixture
def film(bench: Bench, make_clip: MakeClip, ffmpeg_program: str) -> Film:
    return Film(bench, plan_of(bench, make_clip), ffmpeg_program)


def fingerprint(path: Path) -> tuple[str, str]:
    """Give digests of all decoded frames, and of all packets of sound."""
    pictures, sound = hashlib.sha256(), hashlib.sha256()
    for frame in decode(path):
        pictures.update(frame.tobytes())
    for packet in audio_packets(path):
        sound.update(packet)
    return pictures.hexdigest(), sound.hexdigest()


def run_through(film: Film, *more: str) -> None:
    child = film.start(*more)
    _, said = child.communicate(timeout=120)
    assert child.returncode == 0, said.decode()


def kill_at(film: Film, moment: float, number: int, *more: str) -> bool:
    """Start the program, and send it a signal unless it ends before; give whether it was killed."""
    child = film.start(*more)
    try:
        _, said = child.communicate(timeout=moment)
    except subprocess.TimeoutExpired:
        child.send_signal(number)
        film.bench.killed |= number == signal.SIGKILL
        started = time.monotonic()
        _, said = child.communicate(timeout=60)
        assert time.monotonic() - started < GRACE_SECONDS
        if child.returncode == 0:
            return False  # It was as good as done.
        # Python ends in its own way before our handler is there, and in its very last moment.
        assert child.returncode in ({-9} if number == signal.SIGKILL else {143, -15}), said.decode()
        return True
    assert child.returncode == 0, said.decode()
    return False


@pytest.mark.timeout(60 + 12 * KILLS)
@pytest.mark.parametrize("processes", [1, 2])
def test_killed_at_random_moments_the_film_is_the_one_that_was_never_stopped(film: Film, processes: int) -> None:
    many = ("--processes", str(processes))
    run_through(film, *many)
    wanted, pieces = fingerprint(film.bench.film), set(film.made())
    assert len(pieces) >= 7
    chance, kills = random.Random(processes), 0
    while kills < KILLS:
        film.begin_again()
        killed_here = 0
        while True:
            number = chance.choice([signal.SIGTERM, signal.SIGKILL])
            if not kill_at(film, chance.uniform(0.2, LATEST_SECONDS), number, *many):
                break
            killed_here += 1
        kills += killed_here
        assert fingerprint(film.bench.film) == wanted
        made = film.made()
        assert set(made) == pieces
        assert sum(made.values()) - len(pieces) <= killed_here * processes, "no more than what was under way"
        report = film.report()
        # A kill may come before there was anything to go on with, or when the film was there already.
        assert int(str(report.get("resumedCount", 0))) <= killed_here
        assert film.checkpoints() == [], "nothing is left once the film is there"


@dataclass(frozen=True)
class Stopped:
    """A folder that a killed stitch has left, and what the film should have been."""

    folder: Path
    plan: StitchPlan
    wanted: tuple[str, str]
    done: int


@pytest.fixture(scope="session")
def left_behind(
    tmp_path_factory: pytest.TempPathFactory, ffmpeg: FFmpeg, make_clip: MakeClip, ffmpeg_program: str
) -> Stopped:
    """Make a film, and again until some of its pieces are done; once for all tests."""
    bench = Bench(tmp_path_factory.mktemp("stopped"), ffmpeg)
    film = Film(bench, plan_of(bench, make_clip), ffmpeg_program)
    run_through(film, "--processes", "1")
    wanted = fingerprint(bench.film)
    film.begin_again()
    child = film.start("--processes", "1")
    end = time.monotonic() + 60
    while len([uri for uri in film.checkpoints() if "chunk" in uri and uri.endswith(".json")]) < 3:
        assert time.monotonic() < end
        assert child.poll() is None, "it was faster than we"
    child.kill()
    child.communicate()
    done = len([uri for uri in film.checkpoints() if re.search(r"(chunk|sound).*\.json$", uri)])
    return Stopped(bench.folder, film.plan, wanted, done)


@pytest.fixture
def stopped(left_behind: Stopped, bench: Bench, ffmpeg_program: str) -> Film:
    """Give that film in a folder of its own; files keep their times, and so their generations."""
    for folder in ("objects", "work"):
        shutil.copytree(left_behind.folder / folder, bench.folder / folder, dirs_exist_ok=True)
    return Film(bench, left_behind.plan, ffmpeg_program)


def test_what_was_done_is_not_done_again_and_the_report_says_so(stopped: Film, left_behind: Stopped) -> None:
    run_through(stopped)

    made = stopped.made()
    assert set(made.values()) == {1}
    report = stopped.report()
    assert report["resumedCount"] == 1
    assert 0 < int(str(report["resumedFrom"])) < int(str(report["encodedFrameCount"]))
    assert fingerprint(stopped.bench.film) == left_behind.wanted
    stopped.begin_again()
    run_through(stopped)
    assert len(stopped.made()) == len(made) + left_behind.done
    assert "resumedCount" not in stopped.report()


def test_another_attempt_goes_on_with_what_the_one_before_has_done(stopped: Film) -> None:
    stopped.plan = stopped.plan.model_copy(
        update={"attempt": 2, "output_uri": "gs://films-a/2/film.mp4", "report_uri": "gs://films-a/2/report.json"}
    )

    run_through(stopped)

    assert stopped.bench.store.stat("gs://films-a/2/film.mp4")
    assert not any("clip-1-chunk-00000" in name for name in stopped.made())


def test_another_film_of_the_same_job_takes_nothing_from_it(stopped: Film) -> None:
    stopped.plan = stopped.plan.model_copy(update={"fit": Fit.CROP})

    run_through(stopped)

    assert any("clip-1-chunk-00000" in name for name in stopped.made())
    assert "resumedCount" not in stopped.report()
    assert stopped.bench.store.list("gs://films-a/checkpoints/") == [], "nothing of the other film is left either"


def flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    overwrite(path, bytes(data))


def truncated(path: Path) -> None:
    overwrite(path, path.read_bytes()[:-7])


def overwrite(path: Path, content: bytes) -> None:
    """Change a file as a broken disk does: its time stays."""
    before = path.stat()
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def replaced(path: Path) -> None:
    path.write_bytes(path.read_bytes())


@pytest.mark.parametrize("damage", [flipped, truncated, replaced, Path.unlink])
def test_a_piece_that_is_not_what_its_manifest_says_is_made_again(
    stopped: Film, left_behind: Stopped, damage: Callable[[Path], None]
) -> None:
    piece = next(uri for uri in stopped.checkpoints() if "clip-1-chunk-00001" in uri and uri.endswith(".mp4"))
    damage(stopped.bench.store.path(piece))

    run_through(stopped)

    assert any("clip-1-chunk-00001" in name for name in stopped.made())
    assert not any("clip-1-chunk-00000" in name for name in stopped.made())
    assert fingerprint(stopped.bench.film) == left_behind.wanted


@given(content=st.binary(max_size=200) | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(
    lambda value: json.dumps(value).encode()
))  # fmt: skip
def test_a_manifest_that_is_none_of_ours_is_none(content: bytes) -> None:
    assert Manifest.from_json(content) is None


@given(field=st.sampled_from(list(Manifest.__dataclass_fields__)), value=st.none() | st.booleans() | st.floats())
def test_a_manifest_with_a_wrong_field_is_none(field: str, value: object) -> None:
    manifest = Manifest("gs://b/o", 1, 2, 3, 4, "d", ("said",))
    assert Manifest.from_json(manifest.to_json()) == manifest
    assert Manifest.from_json(json.dumps({**json.loads(manifest.to_json()), field: value}).encode()) is None


def test_a_manifest_that_was_overwritten_is_thrown_away_with_its_piece(stopped: Film) -> None:
    manifest = next(uri for uri in stopped.checkpoints() if "clip-1-chunk-00001" in uri and uri.endswith(".json"))
    stopped.bench.store.write(manifest, b'{"uri": 3}')

    run_through(stopped)

    assert any("clip-1-chunk-00001" in name for name in stopped.made())


def test_a_manifest_says_where_what_and_how_much(stopped: Film) -> None:
    uri = next(uri for uri in stopped.checkpoints() if "clip-1-chunk-00000" in uri and uri.endswith(".json"))

    manifest = Manifest.from_json(stopped.bench.store.read(uri))

    assert manifest is not None
    info = stopped.bench.store.stat(manifest.uri)
    assert info is not None
    assert (info.generation, info.size_bytes) == (manifest.generation, manifest.size_bytes)
    assert manifest.crc32c == google_crc32c.value(stopped.bench.store.read(manifest.uri))
    assert manifest.uri == uri.replace(".json", ".mp4")
    assert b"/objects/" not in stopped.bench.store.read(uri), "never a local path"
    run_through(stopped)


def test_a_film_that_was_finished_by_others_meanwhile_is_not_made_again(film: Film) -> None:
    run_through(film)
    film.log.write_text("")

    run_through(film)

    assert film.made() == Counter()


def test_what_nobody_goes_on_with_is_tidied_away_after_a_week_and_not_before(bench: Bench) -> None:
    store, now = bench.store, time.time()
    clip = store.write("gs://films-a/jobs/job_abc123/segments/0/1/clip.mp4", b"clip")
    pieces = [f"gs://films-a/checkpoints/job_abc123/aa/clip-1-chunk-{number}.mp4" for number in range(2)]
    for piece in pieces:
        store.write(piece, b"piece")
    folder = store.root / "films-a" / "checkpoints" / "job_abc123"
    for path in (folder, *folder.rglob("*"), store.path(clip.uri)):
        os.utime(path, (now - 8 * 24 * 3600,) * 2)
    os.utime(store.path(pieces[1]), (now - 6 * 24 * 3600,) * 2)
    store.tidy()
    assert [info.uri for info in store.list("gs://films-a/checkpoints/")] == pieces

    os.utime(store.path(pieces[1]), (now - 8 * 24 * 3600,) * 2)
    store.tidy()

    assert not folder.exists()
    assert store.stat(clip.uri)


def test_the_folder_is_the_same_for_every_attempt_and_another_for_another_film(
    bench: Bench, make_clip: MakeClip
) -> None:
    plan: StitchPlan = bench.plan(make_clip(0))
    again = plan.model_copy(update={"attempt": 3, "output_uri": "gs://b-a/x", "title": "Another"})

    assert checkpoint_folder(again) == checkpoint_folder(plan)
    assert checkpoint_folder(plan).startswith("gs://films-a/checkpoints/job_abc123/")
    assert checkpoint_folder(plan.model_copy(update={"clips": plan.clips * 2})) != checkpoint_folder(plan)
    typed = plan.model_copy(update={"job_id": "../../etc"})
    assert ".." not in checkpoint_folder(typed)
    assert DiskObjects(bench.store.root).store.list(checkpoint_folder(typed)) == []
