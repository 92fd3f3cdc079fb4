"""Making jobs of what a user typed, and keeping where their films go."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from embedded.assembly import Pipeline
from embedded.deliver import Delivery, forget, refuse_existing, remember
from events.errors import PipelineError, UnknownJob
from events.names import job_id_of_request
from events.requests import read_request
from functions.api import create_job
from pipeline.records import Job

#: Who owns the jobs of the embedded mode.
USER = "local"


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
