"""The functions killed by -9 amid requests, on Google's emulators; no film is lost, no clip is bought twice.

    python -m tests.chaos.cloud [--kills 100] [--films 20] [--seed N]

Apps order films of four clips of Veo's loopback server, a few at a time, as long as there are kills to come. After a
random number of calls, at a random moment when requests run, the process of all functions is killed and another takes
its place. The functions' time runs fast, so that leases run out and Cloud Scheduler comes; it stands still while Vertex
works, because a clip that is late by the clock alone may rightly be ordered anew.

A film of which the same step was killed three times in a row has used its tries up, and says so; its app resumes it.
"""

from __future__ import annotations

import argparse
import os
import random
import secrets
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from http.client import HTTPException
from pathlib import Path

from events.names import segment_prefix
from pipeline.limits import DEATHS_MAX, RESUMES_MAX, TRIES_MAX
from pipeline.records import Job, JobState, Segment, SegmentState
from tests.chaos.report import Broken, Trace, counts_in_words, holds, say
from tests.cloud import emulators
from tests.cloud.ordered import CLIP_MICRO_USD, order, wait_until_quiet
from tests.cloud.stack import BUCKET, CallRefused, LocalCloud
from tests.cloud.supervised import supervised
from tests.media.clips import read_frames

SEGMENTS = 4
CLIP_FRAMES = 4 * 24
#: Films that are under way at once.
APPS = 6
#: Fewest and most calls that a process serves before it is killed, however fast the machine is; and how much later.
LIVES_CALLS, LATER_SECONDS = (3, 30), 0.3
#: Longest that a process lives when there is little to do: what was killed waits for its lease.
LIVES_SECONDS = 6.0
#: How the functions' time runs: so much, after so long of ours; Cloud Scheduler comes after so many of those steps.
STEP_SECONDS, EVERY_SECONDS, SWEEP_STEPS = 15, 0.5, 4
#: Longest that one film may take, in seconds of ours.
FILM_SECONDS = 300


