"""The embedded program killed by -9 at random moments over a batch of films; nothing is lost, nothing is made twice.

    python -m tests.chaos.embedded [--kills 200] [--seed N]

Rounds of five films in one home, several of them under way at once: every program that runs works at all of them. It
is killed alone, with its process group, or with everything that it started, and the next one starts at once. The same
films are made undisturbed first; what the killed ones become must be equal. A seed draws the same films, moments and
ways to die again; what a moment hits also depends on the machine.
"""

from __future__ import annotations

import argparse
import os
import random
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.limits import DEATHS_MAX
from pipeline.records import JobState
from tests.chaos.batch import Recipe, recipes
from tests.chaos.home import Ledger, Snapshot
from tests.chaos.processes import Orphans, family, kill
from tests.chaos.report import Broken, Trace, counts_in_words, holds, say
from tests.cli.conftest import PROGRAM, Door, frames

#: Latest moment of most kills, in seconds after the start: a film of the batch takes one to three on two cores.
LATEST_SECONDS = 2.5
#: How many programs live longer, and how much, in undisturbed films. A program that never lived as long as its longest
#: piece of work would never end it, and after 50 deaths in its hands a message is rightly held to be their cause.
LONGER_SHARE, LONGER_FILMS = 0.15, 1.5
#: Longest that a program may take that nobody kills.
PATIENCE_SECONDS = 120
WAYS = ("alone", "with its group", "with all that it started")


@dataclass
class Film:
    """A film that was ordered."""

    recipe: Recipe
    output: str
    job_id: str | None = None
    delivered: bool = False


def outcome(now: Snapshot, job_id: str) -> dict[str, Any]:
    """Give what must be the same whether a film's program was killed or not."""
    job = now.jobs[job_id]
    report = job.film.report if job.film is not None else None
    return {
        "state": str(job.state),
        "counts": (job.done_count, job.skipped_count),
        "segments": [(str(each.state), each.attempt, each.tries) for each in now.of(job_id)],
        "stitcher": job.route.stitcher if job.route is not None else None,
        "frames": report.frame_count if report is not None else None,
        "durationMs": report.duration_ms if report is not None else None,
        "warnings": job.warnings,
        "error": job.error,
    }


