"""Orders for the paid generators, and the loopback Vertex that they go to."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from adapters.omni import OmniGenerator
from adapters.veo import VeoGenerator
from events.requests import PromptSpec, SegmentSpec, Settings
from pipeline.work_ports import RenderOrder, Started
from tests.cloud.servers.vertex import VertexServer
from tests.cloud.servers.vertex_clips import ClipMaker

VEO, OMNI = "veo-3.1-fast-generate-001", "gemini-omni-1.2-flash"
#: Clips that all tests of a session share.
CLIPS = ClipMaker(variants=2)
PREFIX = "gs://films/jobs/job_abc123/segments/4/1/"


def order(start_image: str | None = None, model: str | None = None, **scene: Any) -> RenderOrder:
    """Give an order for one clip of 4 s."""
    spec = {"prompt": "A red kite over a grey harbour", "durationMs": 4000} | scene
    return RenderOrder(
        job_id="job_abc123",
        segment_index=4,
        segment_count=7,
        attempt=1,
        spec=SegmentSpec(scene=PromptSpec.model_validate(spec)),
        settings=Settings(title="A test", model=model),
        output_prefix=PREFIX,
        start_image=start_image,
    )


def eventually(holds: Callable[[], bool], seconds: float = 10) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.005)


@dataclass
class Paid:
    """A paid generator and the server behind it."""

    generator: VeoGenerator | OmniGenerator
    server: VertexServer
    #: What the server wrote, by URI.
    objects: dict[str, bytes] = field(default_factory=dict)

    def kind(self, request: str) -> str:
        """Give what the server calls a request of this generator: `submit` or `poll`."""
        return ("veo." if isinstance(self.generator, VeoGenerator) else "omni.") + request

    def submitted(self, **of_order: Any) -> str:
        """Give an order that is taken, and give its operation."""
        answer = self.generator.submit(order(**of_order))
        assert isinstance(answer, Started)
        return answer.operation

    def ended(self, **of_order: Any) -> str:
        """Give an order and let it end."""
        operation = self.submitted(**of_order)
        self.server.work()
        return operation

    def requests(self) -> int:
        """Count the requests for a clip under the order's prefix."""
        return self.server.submits[PREFIX]


@contextmanager
def paid(family: str, **of_generator: Any) -> Iterator[Paid]:
    """Give a generator, `veo` or `omni`, with a server of its own that holds everything back until `work`."""
    objects: dict[str, bytes] = {}
    server = VertexServer(
        latency_seconds=None, put=lambda uri, content, _type: objects.update({uri: content}), clips=CLIPS
    )
    with server:
        generator = (
            VeoGenerator("demo-films", "us-central1", VEO, server.url, **of_generator)
            if family == "veo"
            else OmniGenerator("demo-films", OMNI, server.url, **of_generator)
        )
        yield Paid(generator, server, objects)
        generator.close()