class Chaos:
    """Apps that order films, time that passes, and a killer.

    Args:
        cloud: open, and nobody else's.
        seed: draws the moments.
        trace: is told of every step.
    """

    def __init__(self, cloud: LocalCloud, seed: int, trace: Trace) -> None:
        self._cloud = cloud
        self._chance = random.Random(seed)
        self._trace = trace
        self._over = threading.Event()
        #: The killer is done, or something went wrong: the films that are under way are the last, if there are enough.
        self._enough = threading.Event()
        self._guard = threading.Lock()
        self._ordered = 0
        self.jobs: list[str] = []
        #: Calls that were running when the process was killed → how often.
        self.running: Counter[int] = Counter()
        self.resumed: Counter[str] = Counter()
        self.given_up: Counter[str] = Counter()

    @property
    def kills(self) -> int:
        """Give how often the process was killed so far."""
        return self.running.total()

    def run(self, kills: int, films: int) -> None:
        """Let films be made until there are so many, and the process was killed so often."""
        clock = threading.Thread(target=self._let_time_pass)
        clock.start()
        try:
            with ThreadPoolExecutor(APPS) as pool:
                apps = [pool.submit(self._order_films, films) for _ in range(APPS)]
                try:
                    while self.kills < kills and not any(each.done() for each in apps):
                        self._kill_amid_a_request()
                finally:
                    self._enough.set()
                _results(apps)
            wait_until_quiet(self._cloud)
        finally:
            self._over.set()
            clock.join()

    def _kill_amid_a_request(self) -> None:
        calls, until = self._chance.randint(*LIVES_CALLS), time.monotonic() + LIVES_SECONDS
        while len(self._cloud.controlled()["delivered"]) < calls and time.monotonic() < until:
            time.sleep(0.05)
        time.sleep(self._chance.uniform(0, LATER_SECONDS))
        while not (told := self._cloud.controlled())["running"] and time.monotonic() < until:
            time.sleep(self._chance.uniform(0, 0.02))
        os.kill(told["pid"], signal.SIGKILL)
        self.running[told["running"]] += 1
        served = len(told["delivered"])
        self._trace.note(kill=self.kills, pid=told["pid"], running=told["running"], served=served, now=told["now"])

    def _let_time_pass(self) -> None:
        steps = 0
        while not self._over.wait(EVERY_SECONDS):
            if self._cloud.vertex.pending():
                continue
            self._cloud.advance(STEP_SECONDS)
            steps += 1
            if steps % SWEEP_STEPS == 0:
                self._cloud.sweep()

    def _order_films(self, films: int) -> None:
        """Order one film after the other, as one app."""
        while True:
            with self._guard:
                if self._enough.is_set() and self._ordered >= films:
                    return
                self._ordered += 1
                name = f"film-{self._ordered}"
            job_id = self._order(name)
            with self._guard:
                self.jobs.append(job_id)
            self._see_through(name, job_id)

    def _order(self, name: str) -> str:
        """Order as an app does that gets no answer: again, by the same request."""
        while True:
            try:
                return order(self._cloud, name, SEGMENTS)
            except (OSError, HTTPException):
                continue

    def _see_through(self, name: str, job_id: str) -> None:
        until = time.monotonic() + FILM_SECONDS
        while (job := self._cloud.job(job_id)).active or job.state is not JobState.COMPLETED:
            holds(time.monotonic() < until, f"{job_id} ends", (job, self._cloud.segments(job_id)))
            if not job.active:
                self._resume(name, job)
            time.sleep(0.2)
        self._trace.note(film=name, job=job_id, stitches=job.stitch.attempt, resumes=job.resume_count)

    def _resume(self, name: str, job: Job) -> None:
        """Go on with a job that failed, as its user does; only one whose tries were all killed may."""
        why = job.error.code if job.error is not None else None
        self._trace.note(failed=job.job_id, error=job.error, stitch=job.stitch)
        work, segments = job.stitch, self._cloud.segments(job.job_id)
        used_up = {
            "stitch_lost": work.tries >= TRIES_MAX or work.deaths >= DEATHS_MAX,
            "attempt_lost": max(each.tries for each in segments) >= TRIES_MAX,
        }
        justified = why is not None and used_up.get(why, False) and job.resume_count < RESUMES_MAX
        holds(justified, f"{job.job_id} is made, or fails because it was killed as often as it may be", job)
        self.resumed[str(why)] += 1
        try:
            self._cloud.call("resumeJob", {"jobId": job.job_id}, uid=name)
        except (OSError, HTTPException, CallRefused) as exc:
            self._trace.note(unheard=repr(exc))

    def check(self) -> None:
        """Hold every film, clip and order against its promise.

        Raises:
            Broken: one was not kept.
        """
        for job_id in self.jobs:
            job = self._cloud.job(job_id)
            segments = self._cloud.segments(job_id)
            self._check_film(job)
            for each in segments:
                self._check_segment(each)
            wasted = sum(each.wasted_micro_usd for each in segments)
            holds(job.cost.wasted_micro_usd == wasted, f"{job_id} shows what was wasted", job.cost)
        self._check_books()

    def _check_film(self, job: Job) -> None:
        holds(job.state is JobState.COMPLETED and job.done_count == SEGMENTS, f"{job.job_id} is completed", job)
        assert job.film is not None
        found = self._cloud.storage.find(job.film.uri)
        assert found is not None, job.film.uri
        holds(found.generation == job.film.generation, "a film is never made again once it is recorded", job.film)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "film.mp4"
            path.write_bytes(found.content.read())
            shown = read_frames(path)
        expected = [(clip, frame) for clip in range(SEGMENTS) for frame in range(CLIP_FRAMES)]
        holds(shown == expected, f"{job.job_id} shows every frame of every clip once, in order", len(shown))

    def _check_segment(self, segment: Segment) -> None:
        where = f"{segment.job_id} clip {segment.index}"
        holds(segment.state is SegmentState.DONE and segment.clip is not None, f"{where} is done", segment)
        assert segment.clip is not None
        prefixes = [
            f"gs://{BUCKET}/{segment_prefix(segment.job_id, segment.index, attempt + 1)}"
            for attempt in range(segment.attempt)
        ]
        vertex = self._cloud.vertex
        bought = [each for each in prefixes if vertex.times_bought(each)]
        sent = {each: vertex.submits[each] for each in prefixes if vertex.submits[each]}
        holds(len(bought) == 1 and vertex.times_bought(bought[0]) == 1, f"{where} is bought once", bought)
        holds(sent == {bought[0]: 1}, f"{where} is ordered once: what is ordered anew was never sent", sent)
        holds(segment.clip.uri.startswith(bought[0]), f"the film holds what was bought for {where}", segment.clip.uri)
        found = self._cloud.storage.find(segment.clip.uri)
        holds(found is not None and found.generation == segment.clip.generation, f"{where} is as it was recorded")
        lost = [each for each in prefixes[:-1] if each != bought[0]]
        holds(segment.wasted_micro_usd == len(lost) * CLIP_MICRO_USD, f"{where} shows what was given up", segment)
        self.given_up["never sent"] += len(lost)

    def _check_books(self) -> None:
        jobs = [self._cloud.job(job_id) for job_id in self.jobs]
        used = sum(each.cost.spent_micro_usd - (each.route.price_micro_usd if each.route else 0) for each in jobs)
        billed = self._cloud.vertex.billed_micro_usd()
        holds(used == billed, "what is shown as spent is what Vertex bills", (used, billed))
        holds(len(jobs) * SEGMENTS * CLIP_MICRO_USD == billed, "every clip is billed once", billed)
        holds(len(set(self.jobs)) == len(self.jobs) == self._ordered, "every order made one job", self._ordered)

    def summary(self) -> str:
        """Give what was done, in lines for people."""
        jobs = [self._cloud.job(job_id) for job_id in self.jobs]
        amid = self.kills - self.running[0]
        stitches = sum(each.stitch.attempt - 1 for each in jobs)
        letters = Counter(str(each.topic) for each in self._cloud.adapters.dead_letters.list())
        bridge, clips = self._cloud.bridge, len(jobs) * SEGMENTS
        return "\n".join(
            [
                f"{self.kills} kills in {self._trace.seconds:.0f} s, {amid} of them amid a request, most amid "
                f"{max(self.running)} at once",
                f"  films           {len(jobs)} of {SEGMENTS} clips; all complete, every frame once and in order",
                f"  clips           {clips} bought, {clips} in their films; lost 0, bought twice 0, sent twice 0",
                f"  given up        {counts_in_words(self.given_up)} (claimed, and killed before the order)",
                f"  stitches        {stitches} begun anew",
                f"  resumed         {counts_in_words(self.resumed)}",
                f"  deliveries      {bridge.calls}, {bridge.refused} of them refused or cut off",
                f"  dead letters    {counts_in_words(letters)}; no film needed them",
            ]
        )


