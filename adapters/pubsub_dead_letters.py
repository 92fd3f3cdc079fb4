"""The cloud's dead letters: one topic and one pull subscription, `dead_letters`, that people read.

Two hands write there. A door buries what it cannot handle, with the reason; Pub/Sub itself forwards what was delivered
too often without a word, because the function crashed or ran out of time. Reading takes nothing away: letters are
pulled, looked at and given back; only one that was published again, or dropped, is acknowledged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING

from adapters.google_errors import translated
from adapters.pubsub import NOT_BEFORE, bounded, iso_ms, send, topic_path
from adapters.pubsub_clients import publisher_client, subscriber_client
from events.errors import BadMessage, NotFound
from events.messages import DEAD_LETTERS

if TYPE_CHECKING:
    from google.pubsub_v1 import PublisherClient, ReceivedMessage, SubscriberClient

#: Our attributes of a letter. `topic` is on every message of ours.
TOPIC, REASON, ATTEMPTS, MESSAGE_ID, DIED_AT = "topic", "reason", "attempts", "messageId", "diedAt"
#: What Pub/Sub puts on a letter that it forwards itself. Source: Pub/Sub's guide, "Handle message failures".
_FORWARDED = "CloudPubSubDeadLetterSource"
_FORWARDED_FROM, _FORWARDED_AFTER = f"{_FORWARDED}Subscription", f"{_FORWARDED}DeliveryCount"
#: Source: Pub/Sub's quotas, the largest value of an attribute. In bytes.
ATTRIBUTE_BYTES = 1024
#: Source: Pub/Sub's quotas, the most messages of a pull; acknowledgements are kept to as many.
_PULLED_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that will not be delivered again by itself; the fields of the embedded one, and when it died."""

    #: Pub/Sub's id of the letter: digits in practice, but a word to us.
    message_id: str
    #: Empty when nothing says where it came from.
    topic: str
    #: What is no UTF-8 is shown with backslashes; `replay` publishes the very bytes.
    body: str
    deliveries: int
    reason: str
    #: Aware, UTC.
    died_at: datetime


