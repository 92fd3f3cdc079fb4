"""The adapters that stand behind each port.

Every behaviour in this folder runs over every adapter that can be reached. One that cannot says how to get it: the
test is skipped on a laptop, and fails where `CI` is set.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.cloud import emulators
from tests.contract import (
    cloud_bus_rigs,
    cloud_generator_rigs,
    cloud_object_rigs,
    cloud_run_rigs,
    cloud_splice_rigs,
    cloud_store_rigs,
    cloud_transcoder_rigs,
    local_rigs,
    spend_rigs,
)


@dataclass(frozen=True)
class Adapter:
    """One adapter of a port."""

    name: str
    #: Makes the rig in an empty folder, and takes it down when it is done.
    rig: Callable[[Path], Iterator[Any]]
    #: Why it cannot be reached here and how to get it; None when it can.
    absent: Callable[[], str | None] = lambda: None

    def __str__(self) -> str:
        return self.name

    def reach(self, folder: Path) -> Iterator[Any]:
        """Give the rig once, or say why there is none."""
        if (reason := self.absent()) is not None:
            if os.environ.get("CI"):
                pytest.fail(f"{self.name}: {reason}")
            pytest.skip(f"{self.name}: {reason}")
        yield from self.rig(folder)


JOB_STORES = (
    Adapter("sqlite", local_rigs.job_store),
    Adapter("firestore", cloud_store_rigs.firestore, emulators.missing),
)
SPENDS = (
    Adapter("sqlite", spend_rigs.sqlite),
    Adapter("firestore", spend_rigs.firestore, emulators.missing),
)
MESSAGE_BUSES = (
    Adapter("local_queue", local_rigs.message_bus),
    Adapter("pubsub", cloud_bus_rigs.message_bus, cloud_bus_rigs.absent),
)
OBJECT_STORES = (
    Adapter("disk", local_rigs.object_store),
    Adapter("gcs", cloud_object_rigs.gcs),
    Adapter("simulated", local_rigs.simulated_objects),
)
GENERATORS = (
    Adapter("storyboard", local_rigs.storyboard),
    Adapter("clip", local_rigs.given_clip),
    Adapter("veo", cloud_generator_rigs.veo),
    Adapter("omni", cloud_generator_rigs.omni),
)
STITCHERS = (
    Adapter("local_stitch", local_rigs.stitcher),
    Adapter("splice", cloud_splice_rigs.compose_splice),
    Adapter("transcoder", cloud_transcoder_rigs.transcoder),
    Adapter("cloud_run", cloud_run_rigs.cloud_run_stitcher),
)
CLOCKS = (Adapter("system_clock", local_rigs.clock),)
