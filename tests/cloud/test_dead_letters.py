"""The cloud's dead letters over the official emulator: nothing is lost by looking, by a crash, or by doing it twice."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from google.api_core.exceptions import ServiceUnavailable
from google.pubsub_v1 import SubscriberClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.pubsub import PubSubBus, topic_path
from adapters.pubsub_clients import publisher_client, subscriber_client
from adapters.pubsub_dead_letters import ATTRIBUTE_BYTES, DeadLetter, DeadLetters
from events.errors import BadMessage, NotFound, Unavailable
from events.messages import DEAD_LETTERS, Requested, Topic
from pipeline.commands import Outgoing
from tests.cloud.topology import Topology, create_topology, pulled, subscription_path

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
BODY = '{"schemaVersion":1,"jobId":"job_abc123"}'
#: The emulator answers within milliseconds.
PATIENCE_SECONDS = 0.5
WITHIN_SECONDS = 20


@pytest.fixture
def topology(pubsub_emulator: str, project_id: str) -> Topology:
    return create_topology(project_id, None)


@pytest.fixture
def letters(topology: Topology) -> DeadLetters:
    return DeadLetters(topology.project, patience_seconds=PATIENCE_SECONDS)


def bury(letters: DeadLetters, body: str | bytes = BODY, **changes: Any) -> None:
    given: dict[str, Any] = {"topic": "requested", "reason": "unknown_job: there is no such job", "attempts": 3}
    letters.bury(**(given | changes), body=body, message_id="123", at=NOW)


def listed(letters: DeadLetters, holds: Callable[[list[DeadLetter]], bool]) -> list[DeadLetter]:
    """List until it is as it should be; what was given back is there again a moment later."""
    deadline = time.monotonic() + WITHIN_SECONDS
    while not holds(found := letters.list()):
        assert time.monotonic() < deadline, found
    return found


def test_a_buried_message_is_listed_with_all_that_is_known(letters: DeadLetters) -> None:
    before = datetime.now(UTC)

    bury(letters)

    (letter,) = letters.list()
    assert (letter.topic, letter.body, letter.deliveries) == ("requested", BODY, 3)
    assert letter.reason == "unknown_job: there is no such job"
    assert abs(letter.died_at - before) < timedelta(minutes=1)
    assert letter.message_id


def test_the_letter_says_on_pubsub_itself_what_it_is(letters: DeadLetters, topology: Topology) -> None:
    bury(letters, attributes={"jobId": "job_abc123", "topic": "elsewhere"})

    (one,) = pulled(topology.dead_letters, 1)
    assert dict(one.message.attributes) == {
        "topic": "requested",
        "jobId": "job_abc123",
        "reason": "unknown_job: there is no such job",
        "attempts": "3",
        "messageId": "123",
        "diedAt": "2026-01-01T12:00:00.000Z",
    }


@pytest.fixture
def shared(topology: Topology, letters: DeadLetters) -> tuple[DeadLetters, str]:
    return letters, topology.dead_letters


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    body=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=300),
    reason=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=600),
)
def test_body_and_reason_are_kept_byte_for_byte(shared: tuple[DeadLetters, str], body: str, reason: str) -> None:
    letters, _ = shared

    bury(letters, body, reason=reason)

    (letter,) = letters.list(limit=1)
    letters.drop([letter.message_id])
    assert letter.body == body
    if len(reason.encode()) <= ATTRIBUTE_BYTES:
        assert letter.reason == reason
    else:
        assert letter.reason.endswith("…")
        assert reason.startswith(letter.reason.removesuffix("…"))
        assert ATTRIBUTE_BYTES - 3 <= len(letter.reason.encode()) <= ATTRIBUTE_BYTES


@pytest.mark.parametrize("character", ["a", "ü", "€", "🎬"])
def test_a_long_reason_is_cut_at_a_character(letters: DeadLetters, character: str) -> None:
    bury(letters, reason=character * 2000)

    (letter,) = letters.list()
    assert letter.reason == character * ((ATTRIBUTE_BYTES - 3) // len(character.encode())) + "…"


def test_a_reason_that_holds_broken_characters_is_kept_readable(letters: DeadLetters) -> None:
    bury(letters, reason="file \udcff.mp4")

    assert letters.list()[0].reason == "file ?.mp4"


def test_a_body_that_is_no_text_is_shown_and_replayed_as_it_was(letters: DeadLetters, topology: Topology) -> None:
    bury(letters, b"\xff\x00 no text")
    (letter,) = letters.list()

    letters.replay([letter.message_id])

    assert letter.body == "\\xff\x00 no text"
    (again,) = pulled(topology.subscriptions[Topic.REQUESTED], 1)
    assert again.message.data == b"\xff\x00 no text"


def test_looking_twice_shows_the_same_the_oldest_first(letters: DeadLetters) -> None:
    for number in range(5):
        bury(letters, f'{{"number":{number}}}')

    first = letters.list()
    second = listed(letters, lambda found: len(found) == 5)

    assert first == second
    assert [each.body for each in first] == [f'{{"number":{number}}}' for number in range(5)]
    assert len(letters.list(limit=2)) == 2


def test_no_letters_are_an_empty_list(letters: DeadLetters) -> None:
    assert letters.list() == []


def test_a_replayed_letter_goes_to_its_topic_as_a_new_message_and_is_gone(
    letters: DeadLetters, topology: Topology
) -> None:
    came_with = {"jobId": "job_abc123", "eventType": "OBJECT_FINALIZE", "notBefore": "2099-01-01T00:00:00.000Z"}
    bury(letters, attributes=came_with)
    bury(letters, "another")
    first, _ = letters.list()

    letters.replay([first.message_id])

    (again,) = pulled(topology.subscriptions[Topic.REQUESTED], 1)
    assert again.message.data.decode() == BODY
    assert again.delivery_attempt == 1
    # Whoever replays wants it now, and a second death shall tell its own story.
    assert dict(again.message.attributes) == {
        "topic": "requested",
        "jobId": "job_abc123",
        "eventType": "OBJECT_FINALIZE",
    }
    assert [each.body for each in listed(letters, bool)] == ["another"]


def test_replaying_twice_publishes_once_and_says_that_it_is_gone(letters: DeadLetters, topology: Topology) -> None:
    bury(letters)
    (letter,) = letters.list()
    letters.replay([letter.message_id])

    with pytest.raises(NotFound, match=f"replay dead letter {letter.message_id}: there is none"):
        letters.replay([letter.message_id])

    assert len(pulled(topology.subscriptions[Topic.REQUESTED], 1)) == 1


def test_one_that_is_not_there_keeps_the_others_from_being_replayed(letters: DeadLetters, topology: Topology) -> None:
    bury(letters)
    (letter,) = letters.list()

    with pytest.raises(NotFound, match="replay dead letter 999999999"):
        letters.replay([letter.message_id, "999999999"])

    assert pulled(topology.subscriptions[Topic.REQUESTED], 0) == []
    assert listed(letters, bool) == [letter]


class LosesAcknowledgements(SubscriberClient):
    """A client whose network goes away between a publish and its acknowledgement."""

    def acknowledge(self, *_arguments: Any, **_words: Any) -> None:
        gone: Any = ServiceUnavailable
        raise gone("the network went away")


def test_a_crash_between_publish_and_acknowledge_only_duplicates(letters: DeadLetters, topology: Topology) -> None:
    bury(letters)
    (letter,) = letters.list()
    crashing = DeadLetters(
        topology.project,
        subscriber=lambda: LosesAcknowledgements(transport=subscriber_client().transport),
        patience_seconds=PATIENCE_SECONDS,
    )

    with pytest.raises(Unavailable, match="acknowledge letters"):
        crashing.replay([letter.message_id])

    assert listed(letters, bool) == [letter]
    letters.replay([letter.message_id])
    twice = pulled(topology.subscriptions[Topic.REQUESTED], 2)
    assert [each.message.data.decode() for each in twice] == [BODY, BODY]
    assert letters.list() == []


def test_a_letter_that_cannot_be_published_stays(letters: DeadLetters) -> None:
    bury(letters, topic="nowhere")
    (letter,) = letters.list()

    with pytest.raises(NotFound, match="gcloud pubsub topics create nowhere"):
        letters.replay([letter.message_id])

    assert listed(letters, bool) == [letter]


def test_a_dropped_letter_is_gone_and_the_others_stay(letters: DeadLetters) -> None:
    for number in range(3):
        bury(letters, f"{number}")
    ids = [each.message_id for each in letters.list()]

    letters.drop([ids[0], ids[2], ids[0]])

    assert [each.body for each in listed(letters, bool)] == ["1"]
    with pytest.raises(NotFound, match="drop dead letter"):
        letters.drop([ids[0]])


def test_what_pubsub_itself_forwarded_is_listed_and_replayed(pubsub_emulator: str, project_id: str) -> None:
    topology = create_topology(project_id, None, prefix="staging-")
    hurried = _without_waits(topology, Topic.REQUESTED)
    PubSubBus(project_id, "staging-").publish([Outgoing(Requested(job_id="job_abc123"))])
    _refuse(hurried, times=5)
    letters = DeadLetters(project_id, "staging-", patience_seconds=PATIENCE_SECONDS)

    (letter,) = listed(letters, bool)

    assert (letter.topic, letter.deliveries) == ("requested", 5)
    assert letter.reason.startswith("Pub/Sub gave it up after 5 deliveries")
    letters.replay([letter.message_id])
    (again,) = pulled(hurried, 1)
    assert again.message.data.decode() == BODY
    assert dict(again.message.attributes) == {"topic": "requested", "jobId": "job_abc123"}


def test_what_was_typed_by_hand_and_forwarded_is_replayed_to_its_subscriptions_topic(
    pubsub_emulator: str, project_id: str
) -> None:
    topology = create_topology(project_id, None, prefix="staging-")
    hurried = _without_waits(topology, Topic.STITCH_REQUESTED)
    topic = topic_path(project_id, "staging-", Topic.STITCH_REQUESTED)
    publisher_client().publish(request={"topic": topic, "messages": [{"data": b"{}"}]}, timeout=20)
    _refuse(hurried, times=5)
    letters = DeadLetters(project_id, "staging-", patience_seconds=PATIENCE_SECONDS)

    (letter,) = listed(letters, bool)
    letters.replay([letter.message_id])

    assert letter.topic == "stitch_requested"
    assert pulled(hurried, 1)[0].message.data == b"{}"


def test_a_letter_that_nothing_is_known_of_is_listed_and_cannot_be_replayed(
    letters: DeadLetters, topology: Topology
) -> None:
    topic = topic_path(topology.project, "", DEAD_LETTERS)
    publisher_client().publish(request={"topic": topic, "messages": [{"data": b"hello"}]}, timeout=20)

    (letter,) = letters.list()

    assert (letter.topic, letter.body, letter.deliveries) == ("", "hello", 1)
    assert "by hand" in letter.reason
    with pytest.raises(BadMessage, match="nothing says which topic it came from"):
        letters.replay([letter.message_id])
    assert listed(letters, bool) == [letter]


def test_a_subscription_that_is_not_there_is_no_empty_list(pubsub_emulator: str, project_id: str) -> None:
    letters = DeadLetters(project_id, patience_seconds=PATIENCE_SECONDS)

    with pytest.raises(NotFound, match=f"projects/{project_id}/subscriptions/dead_letters"):
        letters.list()
    with pytest.raises(NotFound, match="gcloud pubsub topics create dead_letters"):
        bury(letters)


def test_nobody_there_is_no_empty_list() -> None:
    nobody = "127.0.0.1:1"
    letters = DeadLetters(
        "demo-nobody",
        publisher=partial(publisher_client, nobody),
        subscriber=partial(subscriber_client, nobody),
        timeout_seconds=0.5,
    )

    with pytest.raises(Unavailable):
        letters.list()


def _without_waits(topology: Topology, topic: Topic) -> str:
    """Give a topic a subscription of the same name that refuses quickly: five deliveries, no back-off."""
    client = subscriber_client()
    name = subscription_path(topology.project, topology.prefix, topic)
    client.delete_subscription(subscription=name, timeout=20)
    policy = {
        "dead_letter_topic": topic_path(topology.project, topology.prefix, DEAD_LETTERS),
        "max_delivery_attempts": 5,
    }
    request = {
        "name": name,
        "topic": topic_path(topology.project, topology.prefix, topic),
        "ack_deadline_seconds": 60,
        "dead_letter_policy": policy,
    }
    client.create_subscription(request=request, timeout=20)
    return name


def _refuse(subscription: str, times: int) -> None:
    client = subscriber_client()
    for attempt in range(1, times + 1):
        (one,) = client.pull(subscription=subscription, max_messages=1, timeout=20, retry=None).received_messages
        assert one.delivery_attempt == attempt
        client.modify_ack_deadline(subscription=subscription, ack_ids=[one.ack_id], ack_deadline_seconds=0, timeout=20)
    # The emulator forwards a message when somebody asks for it once more.
    assert pulled(subscription, 0) == []
