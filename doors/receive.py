"""What becomes of a delivery: handled, delivered again, or kept as a dead letter with its reason. Nothing is dropped.

A retryable error is answered with 503, which leaves no stack trace in the log: it is business as usual, and the trigger
delivers the event again, after a wait. A mistake of ours is raised as it is, so that it is seen.
A permanent one is recorded and acknowledged, because delivering it again would change nothing. An event that fails for
too long, cannot be read or is too old becomes a dead letter; the sweep mends what it was about.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Protocol

from cloudevents.http import CloudEvent
from werkzeug.exceptions import ServiceUnavailable

from doors.incoming import Incoming, raw, unwrap
from events.errors import BadMessage, PipelineError
from events.log_lines import fields
from events.messages import Topic
from events.names import JOB_ID
from functions.services import Services
from pipeline.limits import EVENT_LONGEST
from pipeline.ports import Delivery

log = logging.getLogger("longreel.receive")

Handle = Callable[[Services, Delivery], object]


class DeadLetterBox(Protocol):
    """Where the cloud keeps what could not be handled."""

    def bury(
        self,
        topic: str,
        body: str,
        reason: str,
        attempts: int,
        message_id: str,
        at: datetime,
        attributes: Mapping[str, str] | None = None,
    ) -> None:
        """Keep a message, durably, with its attributes, which a replay publishes again.

        Raises:
            Unavailable: it is not kept.
        """
        ...


class Failures(Protocol):
    """Counts the failed deliveries of a message; Pub/Sub does not tell a pushed function which delivery it is."""

    def count(self, message_id: str, topic: str, reason: str, now: datetime) -> int:
        """Count one more; give how many there are now.

        Raises:
            Unavailable: it could not be counted.
        """
        ...

    def forget(self, message_id: str) -> None:
        """Forget a message that is over; best effort."""
        ...


class Receiver:
    """Takes deliveries for one function instance.

    Args:
        services: the outside.
        letters: where dead letters go.
        failures: the ledger of failed deliveries.
        attempts_max: failed deliveries after which a message is a dead letter.
        too_early: tells by a message's attributes whether it came before its time.
    """

    def __init__(
        self,
        services: Services,
        letters: DeadLetterBox,
        failures: Failures,
        attempts_max: int,
        too_early: Callable[[dict[str, str], datetime], object | None],
    ) -> None:
        self._services = services
        self._letters = letters
        self._failures = failures
        self._attempts_max = attempts_max
        self._too_early = too_early

    def take(self, event: CloudEvent, topic: Topic, handle: Handle) -> None:
        """Take one event.

        Raises:
            ServiceUnavailable: it should be delivered again; nothing is lost.
            Exception: the same, by a mistake of ours.
        """
        try:
            self._take(event, topic, handle)
        except PipelineError as exc:
            raise ServiceUnavailable(exc.message) from exc

    def _take(self, event: CloudEvent, topic: Topic, handle: Handle) -> None:
        try:
            incoming = unwrap(event, topic)
        except BadMessage as exc:
            self._bury(Incoming(topic, raw(event), str(event["id"]), None), exc, 1)
            return
        if self._has_expired(incoming):
            return
        if self._too_early(dict(incoming.attributes), self._services.clock.now()) is not None:
            raise ServiceUnavailable(f"it is not due before {incoming.attributes.get('notBefore')}")
        try:
            handle(self._services, Delivery(topic, incoming.body))
        except Exception as exc:
            if self._comes_again(incoming, exc):
                raise

    def _has_expired(self, incoming: Incoming) -> bool:
        longest = EVENT_LONGEST[incoming.topic]
        if incoming.published_at is None or self._services.clock.now() - incoming.published_at <= longest:
            return False
        at = incoming.published_at.isoformat(timespec="seconds")
        expired = PipelineError(f"published {at}, more than {longest} ago", code="expired")
        if incoming.topic is Topic.SWEEP:
            # The next minute's does the same; nobody wants a letter for each minute of an outage.
            log.warning(*_told(expired), extra=fields(action="expired", topic=incoming.topic))
        else:
            self._bury(incoming, expired, 1)
        return True

    def _comes_again(self, incoming: Incoming, exc: Exception) -> bool:
        """Tell whether an event that failed is to be delivered again; else it is a dead letter now."""
        # A mistake of ours: another version of the code may handle it.
        retryable = exc.retryable if isinstance(exc, PipelineError) else True
        attempts = self._count(incoming, exc) if retryable else 1
        if retryable and attempts < self._attempts_max:
            return True
        self._bury(incoming, exc, attempts)
        if retryable:
            self._failures.forget(incoming.message_id)
        return False

    def _count(self, incoming: Incoming, exc: Exception) -> int:
        now, topic = self._services.clock.now(), incoming.topic
        try:
            attempts = self._failures.count(incoming.message_id, str(topic), _reason(exc), now)
        except PipelineError as silent:
            # The store itself is down: Pub/Sub counts as well, and has a dead-letter policy of its own.
            log.warning("%s", silent, extra=fields(action="not_counted", job_id=_job_of(incoming), topic=topic))
            return 0
        extra = fields(action="failed", job_id=_job_of(incoming), topic=topic, delivery=attempts)
        log.warning(*_told(exc), extra=extra)
        return attempts

    def _bury(self, incoming: Incoming, exc: Exception, attempts: int) -> None:
        now, topic = self._services.clock.now(), incoming.topic
        self._letters.bury(
            str(topic), incoming.body, _reason(exc), attempts, incoming.message_id, now, incoming.attributes
        )
        extra = fields(action="dead_letter", job_id=_job_of(incoming), topic=topic, delivery=attempts)
        log.error(*_told(exc), extra=extra)


def _job_of(incoming: Incoming) -> str | None:
    """Give the job that a message names, in a field or in an object's name; it need not be readable otherwise."""
    found = JOB_ID.search(incoming.body)
    return found[0] if found else None


def _reason(exc: Exception) -> str:
    """Say why, whole, for those who may read the message itself."""
    return f"{exc.code}: {exc.message}" if isinstance(exc, PipelineError) else f"{type(exc).__name__}: {exc}"


def _told(exc: Exception) -> tuple[object, ...]:
    """Give what the log says of it: by whom it is written, it is left without what others said."""
    return ("%s: %s", exc.code, exc) if isinstance(exc, PipelineError) else ("%s", exc)
