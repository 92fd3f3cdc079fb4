"""The embedded pipeline: adapters and handlers put together."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from adapters.config import read_config
from adapters.local import BUCKET, LocalAdapters, open_home
from adapters.system_clock import random_job_id
from events.plan import Engine
from functions.services import Services


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Everything that a command of the embedded mode needs."""

    adapters: LocalAdapters
    services: Services

    def close(self) -> None:
        """Let go of the home."""
        if self.adapters.owner is not None:
            self.adapters.owner.close()
        self.adapters.database.close()


def open_pipeline(home: Path | None = None, *, worker: bool = False) -> Pipeline:
    """Open the user's home.

    Args:
        home: a folder that the user named; None for the configured one.
        worker: whether this process will take messages.
    """
    return assemble(open_home(read_config(home=home), worker=worker))


def assemble(adapters: LocalAdapters) -> Pipeline:
    """Put the handlers' services over the embedded adapters."""
    services = Services(
        jobs=adapters.jobs,
        bus=adapters.queue,
        objects=adapters.objects,
        generators={"storyboard": adapters.storyboard, "clip": adapters.given_clip},
        stitcher=adapters.stitcher,
        clock=adapters.clock,
        bucket=BUCKET,
        new_job_id=random_job_id,
        engines=frozenset({Engine.SPLICE, Engine.CPU}),
        together=lambda: adapters.database.transaction("change jobs"),
    )
    return Pipeline(adapters, services)
