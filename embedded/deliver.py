"""Bringing a finished film to the path that the user named, whole or not at all."""

from __future__ import annotations

import errno
import fcntl
import filecmp
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from embedded.assembly import Pipeline
from events.errors import InvalidRequest, LimitExceeded, NotFound, PipelineError
from pipeline.records import Job


@dataclass(frozen=True, slots=True)
class Delivery:
    """Where a job's film goes."""

    path: Path
    #: A file that is there already may be replaced.
    overwrite: bool


def check_output(output: Path, *, overwrite: bool) -> Delivery:
    """Refuse an output path that cannot work, before anything is made.

    Raises:
        InvalidRequest: says what is wrong with it.
    """
    # A link is followed, so that what it leads to is replaced and not the link; and one film has one path.
    path = output.expanduser().resolve()
    if path.suffix.lower() != ".mp4":
        raise InvalidRequest("output", f"should end in .mp4, not {output.name!r}")
    if path.is_dir():
        raise InvalidRequest("output", f"{output} is a folder; name a file in it")
    if not path.parent.is_dir():
        raise InvalidRequest("output", f"the folder {path.parent} does not exist; make it first")
    if not os.access(path.parent, os.W_OK):
        raise InvalidRequest("output", f"the folder {path.parent} cannot be written to; name another")
    return Delivery(path, overwrite)


def refuse_existing(delivery: Delivery) -> None:
    """Refuse to make a film whose place is taken.

    Raises:
        InvalidRequest: there is a file, and it may not be replaced.
    """
    if delivery.path.exists() and not delivery.overwrite:
        raise InvalidRequest("output", f"{delivery.path} exists; name another file, or add --overwrite")


def remember(pipeline: Pipeline, job_id: str, delivery: Delivery) -> None:
    """Keep where a job's film goes, for the process that finishes it."""
    record = _record(pipeline, job_id)
    record.parent.mkdir(parents=True, exist_ok=True)
    part = record.with_suffix(f".{os.urandom(4).hex()}.part")
    part.write_text(json.dumps({"path": str(delivery.path), "overwrite": delivery.overwrite}), encoding="utf-8")
    part.replace(record)


def forget(pipeline: Pipeline, job_id: str) -> None:
    """Keep no longer where a job's film goes."""
    _record(pipeline, job_id).unlink(missing_ok=True)


def recall(pipeline: Pipeline, job_id: str) -> Delivery | None:
    """Give where a job's film goes; None when nobody said."""
    try:
        kept = json.loads(_record(pipeline, job_id).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return Delivery(Path(kept["path"]), kept["overwrite"])


def film_path(pipeline: Pipeline, job: Job) -> Path:
    """Give where a completed job's film is: where it was delivered, else in the home."""
    assert job.film is not None, "only a completed job has a film"
    film = pipeline.adapters.objects.path(job.film.uri)
    delivery = recall(pipeline, job.job_id)
    return delivery.path if delivery is not None and _is_same(film, delivery.path) else film


def deliver(pipeline: Pipeline, job: Job, delivery: Delivery) -> Path:
    """Put a completed job's film where it goes; safe to repeat.

    The film is linked, not copied, where the file system allows it. It appears under its name at once, or not at all.

    Raises:
        NotFound: the film is gone from the home.
        LimitExceeded: the disk is full; the text says where the film is.
        PipelineError: it cannot be put there; the text says why and where the film is.
    """
    assert job.film is not None, "only a completed job is delivered"
    film = pipeline.adapters.objects.path(job.film.uri)
    if not film.is_file():
        raise NotFound(f"deliver the film of {job.job_id}: {film} is gone; make it anew")
    with _turn(pipeline, job.job_id):
        # Whoever died while delivering may have left a part; now it is nobody's.
        part = delivery.path.with_name(f".longreel-{job.job_id}.part")
        try:
            part.unlink(missing_ok=True)
            if not _is_same(film, delivery.path):
                _put(film, part, delivery)
        except OSError as exc:
            raise _failure(exc, film, delivery.path) from exc
        finally:
            part.unlink(missing_ok=True)
    return delivery.path


def _put(film: Path, part: Path, delivery: Delivery) -> None:
    if delivery.path.exists() and not delivery.overwrite:
        step = "add --overwrite to `longreel resume`, or name another file with -o"
        raise PipelineError(f"deliver the film: another {delivery.path} is there now; {step}; the film is {film}")
    try:
        os.link(film, part)
    except OSError:
        shutil.copyfile(film, part)
        with part.open("rb") as copy:
            os.fsync(copy.fileno())
    part.replace(delivery.path)


def _is_same(film: Path, path: Path) -> bool:
    """Tell whether the film is at its place already, as a link or as a copy."""
    try:
        return path.samefile(film) or (
            path.stat().st_size == film.stat().st_size and filecmp.cmp(film, path, shallow=False)
        )
    except FileNotFoundError:
        return False


def _failure(exc: OSError, film: Path, path: Path) -> PipelineError:
    why = exc.strerror or str(exc)
    if exc.errno in {errno.ENOSPC, errno.EDQUOT}:
        return LimitExceeded(f"deliver the film to {path}: {why}; free some space and resume. The film is {film}")
    return PipelineError(f"deliver the film to {path}: {why}; resume with another -o. The film is {film}")


@contextmanager
def _turn(pipeline: Pipeline, job_id: str) -> Iterator[None]:
    # Two processes may see the same job through; they deliver its film one after the other.
    record = _record(pipeline, job_id).with_suffix(".turn")
    record.parent.mkdir(parents=True, exist_ok=True)
    with record.open("ab") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _record(pipeline: Pipeline, job_id: str) -> Path:
    return pipeline.adapters.config.home / "deliveries" / f"{job_id}.json"
