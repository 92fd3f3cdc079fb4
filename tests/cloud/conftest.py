"""Fixtures of the cloud column: Google's emulators and a project of one's own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.cloud import emulators

if TYPE_CHECKING:
    from google.cloud.storage.client import Client

    from tests.cloud.servers.storage import StorageServer


@pytest.fixture(scope="session")
def needs_emulators() -> None:
    """Skip on a laptop without the emulators, saying how to get them; fail where `CI` is set."""
    if (reason := emulators.missing()) is not None:
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)


@pytest.fixture
def firestore_emulator(needs_emulators: None, monkeypatch: pytest.MonkeyPatch) -> str:
    """Give `host:port` of the Firestore emulator; Google's clients made in this test go there."""
    host = emulators.firestore_host()
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", host)
    return host


@pytest.fixture
def pubsub_emulator(needs_emulators: None, monkeypatch: pytest.MonkeyPatch) -> str:
    """Give `host:port` of the Pub/Sub emulator; Google's clients made in this test go there."""
    host = emulators.pubsub_host()
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", host)
    return host


@pytest.fixture
def project_id() -> str:
    """Give the id of a Google Cloud project that no other test has."""
    return emulators.fresh_project()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[StorageServer]:
    """Give a server of Cloud Storage, where a module has none of its own; Google's clients made in a test go there."""
    from tests.contract.cloud_object_rigs import storage_server

    with storage_server(tmp_path) as it:
        yield it


@pytest.fixture
def client(server: StorageServer) -> Iterator[Client]:
    """Give a client of Cloud Storage, as the product makes it."""
    from adapters.gcs_client import storage_client

    it = storage_client("demo-longreel")
    yield it
    it.close()
