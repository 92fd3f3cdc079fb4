"""The program from outside: its lines, its exit codes, and how it dies."""

from __future__ import annotations

import json
import os
import select
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import pytest

from events.clip import ClipFacts
from events.plan import PlannedClip, StitchPlan
from gpu_job.exits import EXITS
from tests.gpu_job.bench import REPOSITORY, Bench, clean_environment, run
from tests.gpu_job.film_reading import barcodes

MakeClip = Callable[..., Path]

#: How long anything that should happen at once may take on a busy machine.
PATIENCE_SECONDS = 30

LINUX_ONLY = pytest.mark.skipif(sys.platform != "linux", reason="the kernel's death signal is Linux's; run it on Linux")


@pytest.fixture(scope="session")
def endless(make_clip: MakeClip, ffmpeg_program: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a clip that is small and takes long to encode beside one of 60 frames a second."""
    clip = tmp_path_factory.mktemp("endless") / "slow.mkv"
    source = "testsrc2=size=320x192:rate=1:duration=3000"
    run(ffmpeg_program, "-f", "lavfi", "-i", source, "-c:v", "libx264", "-preset", "ultrafast", str(clip))
    return clip


@pytest.fixture
def slow_plan(bench: Bench, make_clip: MakeClip, endless: Path) -> StitchPlan:
    return bench.plan(make_clip(0, size="320x192", rate="60", frames=60), endless)


def quick_plan(bench: Bench, make_clip: MakeClip) -> StitchPlan:
    return bench.plan(make_clip(0), make_clip(1, rate="30", frames=15))


def replaced(plan: StitchPlan, index: int, **changes: object) -> StitchPlan:
    """Give the plan with one clip changed; `facts` takes a dict of changed facts."""
    clips = list(plan.clips)
    facts: ClipFacts = clips[index].facts
    if isinstance(changes.get("facts"), dict):
        changes["facts"] = facts.model_copy(update=changes["facts"])
    clips[index] = PlannedClip(**(dict(clips[index]) | changes))
    return plan.model_copy(update={"clips": clips})


def test_a_stitch_says_how_far_it_is_and_what_came_out(bench: Bench, make_clip: MakeClip) -> None:
    done = bench.run_program(quick_plan(bench, make_clip))

    assert done.returncode == 0, done.stderr
    *before, result = bench.lines
    progress = [line for line in before if line["type"] != "note"]
    percents = [line["percent"] for line in progress]
    assert percents == sorted(set(percents))
    assert percents[-1] == 100
    assert {line["type"] for line in progress} == {"progress"}
    assert (result["type"], result["frameCount"], result["encodedClips"]) == ("result", 36, [1])
    report = json.loads(bench.report.read_bytes())
    assert report["frameCount"] == 36
    assert len(barcodes(bench.film)) == 36


def test_the_same_plan_twice_is_work_once(bench: Bench, make_clip: MakeClip) -> None:
    plan = quick_plan(bench, make_clip)
    bench.run_program(plan)
    before = bench.film.stat()

    done = bench.run_program(plan.model_copy(update={"attempt": 2}))

    assert done.returncode == 0
    assert bench.film.stat().st_mtime_ns == before.st_mtime_ns
    assert bench.lines[0]["message"] == "The film was there already."
    assert bench.lines[-1]["frameCount"] == 36


def test_another_plan_for_the_same_place_is_carried_out(bench: Bench, make_clip: MakeClip) -> None:
    bench.run_program(quick_plan(bench, make_clip))

    done = bench.run_program(bench.plan(make_clip(0)))

    assert done.returncode == 0
    assert bench.lines[-1]["frameCount"] == 24


def test_a_report_that_is_not_ours_is_replaced(bench: Bench, make_clip: MakeClip) -> None:
    plan = quick_plan(bench, make_clip)
    bench.store.write(plan.report_uri, b"[1, 2")
    bench.store.write(plan.output_uri, b"something")

    assert bench.run_program(plan).returncode == 0
    assert len(barcodes(bench.film)) == 36


def zeroed(clip: Path, folder: Path) -> Path:
    """Give a copy whose second half of media is zeros; its headers are in order."""
    data = bytearray(clip.read_bytes())
    start = data.index(b"mdat") + 4
    size = int.from_bytes(data[start - 8 : start - 4], "big") - 8
    data[start + size // 3 : start + size] = bytes(size - size // 3)
    broken = folder / clip.name
    broken.write_bytes(data)
    return broken


def error_line(bench: Bench) -> dict[str, object]:
    assert bench.lines[-1]["type"] == "error"
    return bench.lines[-1]


def test_a_clip_that_cannot_be_decoded_is_named_by_its_segment(
    bench: Bench, make_clip: MakeClip, tmp_path: Path
) -> None:
    plan = bench.plan(make_clip(0, frames=36), zeroed(make_clip(1, rate="30"), tmp_path))

    done = bench.run_program(plan)

    assert done.returncode == 65
    line = error_line(bench)
    assert (line["code"], line["retryable"], line["segmentIndex"]) == ("bad_media", False, 10)
    assert "clip 11 (gs://" in str(line["message"])
    assert not bench.film.exists()
    assert not bench.report.exists()


def test_a_clip_that_breaks_off_is_named_by_its_segment(bench: Bench, make_clip: MakeClip, tmp_path: Path) -> None:
    whole = make_clip(1, suffix="mkv", frames=48).read_bytes()
    broken = tmp_path / "half.mkv"
    broken.write_bytes(whole[: len(whole) // 2])

    done = bench.run_program(bench.plan(make_clip(0), broken))

    assert done.returncode == 65
    assert error_line(bench)["segmentIndex"] == 10
    assert "breaks off" in str(error_line(bench)["message"])


def test_a_clip_that_was_changed_since_is_refused(bench: Bench, make_clip: MakeClip) -> None:
    plan = quick_plan(bench, make_clip)
    bench.store.write(plan.clips[1].uri, make_clip(2).read_bytes())

    done = bench.run_program(plan)

    assert done.returncode == 66
    assert (error_line(bench)["code"], error_line(bench)["segmentIndex"]) == ("precondition_failed", 10)


def test_a_clip_that_is_gone_is_named(bench: Bench, make_clip: MakeClip) -> None:
    plan = quick_plan(bench, make_clip)
    bench.store.delete(plan.clips[0].uri)

    assert bench.run_program(plan).returncode == 66
    assert (error_line(bench)["code"], error_line(bench)["segmentIndex"]) == ("not_found", 0)


def test_a_clip_of_another_length_than_planned_is_refused(bench: Bench, make_clip: MakeClip) -> None:
    plan = replaced(quick_plan(bench, make_clip), 0, facts={"size_bytes": 5})

    assert bench.run_program(plan).returncode == 66


def test_a_film_that_cannot_fit_the_disk_is_not_begun(bench: Bench, make_clip: MakeClip) -> None:
    plan = replaced(quick_plan(bench, make_clip), 0, facts={"size_bytes": 10**18})

    assert bench.run_program(plan).returncode == 74
    assert (error_line(bench)["code"], error_line(bench)["retryable"]) == ("disk_full", True)
    assert "MB of disk are needed" in str(error_line(bench)["message"])


@pytest.mark.parametrize("text", ["", "{", '{"schemaVersion": 1}', "[]"])
def test_a_plan_that_cannot_be_read_is_bad_input(bench: Bench, make_clip: MakeClip, text: str) -> None:
    command = bench.command(quick_plan(bench, make_clip))
    Path(command[command.index("--plan") + 1]).write_text(text)

    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=REPOSITORY)

    assert done.returncode == 65
    assert json.loads(done.stdout)["code"] == "bad_message"


def test_a_wrong_command_line_is_usage() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "gpu_job", "--plan"], capture_output=True, text=True, check=False, cwd=REPOSITORY
    )

    assert done.returncode == 64
    assert "usage" in done.stderr


def test_a_missing_ffmpeg_says_what_to_do(bench: Bench, make_clip: MakeClip) -> None:
    done = bench.run_program(quick_plan(bench, make_clip), "--ffmpeg", "no-such-program")

    assert done.returncode == 69
    assert (error_line(bench)["code"], error_line(bench)["retryable"]) == ("no_ffmpeg", False)
    assert "LONGREEL_FFMPEG" in str(error_line(bench)["message"])


def script(folder: Path, body: str) -> str:
    """Write a program that passes for FFmpeg until it is asked to encode a clip; then it does `body`."""
    program = folder / "ffmpeg"
    program.write_text(
        "#!/bin/sh\n"
        'case "$*" in\n'
        '-version) echo "ffmpeg version 7.1 here";;\n'
        "*-encoders*) printf ' V....D libx264 x\\n A....D aac x\\n';;\n"
        '*"-f null -") ;;\n'
        f"*) {body};;\n"
        "esac\n"
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return str(program)


def test_an_ffmpeg_that_hangs_is_stopped_although_it_goes_on_talking(
    bench: Bench, make_clip: MakeClip, tmp_path: Path
) -> None:
    program = script(tmp_path, "while :; do echo frame=3; echo progress=continue; read -t 0.1 x < /dev/zero; done")

    done = bench.run_program(quick_plan(bench, make_clip), "--ffmpeg", program, "--stall-seconds", "0.5")

    assert done.returncode == 75
    assert (error_line(bench)["code"], error_line(bench)["retryable"]) == ("encoder_stalled", True)


@pytest.mark.parametrize(
    ("body", "code", "retryable", "word"),
    [
        ("echo 'x: No space left on device' >&2; exit 1", 74, True, "disk is full"),
        ("kill -9 $$", 75, True, "killed by signal 9"),
        ("echo 'Unrecognized option q' >&2; exit 1", 70, False, "Unrecognized option"),
        ("echo 'moov atom not found' >&2; exit 1", 65, False, "moov atom not found"),
    ],
)
def test_how_ffmpeg_ends_decides_who_is_to_blame(
    bench: Bench, make_clip: MakeClip, tmp_path: Path, body: str, code: int, retryable: bool, word: str
) -> None:
    done = bench.run_program(quick_plan(bench, make_clip), "--ffmpeg", script(tmp_path, body))

    assert done.returncode == code
    assert error_line(bench)["retryable"] is retryable
    assert word in str(error_line(bench)["message"])
    assert EXITS[code].retryable is retryable


@contextmanager
def started(command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=REPOSITORY,
        env=clean_environment(),
    )
    try:
        with process:
            yield process
            process.kill()
    finally:
        process.kill()


def wait_for_encoding(lines: IO[bytes]) -> None:
    """Read lines until frames are being made; a process that ends before is a failure."""
    for line in lines:
        if "Encoding" in json.loads(line).get("message", ""):
            return
    pytest.fail("the program ended before it encoded anything")


def children(pid: int) -> list[int]:
    """Give the ids of a process's children."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            found += [int(entry.name)] if int(fields[1]) == pid else []
    return found


def encoders_of(pid: int) -> list[int]:
    """Wait until a stitch has an FFmpeg, and give descriptors of those that it has: between two chunks it has none."""
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        with suppress(ProcessLookupError):
            if found := [os.pidfd_open(child) for child in children(pid)]:
                return found
    pytest.fail("no FFmpeg was started")


def gone(descriptor: int) -> bool:
    """Wait until the process that this descriptor stands for is gone."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    try:
        return bool(poll.poll(PATIENCE_SECONDS * 1000))
    finally:
        os.close(descriptor)


def nothing_came_out(bench: Bench) -> bool:
    return not bench.film.exists() and not bench.report.exists()


@LINUX_ONLY
def test_sigterm_ends_it_and_its_ffmpeg_and_leaves_nothing(bench: Bench, slow_plan: StitchPlan) -> None:
    with started(bench.command(slow_plan, "--processes", "1")) as program:
        assert program.stdout
        wait_for_encoding(program.stdout)
        encoders = encoders_of(program.pid)

        program.send_signal(signal.SIGTERM)

        assert program.wait(PATIENCE_SECONDS) == 143
        assert len(encoders) == 1
        assert all(map(gone, encoders))
    assert nothing_came_out(bench)


@LINUX_ONLY
def test_the_end_of_standard_input_ends_it(bench: Bench, slow_plan: StitchPlan) -> None:
    with started(bench.command(slow_plan, "--stop-on-stdin-eof")) as program:
        assert program.stdout
        assert program.stdin
        wait_for_encoding(program.stdout)

        program.stdin.close()

        assert program.wait(PATIENCE_SECONDS) == 143
    assert nothing_came_out(bench)


@LINUX_ONLY
def test_when_its_parent_is_killed_no_orphan_goes_on(bench: Bench, slow_plan: StitchPlan) -> None:
    command = bench.command(slow_plan, "--stop-on-stdin-eof", "--processes", "1")
    parent = f"import subprocess; subprocess.Popen({command!r}, stdin=subprocess.PIPE).wait()"
    with started([sys.executable, "-c", parent]) as process:
        assert process.stdout
        wait_for_encoding(process.stdout)
        (program,) = children(process.pid)
        family = [os.pidfd_open(program), *encoders_of(program)]

        process.kill()

        assert all(map(gone, family))
    assert nothing_came_out(bench)


@LINUX_ONLY
def test_killed_itself_it_takes_ffmpeg_along_and_the_next_run_cleans_up(
    bench: Bench, slow_plan: StitchPlan, make_clip: MakeClip
) -> None:
    with started(bench.command(slow_plan, "--processes", "1")) as program:
        assert program.stdout
        wait_for_encoding(program.stdout)
        (encoder,) = encoders_of(program.pid)

        program.kill()

        assert gone(encoder)
    assert nothing_came_out(bench)
    assert bench.leftovers() != []

    assert bench.run_program(bench.plan(make_clip(0))).returncode == 0
    assert bench.leftovers() == []


@LINUX_ONLY
def test_two_at_once_on_one_job_do_not_trample_on_each_other(
    bench: Bench, slow_plan: StitchPlan, make_clip: MakeClip
) -> None:
    with started(bench.command(slow_plan)) as program:
        assert program.stdout
        wait_for_encoding(program.stdout)

        done = bench.run_program(bench.plan(make_clip(0)))

        assert done.returncode == 75
        assert "another stitch" in str(error_line(bench)["message"])
        program.send_signal(signal.SIGTERM)
        program.wait(PATIENCE_SECONDS)


@LINUX_ONLY
def test_when_nobody_reads_its_lines_it_stops(bench: Bench, slow_plan: StitchPlan) -> None:
    with started(bench.command(slow_plan)) as program:
        assert program.stdout
        wait_for_encoding(program.stdout)

        program.stdout.close()

        assert program.wait(PATIENCE_SECONDS) == 143
    assert nothing_came_out(bench)
