"""Stopping, cancelling, watching and resuming, from the same terminal and from another."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest

from embedded import exits
from tests.cli.conftest import SCENE_FRAMES, SCENE_MS, Door, frames, next_line, until

LONG = 60


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
def test_a_stopped_job_says_how_it_goes_on_and_resume_makes_no_finished_scene_again(
    door: Door, number: signal.Signals
) -> None:
    making = door.start("make", door.script(12), "-o", "film.mp4", "--scene-ms", SCENE_MS)
    next_line(making, having="Imaginating")
    until(lambda: len(list(door.home.rglob("clip.mp4"))) >= 3)
    making.send_signal(number)
    _, complaint = making.communicate(timeout=20)

    [job] = door.jobs()
    assert making.returncode == exits.INTERRUPTED
    assert f"`longreel resume {job['jobId']}` finishes the film." in complaint
    assert f"{job['doneCount']} of 12 scenes" in complaint
    assert "Traceback" not in complaint
    assert not (door.folder / "film.mp4").exists()

    made = {path: path.stat().st_mtime_ns for path in door.home.rglob("clip.mp4")}
    door.ok("resume", job["jobId"])
    assert frames(door.folder / "film.mp4") == 12 * SCENE_FRAMES
    assert made.items() <= {path: path.stat().st_mtime_ns for path in door.home.rglob("clip.mp4")}.items()
    assert all(each["attempt"] == 1 for each in door.job(job["jobId"])["segments"])


def test_ctrl_c_amid_an_encode_counts_as_no_failure(door: Door, clips: Path) -> None:
    """A terminal sends Ctrl-C to every process of the command, so the encoder must not take it for its own end."""
    stitching = door.start(
        "stitch", clips / "one.mp4", clips / "two.mov", clips / "silent.mp4", "-o", "film.mp4", "--json"
    )
    next_line(stitching, having='"stitching"')
    until(lambda: any((door.home / "objects").rglob("clip-*")))
    os.killpg(stitching.pid, signal.SIGINT)
    stitching.communicate(timeout=20)

    [job] = door.jobs()
    assert stitching.returncode == exits.INTERRUPTED
    assert (job["state"], job["stitchError"]) == ("stitching", None)
    door.ok("resume", job["jobId"])
    assert frames(door.folder / "film.mp4") == 3 * 24


def test_another_terminal_sees_a_running_job_and_its_cancel_stops_the_work_at_once(door: Door) -> None:
    making = door.start("make", door.script(LONG), "-o", "film.mp4", "--scene-ms", "2000")
    next_line(making, having="Imaginating")
    [job] = door.jobs()
    watching = door.start("watch", job["jobId"], "--json")
    next_line(watching, having='"generating"')

    assert f"of {LONG} scenes done" in door.ok("status", job["jobId"])
    assert "Process" in door.ok("doctor", job["jobId"])
    said = door.ok("cancel", job["jobId"])
    cancelled_at = time.monotonic()
    _, complaint = making.communicate(timeout=20)
    stopped_after = time.monotonic() - cancelled_at

    assert said.startswith(f"{job['jobId']} is cancelled; ")
    assert making.returncode == exits.CANCELLED
    assert f"{job['jobId']} was cancelled by the user." in complaint
    # About a second on a machine with nothing else to do; a card of two seconds takes longer than this to draw here.
    assert stopped_after < 5
    lines = watching.communicate(timeout=20)[0].splitlines()
    assert watching.returncode == exits.CANCELLED
    assert json.loads(lines[-1])["type"] == "end"
    assert json.loads(lines[-1])["exitCode"] == exits.CANCELLED

    assert "was cancelled already; nothing was changed." in door.ok("cancel", job["jobId"])
    assert "is cancelled, so there is nothing to replay." in door.ok("replay", job["jobId"])
    assert "start a new job" in door.refused("resume", job["jobId"], code=exits.FAILED)


def test_two_processes_see_one_job_through_together_and_both_have_the_film(door: Door) -> None:
    first = door.start("make", door.script(16), "-o", "film.mp4", "--scene-ms", SCENE_MS)
    next_line(first, having="Imaginating")
    [job] = door.jobs()
    second = door.start("resume", job["jobId"])

    for each in (first, second):
        output, complaint = each.communicate(timeout=40)
        assert (each.returncode, complaint) == (0, "")
        assert f"Film: {door.folder / 'film.mp4'}" in output
    assert frames(door.folder / "film.mp4") == 16 * SCENE_FRAMES
    assert all(each["attempt"] == 1 for each in door.job(job["jobId"])["segments"])


def test_a_second_ctrl_c_ends_at_once_and_resume_still_finishes(door: Door) -> None:
    making = door.start("make", door.script(4), "-o", "film.mp4", "--scene-ms", "3000")
    next_line(making, having="Imaginating")
    until(lambda: any(door.home.rglob("*.part")) or any((door.home / "objects" / ".parts").glob("*.mp4")))
    making.send_signal(signal.SIGINT)
    making.send_signal(signal.SIGINT)
    making.communicate(timeout=10)

    assert making.returncode == exits.INTERRUPTED
    [job] = door.jobs()
    door.ok("replay", job["jobId"])
    door.ok("resume", job["jobId"])
    assert frames(door.folder / "film.mp4") == 4 * 3 * 24


def test_watching_can_be_stopped_without_touching_the_job(door: Door) -> None:
    making = door.start("make", door.script(LONG), "-o", "film.mp4", "--scene-ms", SCENE_MS)
    next_line(making, having="Imaginating")
    [job] = door.jobs()
    watching = door.start("watch", job["jobId"])
    next_line(watching, having="%")

    watching.send_signal(signal.SIGINT)
    _, complaint = watching.communicate(timeout=10)

    assert watching.returncode == exits.INTERRUPTED
    assert complaint == f"longreel: Stopped watching; {job['jobId']} is not touched by that.\n"
    assert making.poll() is None


def test_a_finished_job_is_looked_at_from_all_sides(finished: Door) -> None:
    [job] = finished.jobs()
    name, film = job["jobId"], finished.folder / "film.mp4"

    assert f"{name}  completed   100 %  3/3 scenes" in finished.ok("jobs")
    listed = finished.ok("status", name)
    assert "Completed, 100 %, 3 of 3 scenes done\n" in listed
    assert f"Film: {film}  (3 scenes, " in listed
    assert finished.ok("watch", name).endswith(f"Film: {film}\n")
    assert f"`longreel resume {name}` puts the film at its place again." in finished.ok("doctor", name)
    assert "is completed, so there is nothing to replay." in finished.ok("replay", name)
    assert "was completed already; nothing was changed." in finished.ok("cancel", name)
    assert finished.ok("resume", name).endswith(f"Film: {film}\n")
    assert finished.ok("dead-letters", "list") == "There are no dead letters.\n"
    assert json.loads(finished.ok("dead-letters", "list", "--json")) == []
    assert finished.ok("dead-letters", "replay") == "There are no dead letters.\n"


@pytest.mark.parametrize("command", ["status", "watch", "cancel", "resume", "replay", "doctor"])
def test_an_unknown_job_is_one_sentence_and_a_code_of_its_own(finished: Door, command: str) -> None:
    sentence = finished.refused(command, "job_unknown", code=exits.NOT_FOUND)

    assert sentence == "find job_unknown: there is no such job here; `longreel jobs` lists those that are."


def test_an_unknown_dead_letter_is_one_sentence(finished: Door) -> None:
    assert "show dead letter 7: there is none" in finished.refused("dead-letters", "show", "7", code=exits.NOT_FOUND)
    assert "replay dead letter 7: there is none" in finished.refused(
        "dead-letters", "replay", "7", code=exits.NOT_FOUND
    )


def test_the_doctor_says_what_is_here_and_what_is_missing(finished: Door) -> None:
    healthy = finished.ok("doctor")
    assert [line.split()[0] for line in healthy.splitlines()] == ["ok"] * 7

    done = finished.run("doctor", "--json", LONGREEL_FFMPEG="/nowhere/ffmpeg")
    assert done.returncode == exits.FAILED
    [bad] = [each for each in json.loads(done.stdout) if not each["ok"]]
    assert bad["name"] == "ffmpeg"
    assert "/nowhere/ffmpeg" in bad["note"]