class Chaos:
    """A home at which the program works and is killed.

    Args:
        folder: of its own.
        seed: draws films, moments and ways to die.
        kinds: only so many kinds of films; None for all.
    """

    def __init__(self, folder: Path, seed: int, kinds: int | None = None) -> None:
        self.trace = Trace(folder / "trace.jsonl")
        self._chance = random.Random(seed)
        self._door = Door(folder)
        self._recipes = recipes(self._door)[:kinds]
        self.ledger = Ledger(self._door.home)
        self.orphans = Orphans()
        self._expected: dict[str, dict[str, Any]] = {}
        self.films: list[Film] = []
        self.hit: Counter[str] = Counter()
        self.ways: Counter[str] = Counter()
        self.starts = 0
        #: What the slowest film took that nobody disturbed.
        self._slowest_seconds = 0.0

    @property
    def kills(self) -> int:
        """Give how often a program was killed so far."""
        return self.ways.total()

    def close(self) -> None:
        """End what still runs."""
        self._door.close()

    def make_undisturbed(self) -> None:
        """Make each film once in peace: what the others are held against."""
        for recipe in self._recipes:
            film, began = Film(recipe, f"{recipe.name}-undisturbed.mp4"), self.trace.seconds
            self._live(film, moment=None)
            self._slowest_seconds = max(self._slowest_seconds, self.trace.seconds - began)
            holds(film.job_id is not None and film.delivered, "a film that nobody disturbs is made", film)
            assert film.job_id is not None
            self._expected[recipe.name] = outcome(self.ledger.latest, film.job_id)

    def run(self, kills: int) -> None:
        """Order round after round of films until the program was killed so often; then see all of them through."""
        while self.kills < kills:
            number = len(self.films) // len(self._recipes)
            films = [Film(each, f"{each.name}-{number}.mp4") for each in self._recipes]
            self.films += films
            while waiting := [each for each in films if not each.delivered]:
                moment = self._moment()
                self._live(self._chance.choice(waiting), moment if self.kills < kills else None)

    def _moment(self) -> float:
        """Draw how long a program may live, in seconds."""
        share, moment = self._chance.random(), self._chance.random()
        longer = LONGER_FILMS * self._slowest_seconds if share < LONGER_SHARE else 0.0
        return 0.02 + moment * (LATEST_SECONDS - 0.02 + longer)

    def _live(self, film: Film, moment: float | None) -> None:
        """Let one program live until its moment has come, or it has ended; then hold everything against the ledger."""
        arguments = ("resume", film.job_id) if film.job_id else (*film.recipe.arguments, "-o", film.output)
        way = self._chance.choice(WAYS)
        child = self._door.start(*arguments)
        self.starts += 1
        try:
            said, complaint = child.communicate(timeout=PATIENCE_SECONDS if moment is None else moment)
        except subprocess.TimeoutExpired:
            holds(moment is not None, "a program that nobody kills ends in time", arguments)
            self._kill(child, way)
            now = self.ledger.check()
            self._remember(film, now, way)
            self.trace.note(kill=self.kills, way=way, moment=moment, film=film.output, job=film.job_id)
        else:
            self.trace.note(ended=child.returncode, film=film.output, job=film.job_id, said=said[-300:])
            self._remember(film, self.ledger.check(), None)
            film.delivered = (child.returncode, complaint) == (0, "")
            may_fail = not film.delivered and self._never_began(film)
            holds(film.delivered or may_fail, "a program that nobody kills succeeds", (said, complaint))
        path = self._door.folder / film.output
        holds(film.delivered <= path.exists(), "a film that is said to be there is there", film.output)
        overstayed = self.orphans.overstayed()
        holds(not overstayed, "nothing outlives a killed program", overstayed)

    def _never_began(self, film: Film) -> bool:
        """Tell whether a job failed because its stitch was killed again and again before it began; a resume helps."""
        job = self.ledger.latest.job_of(film.output)
        if job is None or job.state is not JobState.FAILED or job.error is None or job.error.code != "stitch_lost":
            return False
        return job.stitch.deaths >= DEATHS_MAX and self.ledger.was_unstarted(job.job_id, job.stitch.attempt)

    def _kill(self, child: subprocess.Popen[str], way: str) -> None:
        # It stands still while we look for what it started, so that nothing is overlooked.
        os.kill(child.pid, signal.SIGSTOP)
        left = family(child.pid)
        if way == WAYS[1]:
            os.killpg(child.pid, signal.SIGKILL)
        else:
            os.kill(child.pid, signal.SIGKILL)
        if way == WAYS[2]:
            kill(left)
        child.communicate()
        self.orphans.watch(left)

    def _remember(self, film: Film, now: Snapshot, way: str | None) -> None:
        job = now.job_of(film.output)
        holds(film.job_id is None or job is not None, "no job is lost", film)
        film.job_id = job.job_id if job is not None else None
        if way is not None:
            self.ways[way] += 1
            self.hit["before there was a job" if job is None else f"with the job {job.state}"] += 1

    def check(self) -> int:
        """Hold every film against its undisturbed twin, and everything on the disk; give how many objects there are.

        Raises:
            Broken: a promise was.
        """
        left = self.orphans.wait()
        holds(not left, "nothing outlives a killed program", left)
        now = self.ledger.check()
        for film in self.films:
            assert film.job_id is not None
            self._check_film(film, now)
        unfinished = [each.job_id for each in now.jobs.values() if each.state is not JobState.COMPLETED]
        holds(not unfinished, "every job is completed", unfinished)
        hidden = [path.name for path in self._door.folder.iterdir() if path.name.startswith(".")]
        holds(not hidden, "nothing is left beside the films", hidden)
        return self.ledger.check_everything_is_whole()

    def _check_film(self, film: Film, now: Snapshot) -> None:
        assert film.job_id is not None
        expected, found = self._expected[film.recipe.name], outcome(now, film.job_id)
        other = {name: (found[name], expected[name]) for name in expected if found[name] != expected[name]}
        holds(not other, f"{film.output} is what it is without a kill", other)
        job = now.jobs[film.job_id]
        self.ledger.check_stitch_attempts(job)
        rows = (job.stitch.attempt - 1) // DEATHS_MAX
        holds(job.resume_count <= rows, f"{film.output} failed only where {DEATHS_MAX} attempts were killed", job)
        played = frames(self._door.folder / film.output)
        holds(played == expected["frames"], f"{film.output} plays all its frames", played)

    def summary(self, objects: int) -> str:
        """Give what was done, in lines for people."""
        now = self.ledger.latest
        done = sum(job.done_count for job in now.jobs.values())
        resumed = sum(job.resume_count for job in now.jobs.values())
        again = sum(job.stitch.attempt - 1 for job in now.jobs.values())
        kinds = Counter(each.recipe.name for each in self.films)
        return "\n".join(
            [
                f"{self.kills} kills in {self.trace.seconds:.0f} s over {self.starts} programs",
                f"  who died        {counts_in_words(self.ways)}",
                f"  what was hit    {counts_in_words(self.hit)}",
                f"  films           {len(self.films)} ({counts_in_words(kinds)}), each as without a kill",
                f"  clips           {done} made; lost 0, made twice 0",
                f"  stitches        {again} begun anew, each because its starter died between claim and start",
                f"  resumed         {resumed} after {DEATHS_MAX} such deaths",
                f"  left behind     {self.orphans.count} processes watched, 0 outlived their program",
                f"  on the disk     {objects} objects, all whole; integrity_check ok; 0 dead letters",
                f"  messages left   {now.messages}",
            ]
        )


def main() -> int:
    """Read the command line and do it; give the exit status."""
    parser = argparse.ArgumentParser(description="Kill the embedded program again and again.")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=None, help="chosen by chance where it is not given")
    options = parser.parse_args()
    if not PROGRAM.exists():
        say(f"There is no {PROGRAM}: `make test` installs it.")
        return os.EX_UNAVAILABLE
    seed = secrets.randbelow(10**6) if options.seed is None else options.seed
    say(f"The embedded program under kill -9: {options.kills} kills, seed {seed}")
    folder = Path(tempfile.mkdtemp(prefix="longreel-chaos-"))
    chaos = Chaos(folder, seed)
    try:
        chaos.make_undisturbed()
        chaos.run(options.kills)
        say(chaos.summary(chaos.check()))
    except Broken as exc:
        say(f"BROKEN after {chaos.kills} kills, seed {seed}: {exc}")
        say(f"The trace is {chaos.trace.path}, the home and its log lie beside it.")
        return 1
    finally:
        chaos.close()
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
