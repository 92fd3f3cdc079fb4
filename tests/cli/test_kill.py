"""kill -9 of the real program, again and again: the job ends, nothing finished is made again, no output is half there.

The moments are drawn from a seed, over the whole life of the program: start-up, drawing, stitching, delivery. How long
that is, a run that nobody kills tells: a program that is always killed too soon for a busy machine never ends.
What must hold, holds at all moments.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.cli.conftest import SCENE_FRAMES, SCENE_MS, Door, frames

KILLS = 22
SCENES = 12


class Killer:
    """Starts the program, kills it, and holds what it left against what must be so.

    Args:
        door: to the program.
        seed: of the moments.
        expected_frames: of a film that is whole.
        life: a command that makes such a film, all but its output; run once without harm, it tells the latest moment.
    """

    def __init__(self, door: Door, seed: int, expected_frames: int, *life: object) -> None:
        self._door = door
        self._chance = random.Random(seed)
        self._frames = expected_frames
        self._clips: dict[Path, tuple[int, int]] = {}
        self.kills = 0
        self._life = life
        began = time.monotonic()
        door.ok(*life, "-o", "unharmed.mp4")
        self._latest_seconds = time.monotonic() - began
        self.check("unharmed.mp4")

    def run(self, output: str, *arguments: object) -> tuple[bool, str]:
        """Start a command, kill it unless it ends before, and check; give whether it ended, and its output."""
        began = time.monotonic()
        child = self._door.start(*arguments)
        moment = self._chance.uniform(0.02, self._latest_seconds)
        whole_group = self._chance.random() < 0.5
        try:
            said, complaint = child.communicate(timeout=moment)
            assert (child.returncode, complaint) == (0, ""), said
            if arguments[: len(self._life)] == self._life:
                # The machine is less busy than it was.
                self._latest_seconds = time.monotonic() - began
        except subprocess.TimeoutExpired:
            if whole_group:
                os.killpg(child.pid, signal.SIGKILL)
            else:
                child.kill()
            said, _ = child.communicate()
            self.kills += 1
        self.check(output)
        return child.returncode == 0, said

    def check(self, output: str) -> None:
        """Check that the film is whole or absent, and that no finished clip was touched."""
        film = self._door.folder / output
        if film.exists():
            assert frames(film) == self._frames
        clips = {
            path: (path.stat().st_ino, path.stat().st_mtime_ns)
            for path in (self._door.home / "objects").glob("*/jobs/*/segments/*/*/clip.mp4")
        }
        assert self._clips.items() <= clips.items(), "a finished clip was made again or lost"
        self._clips = clips

    def see_through(self, output: str, *arguments: object) -> str:
        """Start a job and go on with it, killing all the while, until it is completed; give its id."""
        job_id, ended = None, False
        while not ended:
            if job_id is None:
                ended, said = self.run(output, *arguments, "-o", output)
                job_id = said.partition(":")[0] or self._job_of(output)
            else:
                ended, _ = self.run(output, "resume", job_id)
        assert (self._door.folder / output).exists()
        assert job_id is not None
        return job_id

    def _job_of(self, output: str) -> str | None:
        """Give the id of a job whose maker was killed before it could say it; None where it was not even made."""
        if not (self._door.home / "longreel.db").exists():
            return None
        found = [job["jobId"] for job in self._door.jobs() if job["projectId"].startswith(f"{Path(output).stem}-")]
        assert len(found) <= 1
        return found[0] if found else None


@pytest.mark.timeout(240)
def test_whenever_the_program_is_killed_resume_finishes_the_film_and_makes_nothing_twice(door: Door) -> None:
    life = ("make", door.script(SCENES), "--scene-ms", SCENE_MS)
    killer = Killer(door, 20260101, SCENES * SCENE_FRAMES, *life)

    films = 0
    while killer.kills < KILLS:
        films += 1
        output = f"film{films}.mp4"
        job_id = killer.see_through(output, *life)

        assert frames(door.folder / output) == SCENES * SCENE_FRAMES
        job = door.job(job_id)
        assert job["film"]["report"]["frameCount"] == SCENES * SCENE_FRAMES
        assert [each["state"] for each in job["segments"]] == ["done"] * SCENES
        made = list((door.home / "objects").glob(f"*/jobs/{job_id}/segments/*/*/clip.mp4"))
        assert len(made) == SCENES, "each scene was made once"
    assert door.ok("dead-letters", "list") == "There are no dead letters.\n"
    assert not [path for path in door.folder.iterdir() if path.name.startswith(".")], "nothing is left beside the films"


@pytest.mark.timeout(240)
def test_a_kill_amid_an_encode_leaves_no_half_film_and_no_orphan(door: Door, clips: Path) -> None:
    life = ("stitch", clips / "one.mp4", clips / "two.mov", clips / "silent.mp4")
    killer = Killer(door, 7, 3 * 24, *life)

    films = 0
    while killer.kills < 6:
        films += 1
        output = f"reel{films}.mp4"
        killer.see_through(output, *life)
        assert frames(door.folder / output) == 3 * 24
    home = os.fsencode(door.home)
    lines = subprocess.run(["ps", "-eo", "args"], capture_output=True, check=True).stdout.splitlines()
    assert not [line for line in lines if home in line and b"gpu_job" in line], "the encoder died with its parent"
