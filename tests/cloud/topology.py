"""Topics and subscriptions of the product in an emulator's project, as infra/ makes them in a real one."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from adapters.pubsub import topic_path
from adapters.pubsub_clients import publisher_client, subscriber_client
from events.messages import DEAD_LETTERS, Topic

if TYPE_CHECKING:
    from google.pubsub_v1 import ReceivedMessage, SubscriberClient

#: The topics that have a function in the cloud.
CLOUD_TOPICS = tuple(topic for topic in Topic if topic not in {Topic.LOCAL_RENDER, Topic.LOCAL_STITCH})
#: Longest that making or removing one of them may take. In seconds.
MAKING_SECONDS = 20
#: People look at letters no longer than this before Pub/Sub shows them to others.
READING_SECONDS = 60
#: What is there is pulled within milliseconds; this much later there is nothing.
LOOK_SECONDS = 0.2


@dataclass(frozen=True)
class Topology:
    """What was made: full names."""

    project: str
    prefix: str
    #: Topic → `projects/…/subscriptions/…`, whose name is the topic's.
    subscriptions: Mapping[Topic, str]
    dead_letters: str


def subscription_path(project: str, prefix: str, name: str) -> str:
    """Give a subscription's full name."""
    return f"projects/{project}/subscriptions/{prefix}{name}"


def create_topology(
    project: str,
    endpoint_of: Callable[[Topic], str] | None,
    *,
    prefix: str = "",
    min_backoff: timedelta = timedelta(seconds=1),
    max_backoff: timedelta = timedelta(seconds=8),
    ack_deadline_seconds: int = 60,
    dead_letter_after: int = 20,
    emulator_host: str | None = None,
) -> Topology:
    """Make all topics and subscriptions of the product in a project that has none of them.

    Args:
        project: a fresh one.
        endpoint_of: a topic's function as a URL that is pushed to; None for pull subscriptions, for a `PullBridge`.
            The emulator pushes only two messages of a subscription at a time, and sends no `deliveryAttempt`.
            functions-framework names the topic as the event's source only if the path holds `/projects/P/topics/T`.
        prefix: what every name begins with.
        min_backoff: of the retry policy, whole seconds: the emulator makes about three seconds of less.
        max_backoff: of the retry policy.
        ack_deadline_seconds: 10 to 600; a call that takes longer is made again while it still runs.
        dead_letter_after: deliveries, 5 to 100, until Pub/Sub itself forwards a message to `dead_letters`.
        emulator_host: `host:port`; None for PUBSUB_EMULATOR_HOST.
    """
    publisher, subscriber = publisher_client(emulator_host), subscriber_client(emulator_host)
    dead_letters = topic_path(project, prefix, DEAD_LETTERS)
    for name in (DEAD_LETTERS, *CLOUD_TOPICS):
        publisher.create_topic(name=topic_path(project, prefix, name), timeout=MAKING_SECONDS)
    letters = subscription_path(project, prefix, DEAD_LETTERS)
    # No retry policy: letters that were only looked at are given back, and are to be there again at once.
    _make(subscriber, {"name": letters, "topic": dead_letters, "ack_deadline_seconds": READING_SECONDS})
    subscriptions: dict[Topic, str] = {}
    for topic in CLOUD_TOPICS:
        subscriptions[topic] = subscription_path(project, prefix, topic)
        push = {} if endpoint_of is None else {"push_config": {"push_endpoint": endpoint_of(topic)}}
        _make(
            subscriber,
            {
                "name": subscriptions[topic],
                "topic": topic_path(project, prefix, topic),
                "ack_deadline_seconds": ack_deadline_seconds,
                "retry_policy": {"minimum_backoff": min_backoff, "maximum_backoff": max_backoff},
                "dead_letter_policy": {"dead_letter_topic": dead_letters, "max_delivery_attempts": dead_letter_after},
                **push,
            },
        )
    return Topology(project, prefix, subscriptions, letters)


def remove_topology(topology: Topology, *, emulator_host: str | None = None) -> None:
    """Remove what was made: the emulator keeps trying to push to a function that is gone, and looks busy."""
    publisher, subscriber = publisher_client(emulator_host), subscriber_client(emulator_host)
    for subscription in (*topology.subscriptions.values(), topology.dead_letters):
        subscriber.delete_subscription(subscription=subscription, timeout=MAKING_SECONDS)
    for name in (DEAD_LETTERS, *CLOUD_TOPICS):
        publisher.delete_topic(topic=topic_path(topology.project, topology.prefix, name), timeout=MAKING_SECONDS)


def pulled(subscription: str, count: int, seconds: float = 20) -> list[ReceivedMessage]:
    """Pull until there are `count` messages, look once more for any beyond them, and give all of them.

    Nothing is acknowledged: what was pulled is held for the subscription's ack deadline.
    """
    from google.api_core.exceptions import DeadlineExceeded

    client = subscriber_client()
    found: list[ReceivedMessage] = []
    deadline = time.monotonic() + seconds
    while True:
        wait = LOOK_SECONDS if len(found) >= count else max(LOOK_SECONDS, deadline - time.monotonic())
        try:
            answer = client.pull(subscription=subscription, max_messages=1000, timeout=wait, retry=None)
        except DeadlineExceeded:
            return found
        found += answer.received_messages
        if not answer.received_messages and (len(found) >= count or time.monotonic() > deadline):
            return found


def _make(subscriber: SubscriberClient, subscription: dict[str, Any]) -> None:
    subscriber.create_subscription(request=subscription, timeout=MAKING_SECONDS)
