"""Bringing a finished film to the path that the user named, whole or not at all."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path

from embedded.assembly import Pipeline
from events.errors import InvalidRequest, NotFound, PipelineError
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
    path = output.expanduser().absolute()
    if path.suffix.lower() != ".mp4":
        raise InvalidRequest("output", f"should end in .mp4, not {output.name!r}")
    if path.is_dir():
        raise InvalidRequest("output", f"{output} is a folder; name a file in it")
    if path.exists() and not overwrite:
        raise InvalidRequest("output", f"{output} exists; name another file, or add --overwrite")
    if not path.parent.is_dir():
        raise InvalidRequest("output", f"the folder {output.parent} does not exist; make it first")
    if not os.access(path.parent, os.W_OK):
        raise InvalidRequest("output", f"the folder {output.parent} cannot be written to; name another")
    return Delivery(path, overwrite)


def remember(pipeline: Pipeline, job_id: str, delivery: Delivery) -> None:
    """Keep where a job's film goes, for the process that finishes it."""
    record = _record(pipeline, job_id)
    record.parent.mkdir(parents=True, exist_ok=True)
    part = record.with_suffix(f".{secrets.token_hex(4)}.part")
    part.write_text(json.dumps({"path": str(delivery.path), "overwrite": delivery.overwrite}), encoding="utf-8")
    part.replace(record)


def recall(pipeline: Pipeline, job_id: str) -> Delivery | None:
    """Give where a job's film goes; None when nobody said."""
    try:
        kept = json.loads(_record(pipeline, job_id).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return Delivery(Path(kept["path"]), kept["overwrite"])


def deliver(pipeline: Pipeline, job: Job, delivery: Delivery) -> Path:
    """Put a completed job's film where it goes; safe to repeat.

    The film is linked, not copied, where the file system allows it. It appears under its name at once, or not at all.

    Raises:
        NotFound: the film is gone from the home.
        PipelineError: it cannot be put there; the text says why and where the film is.
    """
    assert job.film is not None, "only a completed job is delivered"
    film = pipeline.adapters.objects.path(job.film.uri)
    if not film.is_file():
        raise NotFound(f"deliver the film of {job.job_id}: {film} is gone")
    if delivery.path.exists() and delivery.path.samefile(film):
        return delivery.path
    if delivery.path.exists() and not delivery.overwrite:
        raise PipelineError(f"deliver the film: {delivery.path} came to exist meanwhile; the film is {film}")
    part = delivery.path.with_name(f".{delivery.path.name}.{secrets.token_hex(4)}.part")
    try:
        try:
            os.link(film, part)
        except OSError:
            shutil.copyfile(film, part)
        part.replace(delivery.path)
    except OSError as exc:
        raise PipelineError(f"deliver the film to {delivery.path}: {exc.strerror}; the film is {film}") from exc
    finally:
        part.unlink(missing_ok=True)
    return delivery.path


def _record(pipeline: Pipeline, job_id: str) -> Path:
    return pipeline.adapters.config.home / "deliveries" / f"{job_id}.json"
