"""The cloud's message bus: Pub/Sub, one request a topic.

Each message is its JSON as `data`, with attributes for people and filters: `topic`, `jobId`, and `notBefore` where it
has a time. Pub/Sub knows no delayed delivery: it delivers at once, and the door refuses what `too_early` says is not
due yet, so that it comes again by the subscription's retry policy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from adapters.google_errors import translated
from adapters.pubsub_clients import publisher_client
from events.errors import BadMessage, LimitExceeded, NotFound
from events.messages import TOPIC_OF_MODEL, JobMessage, Topic
from pipeline.commands import Outgoing

if TYPE_CHECKING:
    from google.pubsub_v1 import PublisherClient

#: When a message may be delivered at the earliest: ISO 8601, milliseconds, UTC.
NOT_BEFORE = "notBefore"
#: Source: Pub/Sub's quotas, "1,000 messages or 10 MB per publish request"; some bytes are left for the frame.
_MESSAGES_A_REQUEST = 1000
_BYTES_A_REQUEST = 9_500_000
#: What a message weighs beside its data, its keys and values. In bytes.
_FRAME = 64


def topic_path(project: str, prefix: str, topic: str) -> str:
    """Give a topic's full name, `projects/…/topics/…`."""
    return f"projects/{project}/topics/{prefix}{topic}"


@dataclass(frozen=True, slots=True)
class _Letter:
    """A message as Pub/Sub takes it."""

    data: bytes
    attributes: dict[str, str]

    def size_bytes(self) -> int:
        words = sum(len(key.encode()) + len(value.encode()) for key, value in self.attributes.items())
        return _FRAME + len(self.data) + words


class PubSubBus:
    """Publishes to the topics of a project.

    All or nothing as far as Pub/Sub can: everything is written out before the first request, and a topic's messages go
    in one request. If a later topic's request fails, what went before stays published; the caller's own redelivery
    publishes all of it again, and every handler takes a message twice.

    Args:
        project: id of the Google Cloud project.
        topic_prefix: what every topic's name begins with.
        client: makes the client at first use; None for Google's service, or for PUBSUB_EMULATOR_HOST.
        timeout_seconds: longest that a request may take, its retries included. Functions are short.
    """

    def __init__(
        self,
        project: str,
        topic_prefix: str = "",
        client: Callable[[], PublisherClient] | None = None,
        timeout_seconds: float = 20,
    ) -> None:
        self._project = project
        self._prefix = topic_prefix
        self._make_client = client or publisher_client
        self._timeout_seconds = timeout_seconds

    @cached_property
    def _client(self) -> PublisherClient:
        return self._make_client()

    def publish(self, outgoing: Sequence[Outgoing]) -> None:
        """Publish messages; each is delivered at least once, and the door refuses it before its time.

        Raises:
            KeyError: no topic carries such a message; nothing is published.
            LimitExceeded: a message is larger than Pub/Sub takes; nothing is published.
            NotFound: the topic is not there; says how to make it.
            NotAllowed: the service account may not publish.
            Unavailable: Pub/Sub did not answer.
        """
        by_topic: dict[Topic, list[_Letter]] = {}
        for each in outgoing:
            topic = TOPIC_OF_MODEL[type(each.message)]
            by_topic.setdefault(topic, []).append(_written(topic, each))
        requests = [(topic, batch) for topic, letters in by_topic.items() for batch in _batches(topic, letters)]
        for topic, batch in requests:
            messages = [{"data": each.data, "attributes": each.attributes} for each in batch]
            send(self._client, topic_path(self._project, self._prefix, topic), messages, self._timeout_seconds)


def send(client: PublisherClient, topic: str, messages: Sequence[Mapping[str, Any]], timeout_seconds: float) -> None:
    """Publish to one topic in one request, and try again for a while what may pass.

    Args:
        topic: `projects/…/topics/…`.
        messages: `data` and `attributes` each.

    Raises:
        as `PubSubBus.publish` does.
    """
    from google.api_core import exceptions as api

    with translated(f"publish to {topic}"):
        try:
            client.publish(request={"topic": topic, "messages": messages}, **bounded(timeout_seconds))
        except api.NotFound as exc:
            _, project, _, name = topic.split("/")
            raise NotFound(
                f"publish to {topic}: there is no such topic; "
                f"`gcloud pubsub topics create {name} --project {project}` makes it, as infra/ does"
            ) from exc


def bounded(timeout_seconds: float) -> dict[str, Any]:
    """Give the options of a call that is tried again while what stops it may pass, and ends in time whatever happens.

    The library's own goes on for ten minutes, which is longer than a function lives.
    """
    from google.api_core import exceptions as api
    from google.api_core.retry import Retry, if_exception_type

    passing = if_exception_type(
        api.Aborted, api.Cancelled, api.DeadlineExceeded, api.InternalServerError, api.ResourceExhausted,
        api.ServiceUnavailable, api.Unknown,
    )  # fmt: skip
    retry = Retry(predicate=passing, initial=0.1, multiplier=2, maximum=2, timeout=timeout_seconds)
    return {"retry": retry, "timeout": timeout_seconds}


def too_early(attributes: Mapping[str, str], now: datetime) -> timedelta | None:
    """Give how much too early a delivery is; None when it is due.

    The door refuses what is early as it refuses what failed for now, and Pub/Sub brings it again by the retry policy.
    That bridges the two minutes that the core waits at most. A message that is due hours ahead would be refused until
    Pub/Sub makes a dead letter of it, and nothing would be lost: a delayed message comes of a state whose `wakeAt` is
    the same time, so the sweep orders it again when it is due.

    Args:
        attributes: the message's attributes; one without `notBefore`, such as one typed by hand, is always due.

    Raises:
        BadMessage: `notBefore` is no time.
    """
    text = attributes.get(NOT_BEFORE)
    if text is None:
        return None
    try:
        not_before = datetime.fromisoformat(text)
        wait = not_before - now
    except (ValueError, TypeError, OverflowError) as exc:
        raise BadMessage(
            f"read the attribute {NOT_BEFORE}: should be a time such as 2026-01-01T12:00:00.000Z, not {text!r}"
        ) from exc
    return wait if wait > timedelta() else None


def _written(topic: Topic, outgoing: Outgoing) -> _Letter:
    attributes = {"topic": topic.value}
    if isinstance(outgoing.message, JobMessage):
        attributes["jobId"] = outgoing.message.job_id
    if outgoing.not_before is not None:
        attributes[NOT_BEFORE] = iso_ms(outgoing.not_before)
    return _Letter(outgoing.message.to_json().encode(), attributes)


def iso_ms(time: datetime) -> str:
    """Write a time as ISO 8601 in UTC with milliseconds, rounded up: what is due then is due by any finer clock."""
    utc = time.astimezone(UTC)
    whole = utc + timedelta(microseconds=-utc.microsecond % 1000)
    return whole.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def _batches(topic: Topic, letters: Sequence[_Letter]) -> Iterator[list[_Letter]]:
    batch: list[_Letter] = []
    size = 0
    for each in letters:
        weight = each.size_bytes()
        if weight > _BYTES_A_REQUEST:
            raise LimitExceeded(f"publish to {topic}: a message of {weight} bytes; {_BYTES_A_REQUEST} are the most")
        if batch and (len(batch) == _MESSAGES_A_REQUEST or size + weight > _BYTES_A_REQUEST):
            yield batch
            batch, size = [], 0
        batch.append(each)
        size += weight
    if batch:
        yield batch
