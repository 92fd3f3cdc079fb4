"""Making jobs of what a user typed: a script, or clips."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from adapters.local import BUCKET
from embedded.assembly import Pipeline
from embedded.deliver import Delivery, forget, refuse_existing, remember
from events.errors import InvalidRequest, LimitExceeded, NotFound, PipelineError, UnknownJob
from events.names import job_id_of_request
from events.requests import read_request
from functions.api import create_job
from pipeline.records import Job

#: Who owns the jobs of the embedded mode.
USER = "local"

#: Longest file name of an upload in bytes, its number aside; file systems take 255.
_NAME_BYTES_MAX = 200


def project_of(output: Path) -> str:
    """Give the project that a film belongs to when the user names none: one for each output path.

    So two films are made side by side, and the same film is not made twice at once.
    """
    stem = re.sub(r"[^A-Za-z0-9]+", "-", output.stem).strip("-")[:40] or "film"
    return f"{stem}-{hashlib.sha256(os.fsencode(output)).hexdigest()[:8]}"


def submit(pipeline: Pipeline, value: dict[str, Any], delivery: Delivery) -> tuple[Job, bool]:
    """Create the job and keep where its film goes.

    Returns:
        The job, and whether it is new (False: the same request had made it before).

    Raises:
        InvalidRequest: the request is wrong, or there is a file where the film goes.
        AlreadyRunning: the film is being made already.
    """
    value = {"projectId": project_of(delivery.path), **value}
    request = read_request(value)
    if request.request_id is None:
        job_id = pipeline.services.new_job_id()
    else:
        job_id = job_id_of_request(USER, request.project_id, request.kind, request.request_id)
    is_new = not _exists(pipeline, job_id)
    if is_new:
        # A repeated request is not refused here: the file may be its own film.
        refuse_existing(delivery)
    # Before the job: a process that dies in between leaves a job that knows where its film goes, or none at all.
    remember(pipeline, job_id, delivery)
    try:
        created = create_job(replace(pipeline.services, new_job_id=lambda: job_id), value, USER)
    except PipelineError:
        if is_new:
            forget(pipeline, job_id)
        raise
    return created.job, created.fresh


def _exists(pipeline: Pipeline, job_id: str) -> bool:
    try:
        pipeline.services.jobs.load(job_id)
    except UnknownJob:
        return False
    return True


@contextmanager
def taken_in(pipeline: Pipeline, clips: Sequence[Path], delivery: Delivery) -> Iterator[list[str]]:
    """Make the user's files objects of the home, by hard links where possible, and give their URIs, in order.

    When the block fails, they are taken out again.

    Raises:
        InvalidRequest: a file is not there or cannot be read; names it and its place. Nothing was taken in.
        LimitExceeded: the disk has no room for copies.
    """
    for number, clip in enumerate(clips, 1):
        if fault := _fault(clip, delivery):
            raise InvalidRequest(f"clip {number}", f"{clip} {fault}")
    upload = f"gs://{BUCKET}/uploads/{os.urandom(6).hex()}"
    try:
        yield _take_in(pipeline, clips, upload)
    except PipelineError:
        shutil.rmtree(pipeline.adapters.objects.path(upload), ignore_errors=True)
        raise


def take_out(pipeline: Pipeline, uris: Sequence[str]) -> None:
    """Let go of clips that no job came to need."""
    shutil.rmtree(pipeline.adapters.objects.path(uris[0]).parent, ignore_errors=True)


def _take_in(pipeline: Pipeline, clips: Sequence[Path], upload: str) -> list[str]:
    uris: dict[Path, str] = {}
    for number, clip in enumerate(clips, 1):
        if clip in uris:
            continue
        uri = f"{upload}/{number:03d}-{_object_name(clip)}"
        try:
            pipeline.adapters.objects.take_in(clip, uri)
        except NotFound as exc:
            raise InvalidRequest(f"clip {number}", exc.message) from exc
        except LimitExceeded as exc:
            text = f"copy {clip} into the home: the disk is full; free some space, or use a --home on the clips' disk"
            raise LimitExceeded(text) from exc
        uris[clip] = uri
    return [uris[clip] for clip in clips]


def _fault(clip: Path, delivery: Delivery) -> str | None:
    if clip.is_dir():
        return "is a folder; name the files in it, as with *.mp4"
    if not clip.exists():
        return "does not exist"
    if not clip.is_file():
        return "is no file"
    if not os.access(clip, os.R_OK):
        return "cannot be read; its permissions do not let you"
    if delivery.path.exists() and delivery.path.samefile(clip):
        return "is also the output; name another file with -o, so that the clip is not lost"
    return None


def _object_name(clip: Path) -> str:
    """Give a file name that is good as an object name: printable, not too long, the suffix kept."""
    stem, suffix = ("".join(c if c.isprintable() else "_" for c in part) for part in (clip.stem, clip.suffix))
    room = _NAME_BYTES_MAX - len(suffix.encode())
    return (
        stem.encode()[:room].decode(errors="ignore") + suffix
        if room > 0
        else stem.encode()[:50].decode(errors="ignore")
    )
