"""What the embedded program wrote down, and what lies on the disk: held against each other after every kill."""

from __future__ import annotations

import json
import shutil
import sqlite3
import tempfile
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av

from adapters.sqlite_rows import JOB_CHANGING, JOB_FIXED, SEGMENT_CHANGING, read_job, read_segment
from pipeline.records import Job, Segment, SegmentState
from tests.chaos.report import holds
from tests.cli.conftest import frames

#: A segment's job and place.
Place = tuple[str, int]


@dataclass(frozen=True)
class Snapshot:
    """What the database said at one moment, when nobody was writing."""

    jobs: dict[str, Job] = field(default_factory=dict)
    segments: dict[Place, Segment] = field(default_factory=dict)
    messages: int = 0
    dead_letters: tuple[tuple[Any, ...], ...] = ()
    integrity: str = "ok"

    def of(self, job_id: str) -> list[Segment]:
        """Give a job's segments in order."""
        return [each for (owner, _), each in sorted(self.segments.items()) if owner == job_id]

    def job_of(self, output: str) -> Job | None:
        """Give the job that was ordered with such an output; None where it was not even made."""
        found = [each for each in self.jobs.values() if each.project_id.startswith(f"{Path(output).stem}-")]
        holds(len(found) <= 1, "an order makes one job", [each.job_id for each in found])
        return found[0] if found else None


def look(home: Path) -> Snapshot:
    """Read the database as a killed program left it, from a copy: the home's own file is not even opened."""
    database = home / "longreel.db"
    if not database.exists() or not database.stat().st_size:
        return Snapshot()
    with tempfile.TemporaryDirectory() as folder:
        for name in (database.name, f"{database.name}-wal"):
            if (home / name).exists():
                shutil.copyfile(home / name, Path(folder) / name)
        with closing(sqlite3.connect(Path(folder) / database.name)) as copy:
            return _read(copy)


def _read(copy: sqlite3.Connection) -> Snapshot:
    integrity = str(copy.execute("PRAGMA integrity_check").fetchone()[0])
    if not copy.execute("SELECT 1 FROM sqlite_master WHERE name = 'jobs'").fetchone():
        return Snapshot(integrity=integrity)
    jobs = [read_job(row) for row in copy.execute(f"SELECT {JOB_FIXED}, {JOB_CHANGING} FROM jobs")]
    query = f"SELECT job_id, position, spec, {SEGMENT_CHANGING} FROM segments JOIN specs USING (job_id, position)"
    segments = [read_segment(row) for row in copy.execute(query)]
    return Snapshot(
        {each.job_id: each for each in jobs},
        {(each.job_id, each.index): each for each in segments},
        copy.execute("SELECT count(*) FROM messages").fetchone()[0],
        tuple(copy.execute("SELECT topic, deliveries, reason, body FROM dead_letters")),
        integrity,
    )


class Ledger:
    """Remembers what was finished, and holds every later moment against it.

    Args:
        home: the program's.
    """

    def __init__(self, home: Path) -> None:
        self._objects = home / "objects"
        self._home = home
        self.latest = Snapshot()
        self._files: dict[Path, tuple[int, int]] = {}
        self._unstarted: set[tuple[str, int]] = set()

    def check(self) -> Snapshot:
        """Look, and hold what is there against what was there.

        Raises:
            Broken: a promise was.
        """
        before, now = self.latest, look(self._home)
        holds(now.integrity == "ok", "SQLite's integrity_check says ok", now.integrity)
        holds(not now.dead_letters, "there are no dead letters", now.dead_letters)
        for place, segment in before.segments.items():
            _check_segment(place, segment, now.segments.get(place))
        for job_id, job in before.jobs.items():
            _check_job(job, now.jobs.get(job_id))
        self._check_recorded(now)
        self._check_files()
        waiting = [each for each in now.jobs.values() if each.stitch.claimed and each.stitch.operation is None]
        self._unstarted |= {(each.job_id, each.stitch.attempt) for each in waiting}
        self.latest = now
        return now

    def was_unstarted(self, job_id: str, attempt: int) -> bool:
        """Tell whether a kill left an attempt of a stitch claimed, and nobody knows whether it was started."""
        return (job_id, attempt) in self._unstarted

    def check_stitch_attempts(self, job: Job) -> None:
        """Hold a job's stitches against the kills: a new one only where nobody could know that the last was started.

        Raises:
            Broken: one was begun anew without need.
        """
        for attempt in range(1, job.stitch.attempt):
            unstarted = self.was_unstarted(job.job_id, attempt)
            holds(
                unstarted,
                "a stitch is begun anew only where its starter was killed between claim and start",
                job.stitch,
            )

    def _check_recorded(self, now: Snapshot) -> None:
        """Hold every recorded clip and film against its file."""
        clips = [(each.clip.uri, each.clip.generation) for each in now.segments.values() if each.clip is not None]
        films = [(each.film.uri, each.film.generation) for each in now.jobs.values() if each.film is not None]
        for uri, generation in clips + films:
            path = self._objects / uri.removeprefix("gs://")
            holds(path.is_file(), "what is recorded as made is there", uri)
            holds(path.stat().st_mtime_ns == generation, "what is recorded as made is never made again", uri)

    def _check_files(self) -> None:
        """Hold every finished clip, recorded or not, against the file that it was before."""
        files = {
            path: (path.stat().st_ino, path.stat().st_mtime_ns)
            for path in self._objects.glob("*/jobs/*/segments/*/*/clip.mp4")
        }
        changed = [str(path) for path, was in self._files.items() if files.get(path) != was]
        holds(not changed, "no finished clip is made again or lost", changed)
        self._files = files

    def check_everything_is_whole(self) -> int:
        """Read every object; give how many there are.

        Raises:
            Broken: one is not whole.
        """
        parts = self._objects / ".parts"
        found = [path for path in self._objects.rglob("*") if path.is_file() and parts not in path.parents]
        for path in found:
            _check_whole(path)
        strays = [str(path) for path in self._home.rglob("*.part") if parts not in path.parents]
        holds(not strays, "nothing half-written is outside .parts", strays)
        return len(found)


def _check_segment(place: Place, was: Segment, now: Segment | None) -> None:
    where = f"{place[0]} scene {place[1]}"
    if now is None:
        holds(False, "no segment is lost", where)
        return
    holds(now.attempt >= was.attempt, "an attempt's number only rises", f"{where}: {was.attempt}, then {now.attempt}")
    if was.state is SegmentState.DONE:
        same = (now.state, now.attempt, now.clip) == (was.state, was.attempt, was.clip)
        holds(same, "a segment that is done stays done, with the same clip", f"{where}: {was}, then {now}")


def _check_job(was: Job, now: Job | None) -> None:
    if now is None:
        holds(False, "no job is lost", was.job_id)
        return
    holds(now.done_count >= was.done_count, "the count of what is done never falls", now)
    holds(was.film is None or now.film == was.film, "a film that is made stays as it is", f"{was.film}, {now.film}")


def _check_whole(path: Path) -> None:
    try:
        if path.suffix in {".mp4", ".mov"} and path.stat().st_size:
            # The user's own broken clips lie there as they are.
            if "truncated" not in path.name:
                frames(path)
        elif path.suffix == ".json":
            json.loads(path.read_bytes())
        elif path.suffix == ".png":
            with av.open(str(path)) as opened:
                holds(sum(1 for _ in opened.decode(video=0)) == 1, "a picture is whole", path)
    except (OSError, ValueError) as exc:
        holds(False, "every object outside .parts is whole", f"{path}: {exc!r}")
