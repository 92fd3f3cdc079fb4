"""A hostile clip beside a good one, through the whole stitch program: no film but a right one, and whose fault it is.

Those that the probe refuses come nowhere near the program, and are tested in tests/media/hostile.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import settings

from events.errors import BadMedia
from media.probe import probe
from media.reader import FileReader
from tests.gpu_job.bench import Bench
from tests.media.clips import ClipSpec, make_clip
from tests.media.hostile.bounds import BOUNDS, table
from tests.media.hostile.conftest import kit, needs_linux, watcher
from tests.media.hostile.corpus import CASES
from tests.media.hostile.kit import Case, Kit
from tests.media.hostile.watch import Run, Watcher
from tests.media.hostile.works import with_bits_turned

__all__ = ["kit", "watcher"]  # fixtures

pytestmark = needs_linux

#: Those that reach the program.
PASSING = {name: case for name, case in CASES.items() if case.refusal is None}
#: Clips with bits turned that are made films of; eight times as many with `make shake`'s profile.
DAMAGED = settings().max_examples // 10


def filmed(path: Path, kit: Kit, watcher: Watcher, transition: str = "cut") -> tuple[Run, Path]:
    """Stitch a file, as segment 7, beside the good clip; gives the run and its folder."""
    folder = kit.folder / f"film-{path.stem}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    run = watcher.run("film", path=str(path), beside=str(kit.good_path), folder=str(folder), transition=transition)
    return run, folder


def check(run: Run, folder: Path, name: str) -> None:
    """Fail unless the run ended as any may: with a right film, or with a sentence that says whose fault it is."""
    shown = "\n" + table([(name, "film", run)])
    assert run.outcome in ("ok", "refused"), shown + run.said
    assert BOUNDS["film"].exceeded(run) == [], shown
    film = folder / "objects/films/film.mp4"
    if run.outcome == "ok":
        with FileReader(film) as reader:
            facts = probe(reader, "film.mp4")
        assert facts.frame_count == json.loads(run.said)["frameCount"], shown
        assert facts.obstacles == [], shown
        assert facts.frame_rate is not None, shown
        assert 5 <= Fraction(facts.frame_rate) <= 240, shown
    else:
        assert run.segment_index == 7, shown
        assert re.match(r"exit 65: (decode|read|fetch|join|encode) .*\w{3}", run.said), shown
        assert not film.exists(), shown
    assert [path.name for path in (folder / "work").iterdir() if path.suffix != ".lock"] == [], shown


@pytest.mark.parametrize("case", PASSING.values(), ids=PASSING)
def test_a_hostile_clip_becomes_a_right_film_or_is_named(case: Case, kit: Kit, watcher: Watcher) -> None:
    heard_before = len(kit.trap.heard)

    run, folder = filmed(case.write(kit), kit, watcher)

    check(run, folder, case.name)
    assert kit.trap.heard[heard_before:] == []


@pytest.mark.parametrize("name", ["a-first-frame-that-is-none", "sound-packets-of-no-bytes", "sixty-tracks"])
def test_a_hostile_clip_that_fades_is_named_as_well(name: str, kit: Kit, watcher: Watcher) -> None:
    check(*filmed(CASES[name].write(kit), kit, watcher, "crossfade"), name)


@pytest.mark.parametrize("seed", range(DAMAGED))
def test_a_damaged_clip_becomes_a_right_film_or_is_named(seed: int, kit: Kit, watcher: Watcher) -> None:
    path = kit.folder / f"damaged-{seed}.mp4"
    path.write_bytes(kit.good)
    turns = 0
    while True:  # Most are refused by the probe, and make no film.
        path.write_bytes(with_bits_turned(kit.good, 1000 * seed + turns))
        turns += 1
        try:
            with FileReader(path) as reader:
                probe(reader, path.name)
            break
        except BadMedia:
            continue

    run, folder = filmed(path, kit, watcher)

    check(run, folder, path.name)
    assert kit.trap.heard == []


@pytest.mark.parametrize("frames", [1, 2])
def test_a_clip_of_one_or_two_frames_joins_others(frames: int, bench: Bench, tmp_path: Path) -> None:
    """So few frames stand in no order, although their parameter sets allow one."""
    few = make_clip(ClipSpec(1, frames=frames, size=(176, 112), tone=None), tmp_path / "few.mp4")
    plan = bench.plan(few, make_clip(ClipSpec(2), tmp_path / "good.mp4"))

    assert bench.stitch(plan).frame_count == frames + 24


#: Where programs, libraries and their settings lie; all else is somebody's.
_SYSTEM = ("/usr/", "/lib", "/etc/", "/proc/", "/sys/", "/dev/", "/run/", sys.prefix, sys.base_prefix)


def test_the_program_opens_nothing_outside_of_its_folders(bench: Bench, kit: Kit, tmp_path: Path) -> None:
    """Every file that any of its processes opens is the system's, Longreel's, or the job's; and no socket is made."""
    if shutil.which("strace") is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("strace is not installed: apt-get install strace")
    names = ["media-said-to-be-here-with-an-address", "quicktime-alias-said-to-be-here", "sixty-tracks"]
    plan = bench.plan(*(CASES[name].write(kit) for name in names))
    log = tmp_path / "calls"
    command = ["strace", "-f", "-qq", "-o", str(log), "-e", "trace=open,openat,connect,bind,sendto"]

    done = subprocess.run(
        [*command, *bench.command(plan)], capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2]
    )

    assert done.returncode == 0, done.stderr
    calls = log.read_text().splitlines()
    assert len(calls) > 100
    own = (*_SYSTEM, str(tmp_path), str(Path(__file__).parents[2]))
    opened = {found[1] for line in calls if (found := re.search(r'open(?:at)?\((?:AT_FDCWD, )?"([^"]+)"', line))}
    assert {path for path in opened if path.startswith("/") and not path.startswith(own)} == set()
    assert [line for line in calls if re.search(r"connect\(|bind\(|sendto\(", line)] == []
