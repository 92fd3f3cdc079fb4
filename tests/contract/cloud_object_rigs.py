"""Cloud Storage's adapter over its real client and a server on the loopback, ready for the contract."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from adapters.gcs import CloudObjectStore
from adapters.gcs_client import storage_client
from events.errors import PipelineError
from pipeline.object_port import ObjectInfo
from tests.cloud.servers.storage import StorageServer
from tests.cloud.servers.storage_objects import StoredObject
from tests.contract.rigs import ObjectStoreRig

BUCKET = "films"


def gcs(folder: Path) -> Iterator[ObjectStoreRig]:
    with storage_server(folder) as server:
        client = storage_client("demo-longreel")
        rig = ObjectStoreRig(CloudObjectStore(lambda: client), BUCKET)
        server.events.listeners.append(lambda made: rig.finalized.append(info_of(made)))

        def without_room(uri: str, size: int) -> Exception | None:
            # The cloud has no disk that fills up; the owner of a bucket has a quota that does.
            server.objects.room_bytes[BUCKET] = size // 2
            try:
                rig.objects.write(uri, bytes(size))
            except PipelineError as exc:
                return exc
            return None

        rig.write_without_room = without_room
        yield rig
        client.close()


@contextmanager
def storage_server(folder: Path) -> Iterator[StorageServer]:
    """Give a server with one bucket, to which new clients go."""
    with StorageServer(folder / "storage", [BUCKET]) as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORAGE_EMULATOR_HOST", server.url)
        yield server


def info_of(made: StoredObject) -> ObjectInfo:
    """Give what the port says of a stored object."""
    crc32c = int.from_bytes(base64.b64decode(made.content.crc32c), "big")
    return ObjectInfo(made.uri, made.generation, made.content.size_bytes, crc32c)
