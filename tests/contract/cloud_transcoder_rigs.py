"""The Transcoder engine over its real client and a server on the loopback that really makes films, for the contract."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import closing
from functools import cache
from pathlib import Path

from adapters.gcs import CloudObjectStore
from adapters.gcs_client import storage_client
from adapters.routed_stitcher import RoutedStitcher
from adapters.transcoder import TranscoderEngine, make_client
from events.plan import StitchPlan
from functions.film_report import report_from_plan
from media.probe import probe
from media.reader import BytesReader
from pipeline.object_port import ObjectStore
from tests.cloud.servers.transcoder import TranscoderServer
from tests.contract.cloud_object_rigs import BUCKET, storage_server
from tests.contract.rigs import StitcherRig, VirtualClock
from tests.media.clips import ClipSpec, make_clip

#: Frames of a clip: 5 s at 24 a second, the shortest that the API takes.
FRAMES = 120


def transcoder(folder: Path) -> Iterator[StitcherRig]:
    with (
        storage_server(folder) as storage,
        TranscoderServer(held=True) as server,
        closing(storage_client("demo-longreel")) as files,
        make_client(server.url) as client,
    ):
        objects = CloudObjectStore(lambda: files)
        engine = TranscoderEngine("demo-longreel", "us-central1", "reports", objects, client=lambda: client)
        clips = [f"gs://{BUCKET}/given/{number}.mp4" for number in (1, 2)]
        for number, uri in enumerate(clips, start=1):
            storage.put(uri, clip_bytes(number))

        def work() -> None:
            server.release()
            server.wait()
            server.hold()
            write_reports(objects)

        yield StitcherRig(
            stitcher=RoutedStitcher([engine], VirtualClock()),
            objects=objects,
            bucket=BUCKET,
            clips=clips,
            work=work,
            ordered=lambda: len(server.created()),
        )


def write_reports(objects: ObjectStore) -> None:
    """Write what the API leaves unwritten, as `functions.films` makes it of each film's plan and headers."""
    for paper in objects.list(f"gs://{BUCKET}/jobs/"):
        if not paper.uri.endswith("/plan.json"):
            continue
        plan = StitchPlan.from_json(objects.read(paper.uri))
        if objects.stat(plan.output_uri) is None or objects.stat(plan.report_uri) is not None:
            continue
        facts = probe(BytesReader(objects.read(plan.output_uri)), plan.output_uri)
        objects.write(plan.report_uri, report_from_plan(plan, facts).to_json().encode())


@cache
def clip_bytes(number: int) -> bytes:
    """Give a clip that is just long enough; encoded once."""
    with tempfile.TemporaryDirectory(prefix="longreel-clips-") as folder:
        spec = ClipSpec(number, frames=FRAMES, tone=None)
        return make_clip(spec, Path(folder) / f"{number}.mp4").read_bytes()
