"""Hostile files, one by one: refused in a sentence, or harmless; within bounds; and nothing else is touched."""

from __future__ import annotations

import json
import re
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from time import monotonic

import pytest
from hypothesis import settings

from tests.media.clips import FFMPEG
from tests.media.hostile.bounds import BOUNDS, table
from tests.media.hostile.conftest import needs_linux
from tests.media.hostile.corpus import CASES
from tests.media.hostile.kit import Case, Kit
from tests.media.hostile.trap import Trap
from tests.media.hostile.watch import Watcher

pytestmark = needs_linux

#: Places at which files are cut off or damaged: 500, and eight times that with `make shake`.
PLACES = 10 * settings().max_examples
#: Of these in one process.
_AT_A_TIME = 500


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_hostile_file_is_refused_or_harmless(case: Case, kit: Kit, watcher: Watcher) -> None:
    path = case.write(kit)
    heard_before = len(kit.trap.heard)
    runs = {"probe": watcher.run("probe", path=str(path))}
    if runs["probe"].outcome == "ok":
        runs |= {work: watcher.run(work, path=str(path)) for work in ("last_frame", "seam")}

    shown = "\n" + table([(case.name, work, run) for work, run in runs.items()])
    for work, run in runs.items():
        assert run.outcome in ("ok", "refused"), shown + run.said
        assert BOUNDS[work].exceeded(run) == [], shown
        assert run.outcome == "ok" or re.match(r"(read|take|join) .*\w{3}", run.said), shown
    probe = runs["probe"]
    assert case.refusal is None or (probe.outcome == "refused" and re.search(case.refusal, probe.said)), shown
    assert kit.trap.heard[heard_before:] == [], shown


FORMS = {
    "index-behind.mp4": (),
    "index-in-front.mp4": ("-movflags", "+faststart"),
    "fragmented.mp4": ("-movflags", "frag_keyframe+empty_moov"),
    "quicktime.mov": (),
    "matroska.mkv": (),
    "transport.ts": (),
    "flash.flv": (),
    "riff.avi": (),
}


@pytest.fixture(params=FORMS)
def good(request: pytest.FixtureRequest, kit: Kit) -> Path:
    """Give a good clip in each kind of file."""
    path = kit.folder / f"made-{request.param}"
    if not path.exists():
        kit.ffmpeg(request.param, "-i", str(kit.good_path), "-c", "copy", *FORMS[request.param])
    return path


@pytest.mark.parametrize("work", ["cut_off", "bits_turned"])
def test_a_damaged_file_is_refused_or_harmless(work: str, good: Path, kit: Kit, watcher: Watcher) -> None:
    # Those that our own reader reads are damaged at more places than those that FFmpeg is trusted with.
    places = PLACES if good.name.startswith("made-index") else PLACES // 10
    for first in range(0, places, _AT_A_TIME):
        count = min(_AT_A_TIME, places - first)
        run = watcher.run(work, path=str(good), first=str(first), count=str(count))

        assert run.outcome == "ok", run.said
        found = json.loads(run.said)
        assert found["tried"] == count
        assert found["slowest_s"] < BOUNDS["probe"].cpu_s
        assert run.memory_mib < BOUNDS["last_frame"].memory_mib
    assert kit.trap.heard == []


@pytest.fixture
def own_trap(tmp_path: Path) -> Trap:
    """Give a trap that a test may walk into."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    trap = Trap(folder)
    trap.file.write_bytes(b"secret")
    return trap


def hears(trap: Trap, what: str, *, within_seconds: float = 10) -> bool:
    """Wait until the trap has heard something; its thread may be a moment behind."""
    end = monotonic() + within_seconds
    while monotonic() < end:
        if any(what in line for line in list(trap.heard)):
            return True
    return False


def connect(trap: Trap) -> None:
    socket.create_connection(("127.0.0.1", trap.port)).close()


def send(trap: Trap) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as sender:
        sender.sendto(b"hello", ("127.0.0.1", trap.port))


@pytest.mark.parametrize(
    ("step", "heard"), [(connect, "TCP"), (send, "UDP"), (lambda trap: trap.file.read_bytes(), "secret.mp4")]
)
def test_the_trap_hears(own_trap: Trap, step: Callable[[Trap], object], heard: str) -> None:
    with own_trap as trap:
        step(trap)

        assert hears(trap, heard)


@pytest.mark.parametrize(("name", "demuxer"), [("hls-playlist", "hls"), ("concat-script", "concat")])
def test_ffmpeg_alone_walks_into_the_trap(name: str, demuxer: str, tmp_path: Path, own_trap: Trap) -> None:
    """The files have teeth: what they name is read where nobody stops FFmpeg."""
    with own_trap as trap:
        path = tmp_path / "clip.mp4"
        made = CASES[name].make(Kit(tmp_path, trap, b""))  # type: ignore[call-arg]
        assert made is not None
        path.write_bytes(made)
        options = ["-allowed_extensions", "ALL", "-extension_picky", "0"] if demuxer == "hls" else ["-safe", "0"]
        command = [FFMPEG, "-nostdin", "-protocol_whitelist", "file,http,tcp,crypto,data", "-f", demuxer, *options]
        subprocess.run([*command, "-i", str(path), "-f", "null", "-"], capture_output=True, check=False, timeout=60)

        assert hears(trap, "secret.mp4")
