"""Chaos itself is held to account: a few kills keep every promise, and each promise that is broken is noticed."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.chaos import cloud, embedded
from tests.chaos.home import Ledger, look
from tests.chaos.processes import Orphans, everything, family, kill
from tests.chaos.report import Broken
from tests.cli.conftest import SCENE_MS, Door
from tests.cloud.conftest import needs_emulators as needs_emulators


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    door = Door(tmp_path_factory.mktemp("pristine"))
    door.ok("make", door.script(2), "-o", "film.mp4", "--scene-ms", SCENE_MS)
    yield door
    door.close()


@pytest.fixture
def home(pristine: Door, tmp_path: Path) -> Path:
    """Give a home of its own with a finished film."""
    subprocess.run(["cp", "-a", str(pristine.home), str(tmp_path / "home")], check=True)
    return tmp_path / "home"


@pytest.fixture
def ledger(home: Path) -> Ledger:
    ledger = Ledger(home)
    ledger.check()
    return ledger


def change(home: Path, statement: str) -> None:
    with closing(sqlite3.connect(home / "longreel.db")) as database, database:
        assert database.execute(statement).rowcount > 0


def a_clip(home: Path) -> Path:
    return next((home / "objects").glob("*/jobs/*/segments/0/1/clip.mp4"))


def test_what_nobody_touched_keeps_every_promise(home: Path, ledger: Ledger) -> None:
    ledger.check()

    assert [str(each.state) for each in look(home).jobs.values()] == ["completed"]
    assert ledger.check_everything_is_whole() == 5, "two clips, a plan, a report, a film"


def test_a_clip_that_is_made_again_is_noticed_even_with_the_same_bytes_and_time(home: Path, ledger: Ledger) -> None:
    clip = a_clip(home)
    again = shutil.copy2(clip, home / "again.mp4")
    Path(again).replace(clip)

    with pytest.raises(Broken, match="made again or lost"):
        ledger.check()


def test_a_film_that_is_made_again_is_noticed(home: Path, ledger: Ledger) -> None:
    film = next((home / "objects").glob("*/jobs/*/output/1/film.mp4"))
    film.write_bytes(film.read_bytes())

    with pytest.raises(Broken, match="never made again"):
        ledger.check()


@pytest.mark.parametrize(
    ("statement", "promise"),
    [
        ("UPDATE segments SET state = 'pending' WHERE position = 1", "stays done"),
        ("UPDATE segments SET attempt = attempt - 1 WHERE position = 1", "only rises"),
        ("DELETE FROM segments WHERE position = 1", "no segment is lost"),
        ("UPDATE jobs SET done_count = 1", "never falls"),
        ("DELETE FROM jobs", "no job is lost"),
        ("INSERT INTO dead_letters VALUES (1, 'requested', '{}', 5, 'five times', 0)", "no dead letters"),
    ],
)
def test_what_the_database_forgets_is_noticed(home: Path, ledger: Ledger, statement: str, promise: str) -> None:
    change(home, statement)

    with pytest.raises(Broken, match=promise):
        ledger.check()


def test_a_half_written_object_is_noticed(home: Path, ledger: Ledger) -> None:
    plan = next((home / "objects").glob("*/jobs/*/stitch/1/plan.json"))
    plan.write_bytes(plan.read_bytes()[:-1])

    with pytest.raises(Broken, match="is whole"):
        ledger.check_everything_is_whole()


def test_a_stitch_that_is_begun_anew_without_need_is_noticed(home: Path, ledger: Ledger) -> None:
    change(home, """UPDATE jobs SET stitch = json_replace(stitch, '$[0]', 2)""")

    with pytest.raises(Broken, match="begun anew only where"):
        ledger.check_stitch_attempts(*look(home).jobs.values())


def test_a_process_that_outlives_its_killed_parent_is_noticed() -> None:
    script = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'print(1, flush=True); input()'])"
    parent = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    )
    assert parent.stdout is not None
    assert parent.stdin is not None
    assert parent.stdout.readline() == b"1\n"
    orphans = Orphans()

    (child,) = family(parent.pid)
    parent.kill()
    parent.wait()
    orphans.watch([child])
    assert orphans.overstayed() == []
    assert orphans.overstayed(-1) == [child]
    kill([child])
    assert orphans.wait() == []
    assert child.pid not in everything()
    parent.stdin.close()
    parent.stdout.close()


@pytest.mark.chaos
@pytest.mark.timeout(240)
def test_a_few_kills_of_the_embedded_program_keep_every_promise(tmp_path: Path) -> None:
    chaos = embedded.Chaos(tmp_path, seed=5, kinds=1)
    try:
        chaos.make_undisturbed()
        chaos.run(kills=5)
        assert chaos.check() > 0
        assert chaos.summary(1).startswith("5 kills")
    finally:
        chaos.close()


@pytest.mark.chaos
@pytest.mark.timeout(240)
@pytest.mark.usefixtures("needs_emulators")
def test_a_few_kills_of_the_functions_keep_every_promise(capfd: pytest.CaptureFixture[str]) -> None:
    assert cloud.run(kills=5, films=2, seed=5) == 0
    assert capfd.readouterr().out.startswith("5 kills")
