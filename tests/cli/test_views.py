"""What a running job looks like: in a pipe, to a program, in a terminal."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import struct
import subprocess
import termios

import pytest

from tests.cli.conftest import SCENE_FRAMES, SCENE_MS, Door, frames


def test_a_pipe_gets_a_few_plain_lines_however_many_scenes_there_are(door: Door) -> None:
    said = door.ok("make", door.script(40), "-o", "film.mp4", "--scene-ms", SCENE_MS, "--parallel", "8")

    assert "\x1b" not in said
    assert "\r" not in said
    lines = said.splitlines()
    assert len(lines) <= 20
    assert re.fullmatch(r"job_\w+: 40 scenes, a storyboard: a free preview of its pace", lines[0])
    percents = [int(line[:3]) for line in lines if "%" in line[:6]]
    assert percents == sorted(percents)


def test_programs_get_one_json_object_a_line_and_the_end_last(door: Door) -> None:
    lines = [
        json.loads(line)
        for line in door.ok("make", door.script(4), "-o", "film.mp4", "--scene-ms", SCENE_MS, "--json").splitlines()
    ]

    assert {line["type"] for line in lines} == {"job", "segment", "end"}
    assert len({line["jobId"] for line in lines}) == 1
    latest = {line["index"]: line for line in lines if line["type"] == "segment"}
    assert [latest[index]["state"] for index in range(4)] == ["done"] * 4
    assert latest[0]["title"] == "Scene number 1"
    progress = [line["progress"] for line in lines if line["type"] == "job"]
    assert progress == sorted(progress)
    assert lines[-1] == {
        "type": "end",
        "jobId": lines[0]["jobId"],
        "state": "completed",
        "output": str(door.folder / "film.mp4"),
        "warnings": [],
        "error": None,
        "exitCode": 0,
    }


def test_a_reader_that_leaves_ends_a_list_quietly_and_never_a_film(door: Door) -> None:
    make = f"longreel make {door.script(6)} -o film.mp4 --scene-ms {SCENE_MS} | head -n 1; longreel jobs | head -n 0"
    path = f"{os.path.dirname(door._command(())[0])}{os.pathsep}{os.environ['PATH']}"  # noqa: PTH120
    done = subprocess.run(
        ["/bin/bash", "-c", f"{make}; echo ${{PIPESTATUS[0]}}"],
        cwd=door.folder, env={**door.environment, "PATH": path}, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip

    assert done.stderr == ""
    assert done.stdout.splitlines()[-1] == "0"
    assert frames(door.folder / "film.mp4") == 6 * SCENE_FRAMES


@pytest.mark.parametrize(("columns", "rows"), [(100, 30), (40, 10)])
def test_a_terminal_shows_a_bar_the_time_and_a_line_a_scene(door: Door, columns: int, rows: int) -> None:
    screen = _in_terminal(door, columns, rows, "make", door.script(14), "-o", "film.mp4", "--scene-ms", SCENE_MS)

    assert "Imaginating" in screen
    assert "━" in screen
    assert re.search(r"100 %", screen)
    assert re.search(r"(less than 1|\d+) s", screen)
    assert "Scene number 1" in screen
    assert ("and " in screen and " more; " in screen) == (rows < 14)
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen)
    live = [line for line in re.split(r"[\r\n]+", shown) if "●" in line or "━" in line or "◐" in line]
    assert max(map(len, live)) <= columns
    assert screen.rfind("\x1b[?25h") > screen.rfind("\x1b[?25l"), "the cursor is shown again"


def test_what_a_prompt_holds_cannot_steer_the_terminal(door: Door) -> None:
    prompt = "Innocent\x1b[2J\x1b]0;owned\x07 \u202etxet"
    screen = _in_terminal(door, 80, 24, "make", "-", "-o", "film.mp4", "--scene-ms", SCENE_MS, stdin=prompt)
    [job] = door.jobs()

    for said in (screen, door.ok("status", job["jobId"]), door.ok("jobs")):
        assert "\x1b[2J" not in said
        assert "\x1b]0;" not in said
        assert "\u202e" not in said
    assert "Innocent" in screen


def _in_terminal(door: Door, columns: int, rows: int, *arguments: object, stdin: str = "") -> str:
    """Run a command in a terminal of this size; give all that it wrote."""
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    environment = {**door.environment, "TERM": "xterm-256color"}
    del environment["COLUMNS"]
    child = subprocess.Popen(
        door._command(arguments), cwd=door.folder, env=environment, stdin=subprocess.PIPE, stdout=its, stderr=its
    )
    os.close(its)
    assert child.stdin is not None
    child.stdin.write(stdin.encode())
    child.stdin.close()
    written = b""
    while True:
        assert select.select([ours], [], [], 60)[0], written
        try:
            chunk = os.read(ours, 65536)
        except OSError:  # Linux's way to say that nobody has the terminal any more
            break
        if not chunk:
            break
        written += chunk
    os.close(ours)
    assert child.wait(10) == 0, written
    return written.decode()
