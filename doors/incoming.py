"""From a CloudEvent to one of our messages: Pub/Sub's and Cloud Storage's envelopes, binary or structured."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from cloudevents.http import CloudEvent

from events.errors import BadMessage
from events.messages import Topic


@dataclass(frozen=True, slots=True)
class Incoming:
    """One delivery of one event, out of its envelope."""

    topic: Topic
    #: The message's JSON, not read yet.
    body: str
    #: Stays the same when the event is delivered again.
    message_id: str
    #: When the event was published, aware, UTC; None where the envelope does not say.
    published_at: datetime | None
    attributes: Mapping[str, str] = field(default_factory=dict)


def unwrap(event: CloudEvent, topic: Topic) -> Incoming:
    """Take an event out of its envelope.

    A Pub/Sub envelope holds the message in base64. A Cloud Storage event by Eventarc is the object's resource itself;
    a Cloud Storage notification is the same in a Pub/Sub envelope.

    Raises:
        BadMessage: there is no message in it.
    """
    data = event.data
    try:
        if isinstance(data, dict) and isinstance(data.get("message"), dict):
            return _of_pubsub(event, topic, data["message"])
        if topic is Topic.OBJECT_FINALIZED and isinstance(data, dict):
            return Incoming(topic, json.dumps(data), _text(event["id"]), _instant(event.get("time")))
    except (KeyError, TypeError, ValueError) as exc:
        raise BadMessage(f"unwrap a {topic} event: it holds no message ({type(exc).__name__}: {exc})") from exc
    raise BadMessage(f"unwrap a {topic} event: it holds no message, but {type(data).__name__}")


def raw(event: CloudEvent) -> str:
    """Give what an unreadable event holds, for the dead letters."""
    data = event.data
    if isinstance(data, bytes):
        return data.decode(errors="replace")
    return data if isinstance(data, str) else json.dumps(data, default=str)


def _of_pubsub(event: CloudEvent, topic: Topic, message: Mapping[str, Any]) -> Incoming:
    attributes = {str(name): str(value) for name, value in (message.get("attributes") or {}).items()}
    return Incoming(
        topic=topic,
        body=base64.b64decode(message.get("data") or "", validate=True).decode(),
        message_id=_text(message.get("messageId") or message.get("message_id") or event["id"]),
        published_at=_instant(message.get("publishTime") or message.get("publish_time") or event.get("time")),
        attributes=attributes,
    )


def _text(value: object) -> str:
    return str(value)


def _instant(value: object) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        instant = datetime.fromisoformat(value)
    except ValueError:
        # Somebody's clock writes times that we cannot read; an age that nobody knows expires nothing.
        return None
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)
