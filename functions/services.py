"""All that a handler may use, as one typed bundle; assembled by `adapters/local.py` (and, in the cloud, its twin)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass

from events.plan import Engine
from functions.budget import Budget
from pipeline.object_port import ObjectStore
from pipeline.ports import Clock, JobStore, MessageBus
from pipeline.work_ports import Generator, Stitcher


@dataclass(frozen=True, slots=True)
class Services:
    """The outside, behind ports."""

    jobs: JobStore
    bus: MessageBus
    objects: ObjectStore
    #: Name → generator, such as `storyboard`, `clip`.
    generators: Mapping[str, Generator]
    stitcher: Stitcher
    clock: Clock
    #: Where everything that a job makes goes.
    bucket: str
    #: Draws a fresh job id.
    new_job_id: Callable[[], str]
    #: What can make a film here.
    engines: frozenset[Engine] = frozenset(Engine)
    #: Active jobs that one user may have at once; None for as many as they like.
    active_jobs_max: int | None = None
    #: What a day may cost; None for as much as it does.
    budget: Budget | None = None
    #: Opens a context in which all that this thread commits becomes one commit; None where each commit stands alone.
    together: Callable[[], AbstractContextManager[object]] | None = None
