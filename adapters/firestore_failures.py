"""How often each message has failed: Pub/Sub pushes do not say it to a function, so it is counted here.

failures/m:{message id}   {messageId, topic, reason, count, lastAt, expireAt}

Firestore deletes a document some time after its `expireAt` by itself, where the collection has a TTL policy
(`infra/firestore.indexes.json`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import quote

from adapters.google_errors import translated
from events.errors import PipelineError

if TYPE_CHECKING:
    from google.cloud import firestore

#: Longest that Pub/Sub keeps a message by default is 7 days; a count outlives every message that it counts.
KEPT_FOR = timedelta(days=14)
#: Characters of a reason that are kept.
REASON_CHARS_MAX = 1500
#: Seconds to wait for an answer.
PATIENCE_S = 10.0


class FailureLedger:
    """Counts failed deliveries of messages. Safe for threads.

    Args:
        client: makes Google's client; called once, at the first use.
        collection: of the counts.
    """

    def __init__(self, client: Callable[[], firestore.Client], collection: str = "failures") -> None:
        self._make = client
        self._collection = collection
        self._lock = threading.Lock()
        self._made: firestore.Client | None = None

    def count(self, message_id: str, topic: str, reason: str, now: datetime) -> int:
        """Count one failed delivery, in one write.

        Args:
            message_id: Pub/Sub's own; the same in every delivery of the message.
            topic: where the message came from.
            reason: why this delivery failed, for people.
            now: aware, UTC.

        Returns:
            How often the message has failed, this time included.

        Raises:
            Unavailable: Firestore did not answer; it may have counted.
        """
        from google.cloud import firestore

        batch = self._client().batch()
        fields = {
            "messageId": message_id,
            "topic": topic,
            "reason": reason[:REASON_CHARS_MAX],
            "count": firestore.Increment(1),
            "lastAt": now,
            "expireAt": now + KEPT_FOR,
        }
        batch.set(self._reference(message_id), fields, merge=True)
        doing = f"count a failed delivery of message {message_id}"
        with translated(doing):
            # Never sent twice by the client itself: that would count twice.
            [result] = batch.commit(retry=None, timeout=PATIENCE_S)
        if len(result.transform_results) != 1:
            raise PipelineError(f"{doing}: Firestore did not say the new count")
        return int(result.transform_results[0].integer_value)

    def forget(self, message_id: str) -> None:
        """Forget a message that needs no count any more; one that was never counted is forgotten already.

        Raises:
            Unavailable: Firestore did not answer.
        """
        with translated(f"forget the failures of message {message_id}"):
            self._reference(message_id).delete(timeout=PATIENCE_S)

    def _reference(self, message_id: str) -> firestore.DocumentReference:
        # The prefix keeps an id from being one that Firestore has for itself, such as `..`.
        return self._client().collection(self._collection).document(f"m:{quote(message_id, safe='')}")

    def _client(self) -> firestore.Client:
        with self._lock:
            if self._made is None:
                self._made = self._make()
            return self._made
