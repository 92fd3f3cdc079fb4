"""The ground under the cloud tests: Google's emulators start, are alone with each project, and end."""

from __future__ import annotations

from contextlib import closing
from importlib import import_module
from typing import Any

import pytest

from tests.cloud import emulators


def test_a_document_that_is_written_is_read_and_another_project_does_not_see_it(
    firestore_emulator: str, project_id: str
) -> None:
    from google.cloud import firestore

    with closing(firestore.Client(project=project_id)) as client:
        client.collection("c").document("d").set({"a": 1})
        assert client.collection("c").document("d").get().to_dict() == {"a": 1}
    with closing(firestore.Client(project=emulators.fresh_project())) as other:
        assert not other.collection("c").document("d").get().exists


def test_pubsub_answers(pubsub_emulator: str, project_id: str) -> None:
    pubsub_v1: Any = import_module("google.cloud.pubsub_v1")  # ships no types

    with pubsub_v1.PublisherClient() as publisher:
        topic = publisher.topic_path(project_id, "some_topic")
        publisher.create_topic(name=topic)
        assert [each.name for each in publisher.list_topics(project=f"projects/{project_id}")] == [topic]


def test_an_emulator_that_is_missing_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emulators, "_sdk", lambda: None)
    emulators.missing.cache_clear()

    reason = emulators.missing()

    assert reason is not None
    assert "google-cloud-cli-{firestore,pubsub}-emulator" in reason
    monkeypatch.undo()
    emulators.missing.cache_clear()
