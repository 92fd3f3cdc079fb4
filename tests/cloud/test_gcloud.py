"""An operator's replay: the real `gcloud pubsub topics publish`, typed by hand, reaches a handler's subscription."""

from __future__ import annotations

import json
import os

import pytest

from events.messages import Requested, Topic
from tests.cloud.gcloud import gcloud, missing, publish_with_gcloud
from tests.cloud.topology import create_topology, pulled


@pytest.fixture(autouse=True)
def _needs_gcloud() -> None:
    if (reason := missing()) is not None:
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)


def test_a_message_typed_by_hand_arrives_exactly_as_it_was_typed(pubsub_emulator: str, project_id: str) -> None:
    topology = create_topology(project_id, None)

    publish_with_gcloud(project_id, "requested", '{"jobId":"job_abc123"}')

    (one,) = pulled(topology.subscriptions[Topic.REQUESTED], 1)
    assert one.message.data == b'{"jobId":"job_abc123"}'
    assert dict(one.message.attributes) == {}
    assert Requested.from_json(one.message.data).job_id == "job_abc123"


def test_gcloud_sees_what_was_made(pubsub_emulator: str, project_id: str) -> None:
    create_topology(project_id, lambda topic: f"http://127.0.0.1:9/{topic}", prefix="staging-")

    listed = gcloud("pubsub", "subscriptions", "list", "--format=json", project=project_id)

    rows = {each["name"]: each["pushConfig"].get("pushEndpoint", "") for each in json.loads(listed)}
    path = f"projects/{project_id}/subscriptions/staging-"
    assert rows[f"{path}requested"] == "http://127.0.0.1:9/requested"
    assert rows[f"{path}object_finalized"] == "http://127.0.0.1:9/object_finalized"
    assert rows[f"{path}dead_letters"] == ""
    assert len(rows) == 8


def test_a_call_that_fails_says_what_gcloud_said(pubsub_emulator: str, project_id: str) -> None:
    with pytest.raises(AssertionError, match="NOT_FOUND"):
        publish_with_gcloud(project_id, "nowhere", "{}")