def _results(apps: list[Future[None]]) -> None:
    for each in apps:
        each.result()


def run(kills: int, films: int, seed: int) -> int:
    """Do it; give the exit status."""
    # A shell that starts this in the background has interrupts ignored; here they end it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"
    folder = Path(tempfile.mkdtemp(prefix="longreel-chaos-"))
    trace = Trace(folder / "trace.jsonl")
    try:
        with LocalCloud(latency_seconds=0.3, workers=4, variables={"LONGREEL_ACTIVE_JOBS_MAX": "100"}) as cloud:
            chaos = Chaos(cloud, seed, trace)
            try:
                chaos.run(kills, films)
                chaos.check()
                say(chaos.summary())
            except Broken as exc:
                say(f"BROKEN after {chaos.kills} kills, seed {seed}: {exc}\nThe trace is {trace.path}.")
                return 1
    except KeyboardInterrupt:
        say(f"Interrupted. The trace is {trace.path}.")
        return 130
    finally:
        emulators.stop_all()
    trace.path.unlink()
    folder.rmdir()
    return 0


def main() -> int:
    """Read the command line and do it; give the exit status."""
    parser = argparse.ArgumentParser(description="Kill the cloud's functions again and again.")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--films", type=int, default=20, help="so many at least; more where kills are left")
    parser.add_argument("--seed", type=int, default=None, help="chosen by chance where it is not given")
    options = parser.parse_args()
    if (reason := emulators.missing()) is not None:
        say(f"The functions are killed on Google's emulators: {reason}.")
        return os.EX_UNAVAILABLE
    seed = secrets.randbelow(10**6) if options.seed is None else options.seed
    say(f"The cloud's functions under kill -9: {options.kills} kills, seed {seed}")
    return supervised(lambda: run(options.kills, options.films, seed))


if __name__ == "__main__":
    sys.exit(main())
