"""Making jobs of what a user typed: a script, or clips."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from adapters.local import BUCKET
from embedded.assembly import Pipeline
from embedded.deliver import Delivery, remember
from events.errors import InvalidRequest, NotFound
from functions.api import create_job
from pipeline.records import Job

#: Who owns the jobs of the embedded mode.
USER = "local"


def project_of(output: Path) -> str:
    """Give the project that a film belongs to when the user names none: one for each output path.

    So two films are made side by side, and the same film is not made twice at once.
    """
    stem = re.sub(r"[^A-Za-z0-9]+", "-", output.stem).strip("-")[:40] or "film"
    return f"{stem}-{hashlib.sha256(str(output).encode()).hexdigest()[:8]}"


def submit(pipeline: Pipeline, request: dict[str, Any], delivery: Delivery) -> tuple[Job, bool]:
    """Create the job and keep where its film goes.

    Returns:
        The job, and whether it is new (False: the same request had made it before).
    """
    request.setdefault("projectId", project_of(delivery.path))
    created = create_job(pipeline.services, request, USER)
    remember(pipeline, created.job.job_id, delivery)
    return created.job, created.fresh


def take_in_clips(pipeline: Pipeline, clips: Sequence[Path]) -> list[str]:
    """Make the user's files objects of the home, by hard links where possible; give their URIs, in order.

    Raises:
        InvalidRequest: a file is not there or cannot be read; names it and its place. Nothing was taken in.
    """
    for number, clip in enumerate(clips, 1):
        if not clip.is_file():
            what = "is a folder" if clip.is_dir() else "does not exist"
            raise InvalidRequest(f"clip {number}", f"{clip} {what}")
    upload = secrets.token_hex(6)
    uris = []
    for number, clip in enumerate(clips, 1):
        name = "".join(c if c.isprintable() and c != "/" else "_" for c in clip.name)
        uri = f"gs://{BUCKET}/uploads/{upload}/{number:03d}-{name}"
        try:
            pipeline.adapters.objects.take_in(clip, uri)
        except NotFound as exc:
            raise InvalidRequest(f"clip {number}", exc.message) from exc
        uris.append(uri)
    return uris
