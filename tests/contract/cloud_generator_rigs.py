"""The paid generators over Google's real client, with clips that really land in a bucket, ready for the contract."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from adapters.gcs import CloudObjectStore
from adapters.gcs_client import storage_client
from adapters.omni import OmniGenerator
from adapters.veo import VeoGenerator
from tests.cloud.paid_orders import CLIPS, OMNI, VEO, order
from tests.cloud.servers.vertex import VertexServer
from tests.contract.cloud_object_rigs import storage_server
from tests.contract.rigs import GeneratorRig

PROJECT = "demo-films"


def veo(folder: Path) -> Iterator[GeneratorRig]:
    with _rig(folder, lambda url: VeoGenerator(PROJECT, "us-central1", VEO, url)) as rig:
        yield rig


def omni(folder: Path) -> Iterator[GeneratorRig]:
    with _rig(folder, lambda url: OmniGenerator(PROJECT, OMNI, url)) as rig:
        yield rig


@contextmanager
def _rig(folder: Path, make: Callable[[str], VeoGenerator | OmniGenerator]) -> Iterator[GeneratorRig]:
    with (
        storage_server(folder),
        VertexServer(latency_seconds=None, clips=CLIPS) as vertex,
        closing(make(vertex.url)) as generator,
        closing(storage_client(PROJECT)) as client,
    ):
        yield GeneratorRig(
            generator=generator,
            order=order(),
            work=vertex.work,
            objects=CloudObjectStore(lambda: client),
            ordered=vertex.pending,
        )
