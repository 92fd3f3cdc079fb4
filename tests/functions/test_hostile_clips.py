"""Hostile clips in an object store, as functions look at them: few requests, each of few bytes, and one sentence."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from adapters.disk import DiskObjectStore
from events.errors import BadMedia
from functions.clips import look_at
from functions.services import Services
from pipeline.object_port import ObjectInfo
from tests.functions.world import World
from tests.media.hostile.conftest import kit, needs_linux
from tests.media.hostile.corpus import CASES
from tests.media.hostile.kit import Kit

__all__ = ["kit"]  # a fixture

pytestmark = needs_linux

#: A request to a store takes some twenty milliseconds: with these, a look ends in half a minute at worst. Honest MP4s
#: take three.
REQUESTS_MAX = 1000
#: Bytes that are fetched for a look: an index of 64 MiB, and as much again for what FFmpeg searches through.
FETCHED_BYTES_MAX = 128 * 1024 * 1024


class CountingStore(DiskObjectStore):
    """Counts what is fetched."""

    requests = 0
    fetched_bytes = 0

    def read(self, uri: str, offset: int = 0, length: int | None = None, generation: int | None = None) -> bytes:
        data = super().read(uri, offset, length, generation)
        self.requests += 1
        self.fetched_bytes += len(data)
        return data


def test_a_look_at_a_hostile_clip_costs_few_requests(kit: Kit, tmp_path: Path, world: World) -> None:
    for case in CASES.values():
        store = CountingStore(tmp_path / "store")
        info = store.take_in(case.write(kit), f"gs://clips/{case.name}.mp4")

        refusal = refused(replace(world.services, objects=store), info)

        assert store.requests <= REQUESTS_MAX, case.name
        assert store.fetched_bytes <= FETCHED_BYTES_MAX, case.name
        if case.refusal:
            assert refusal is not None, case.name
            assert re.search(case.refusal, refusal), case.name
            assert refusal.startswith(f"read {case.name}.mp4: "), refusal
    assert kit.trap.heard == []


def refused(services: Services, info: ObjectInfo) -> str | None:
    """Look at a clip; gives why it is refused, if it is."""
    try:
        look_at(services, info)
    except BadMedia as exc:
        return exc.message
    return None