class DeadLetters:
    """Buries messages, and shows, replays and drops those that are buried.

    Args:
        project: id of the Google Cloud project.
        topic_prefix: what every topic's name begins with.
        publisher: makes the client that publishes, at first use; None for Google's service or the emulator's.
        subscriber: makes the client that pulls; the same.
        patience_seconds: how long to wait for a letter before holding that there is none, and a third of it for more
            of them. Pub/Sub does not say how many there are; its servers answer a pull with what is at hand.
        timeout_seconds: longest that any other request may take.
    """

    def __init__(
        self,
        project: str,
        topic_prefix: str = "",
        publisher: Callable[[], PublisherClient] | None = None,
        subscriber: Callable[[], SubscriberClient] | None = None,
        *,
        patience_seconds: float = 3,
        timeout_seconds: float = 20,
    ) -> None:
        self._project = project
        self._prefix = topic_prefix
        self._make_publisher = publisher or publisher_client
        self._make_subscriber = subscriber or subscriber_client
        self._patience_seconds = patience_seconds
        self._timeout_seconds = timeout_seconds
        self._subscription = f"projects/{project}/subscriptions/{topic_prefix}{DEAD_LETTERS}"

    @cached_property
    def _publisher(self) -> PublisherClient:
        return self._make_publisher()

    @cached_property
    def _subscriber(self) -> SubscriberClient:
        return self._make_subscriber()

    def bury(
        self,
        topic: str,
        body: str | bytes,
        reason: str,
        attempts: int,
        message_id: str,
        at: datetime,
        attributes: Mapping[str, str] | None = None,
    ) -> None:
        """Keep a message that nobody could handle; when this returns, it is safe to acknowledge the message.

        Args:
            topic: where it came from, without the prefix.
            body: its data, kept byte for byte.
            reason: why, for people; cut at a character when it is longer than an attribute may be.
            attempts: deliveries so far, at least 1.
            message_id: its id, by which the logs know it.
            at: now, aware.
            attributes: those that it came with, to replay it with; such as `eventType` of Cloud Storage.

        Raises:
            as `PubSubBus.publish` does; nothing is kept then, so do not acknowledge the message.
        """
        ours = {
            TOPIC: topic,
            REASON: _cut(reason),
            ATTEMPTS: str(attempts),
            MESSAGE_ID: message_id,
            DIED_AT: iso_ms(at),
        }
        data = body.encode(errors="surrogatepass") if isinstance(body, str) else body
        self._send(DEAD_LETTERS, data, {**(attributes or {}), **ours})

    def list(self, limit: int = _PULLED_AT_ONCE) -> list[DeadLetter]:
        """Give up to `limit` dead letters, the oldest first, and leave them where they are.

        Raises:
            NotFound: there is no such subscription.
            Unavailable: Pub/Sub did not answer.
        """
        with self._borrowed(lambda seen: len(seen) >= limit) as letters:
            return [self._read(each) for each in letters.values()][:limit]

    def replay(self, message_ids: Iterable[str]) -> None:
        """Publish letters again to the topics that they came from, as new messages.

        Each is acknowledged only after it was published: a crash in between leaves it here as well, and replaying it
        again is harmless, because every handler takes a message twice.

        Raises:
            NotFound: one of them is not there (any more); none is published.
            BadMessage: nothing says which topic one of them came from; none is published.
        """
        wanted = list(dict.fromkeys(message_ids))
        with self._found("replay", wanted) as letters:
            topics = [self._source_topic(each) for each in letters]
            for topic, each in zip(topics, letters, strict=True):
                self._send(topic, each.message.data, _as_it_came(each.message.attributes))
                self._acknowledge([each])

    def drop(self, message_ids: Iterable[str]) -> None:
        """Forget letters for good.

        Raises:
            NotFound: one of them is not there (any more); none is dropped.
        """
        with self._found("drop", list(dict.fromkeys(message_ids))) as letters:
            self._acknowledge(letters)

    @contextmanager
    def _found(self, doing: str, wanted: Sequence[str]) -> Iterator[Sequence[ReceivedMessage]]:
        with self._borrowed(lambda seen: seen.keys() >= set(wanted)) as letters:
            if lacking := [each for each in wanted if each not in letters]:
                raise NotFound(
                    f"{doing} dead letter {', '.join(lacking)}: there is none; `longreel dead-letters list` shows "
                    "those that are"
                )
            yield [letters[each] for each in wanted]

    @contextmanager
    def _borrowed(
        self, enough: Callable[[Mapping[str, ReceivedMessage]], bool]
    ) -> Iterator[dict[str, ReceivedMessage]]:
        """Pull letters, the oldest first, and give back at the end what was not acknowledged."""
        with translated(f"look for {self._subscription}"):
            # A pull that is not answered and one that finds nothing look alike; this one tells them apart.
            self._subscriber.get_subscription(subscription=self._subscription, **bounded(self._timeout_seconds))
        seen: dict[str, ReceivedMessage] = {}
        try:
            new = True
            while new and not enough(seen):
                # What is there comes with the first answer, nearly always; the rest is waited for less.
                patience_seconds = self._patience_seconds / (3 if seen else 1)
                pulled = {each.message.message_id: each for each in self._pull(patience_seconds)}
                new = not pulled.keys() <= seen.keys()
                seen |= pulled
            oldest_first = sorted(seen.values(), key=lambda each: (each.message.publish_time, each.message.message_id))
            yield {each.message.message_id: each for each in oldest_first}
        finally:
            # An acknowledged letter is not there to be given back; Pub/Sub takes no notice of it.
            self._give_back(list(seen.values()))

    def _pull(self, patience_seconds: float) -> Sequence[ReceivedMessage]:
        from google.api_core.exceptions import DeadlineExceeded

        with translated(f"pull from {self._subscription}"):
            try:
                pulled = self._subscriber.pull(
                    subscription=self._subscription,
                    max_messages=_PULLED_AT_ONCE,
                    timeout=patience_seconds,
                    retry=None,
                )
            except DeadlineExceeded:
                return []
        return pulled.received_messages

    def _acknowledge(self, letters: Sequence[ReceivedMessage]) -> None:
        for start in range(0, len(letters), _PULLED_AT_ONCE):
            ack_ids = [each.ack_id for each in letters[start : start + _PULLED_AT_ONCE]]
            with translated(f"acknowledge letters of {self._subscription}"):
                self._subscriber.acknowledge(
                    subscription=self._subscription, ack_ids=ack_ids, **bounded(self._timeout_seconds)
                )

    def _give_back(self, letters: Sequence[ReceivedMessage]) -> None:
        for start in range(0, len(letters), _PULLED_AT_ONCE):
            with translated(f"give letters back to {self._subscription}"):
                self._subscriber.modify_ack_deadline(
                    subscription=self._subscription,
                    ack_ids=[each.ack_id for each in letters[start : start + _PULLED_AT_ONCE]],
                    ack_deadline_seconds=0,
                    **bounded(self._timeout_seconds),
                )

    def _send(self, topic: str, data: bytes, attributes: Mapping[str, str]) -> None:
        messages = [{"data": data, "attributes": attributes}]
        send(self._publisher, topic_path(self._project, self._prefix, topic), messages, self._timeout_seconds)

    def _read(self, letter: ReceivedMessage) -> DeadLetter:
        message, attributes = letter.message, letter.message.attributes
        count = attributes.get(ATTEMPTS) or attributes.get(_FORWARDED_AFTER) or ""
        deliveries = int(count) if count.isdecimal() else 1
        return DeadLetter(
            message_id=message.message_id,
            topic=self._topic_of(attributes),
            body=message.data.decode(errors="backslashreplace"),
            deliveries=deliveries,
            reason=attributes.get(REASON) or _why_forwarded(attributes, deliveries),
            died_at=message.publish_time.astimezone(UTC),
        )

    def _topic_of(self, attributes: Mapping[str, str]) -> str:
        # A subscription has its topic's name. What was typed by hand, and then forwarded, lacks our attribute.
        source = attributes.get(_FORWARDED_FROM, "").rpartition("/")[2]
        return attributes.get(TOPIC) or source.removeprefix(self._prefix)

    def _source_topic(self, letter: ReceivedMessage) -> str:
        topic = self._topic_of(letter.message.attributes)
        if not topic:
            raise BadMessage(
                f"replay dead letter {letter.message.message_id}: nothing says which topic it came from; publish its "
                "body with `gcloud pubsub topics publish`"
            )
        return topic


def _as_it_came(attributes: Mapping[str, str]) -> dict[str, str]:
    """Give the attributes without what tells of the death; and due now, because somebody wants it now."""
    told = {REASON, ATTEMPTS, MESSAGE_ID, DIED_AT, NOT_BEFORE}
    return {key: value for key, value in attributes.items() if key not in told and not key.startswith(_FORWARDED)}


def _why_forwarded(attributes: Mapping[str, str], deliveries: int) -> str:
    if any(key.startswith(_FORWARDED) for key in attributes):
        times = "1 delivery" if deliveries == 1 else f"{deliveries} deliveries"
        return f"Pub/Sub gave it up after {times}; the function's log says what became of them"
    return "nothing says why: it was published here by hand"


def _cut(text: str) -> str:
    data = text.encode(errors="replace")
    if len(data) <= ATTRIBUTE_BYTES:
        return data.decode()
    dots = "…"
    return data[: ATTRIBUTE_BYTES - len(dots.encode())].decode(errors="ignore") + dots
