"""The splice in Cloud Storage behind the router, on a server on the loopback, ready for the contract."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from adapters.compose_splice import ComposeSplice
from adapters.gcs import CloudObjectStore
from adapters.gcs_client import storage_client
from adapters.routed_stitcher import RoutedStitcher
from tests.contract.cloud_object_rigs import BUCKET, storage_server
from tests.contract.rigs import StitcherRig, VirtualClock
from tests.media.clips import ClipSpec, make_clip


def compose_splice(folder: Path) -> Iterator[StitcherRig]:
    """Two clips in one bucket; the film is made within the call, so that no work is ever ordered elsewhere."""
    with storage_server(folder) as server:
        client = storage_client("demo-longreel")
        clips = []
        for number in (1, 2):
            made = make_clip(ClipSpec(number, frames=12), folder / f"{number}.mp4")
            clips.append(server.put(f"gs://{BUCKET}/given/{number}.mp4", made.read_bytes()).uri)
        objects = CloudObjectStore(lambda: client)
        yield StitcherRig(
            stitcher=RoutedStitcher([ComposeSplice(objects)], VirtualClock()),
            objects=objects,
            bucket=BUCKET,
            clips=clips,
            work=lambda: None,
            ordered=lambda: 0,
        )
        client.close()
