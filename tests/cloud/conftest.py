"""Fixtures of the cloud column: Google's emulators and a project of one's own."""

from __future__ import annotations

import os

import pytest

from tests.cloud import emulators


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
