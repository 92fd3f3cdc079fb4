"""What the storage server tells of new objects: in order, or lost, doubled, late and out of order for chosen ones."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Literal

from tests.cloud.servers.storage_objects import StoredObject

#: Longest that a published event may take.
PUBLISH_SECONDS = 30.0

Mishap = Literal["lose", "double", "hold"]


@dataclass
class _EventFault:
    mishap: Mishap
    prefix: str
    times: int


@dataclass(frozen=True)
class _Notification:
    topic_path: str
    prefix: str
    id: str


class FinalizeEvents:
    """Tells listeners, and Pub/Sub topics, of each new object. Thread-safe.

    Args:
        resource: gives the object resource that an event carries.
    """

    def __init__(self, resource: Callable[[StoredObject], dict[str, Any]]) -> None:
        #: Called with each object, in the thread that made it, before its maker has an answer.
        self.listeners: list[Callable[[StoredObject], None]] = []
        #: Events that are held back, in order.
        self.held: list[StoredObject] = []
        self._resource = resource
        self._faults: list[_EventFault] = []
        self._notifications: list[_Notification] = []
        self._sent: list[Future[str]] = []
        # A PublisherClient, made at first use; the library has no types.
        self._publisher: Any = None
        self._lock = threading.Lock()

    def notify(self, topic_path: str, prefix: str = "", notification_id: str = "1") -> None:
        """Publish the events of objects below `prefix` on a Pub/Sub topic (`projects/p/topics/t`)."""
        self._notifications.append(_Notification(topic_path, prefix, notification_id))

    def misbehave(self, mishap: Mishap, prefix: str = "", times: int = 1) -> None:
        """Lose, double or hold the next `times` events of objects whose name begins with `prefix`."""
        with self._lock:
            self._faults.append(_EventFault(mishap, prefix, times))

    def behave(self) -> None:
        """Forget the faults that are still queued; what is held stays held."""
        with self._lock:
            self._faults.clear()

    def release(self, *, backwards: bool = False) -> None:
        """Tell what was held back, in order or the last one first."""
        with self._lock:
            held, self.held = self.held, []
        for made in reversed(held) if backwards else held:
            self.tell(made)

    def finalized(self, made: StoredObject) -> None:
        """Take note of a new object; tells of it unless a fault meets it."""
        mishap = self._mishap(made)
        if mishap == "hold":
            with self._lock:
                self.held.append(made)
            return
        for _ in range({"lose": 0, "double": 2}.get(mishap or "", 1)):
            self.tell(made)

    def tell(self, made: StoredObject) -> None:
        """Tell of an object, whatever was told before."""
        for listener in self.listeners:
            listener(made)
        for notification in self._notifications:
            if made.name.startswith(notification.prefix):
                self._publish(made, notification)

    def flush(self) -> None:
        """Wait until Pub/Sub has every event; raises where it refused one."""
        with self._lock:
            sent, self._sent = self._sent, []
        for future in sent:
            future.result(PUBLISH_SECONDS)

    def close(self) -> None:
        if self._publisher is not None:
            self.flush()
            self._publisher.stop()
            self._publisher.transport.close()
            self._publisher = None

    def _mishap(self, made: StoredObject) -> Mishap | None:
        with self._lock:
            for fault in self._faults:
                if made.name.startswith(fault.prefix):
                    fault.times -= 1
                    if fault.times == 0:
                        self._faults.remove(fault)
                    return fault.mishap
        return None

    def _publish(self, made: StoredObject, notification: _Notification) -> None:
        # Source: https://cloud.google.com/storage/docs/pubsub-notifications#format
        attributes = {
            "notificationConfig": f"projects/_/buckets/{made.bucket}/notificationConfigs/{notification.id}",
            "eventType": "OBJECT_FINALIZE",
            "payloadFormat": "JSON_API_V1",
            "bucketId": made.bucket,
            "objectId": made.name,
            "objectGeneration": str(made.generation),
            "eventTime": made.time_created,
        }
        data = json.dumps(self._resource(made)).encode()
        future = self._client().publish(notification.topic_path, data, **attributes)
        with self._lock:
            self._sent.append(future)

    def _client(self) -> Any:
        with self._lock:
            if self._publisher is None:
                # Only where Pub/Sub is wanted: it takes a second to import.
                from google.cloud.pubsub_v1 import PublisherClient

                self._publisher = PublisherClient()
            return self._publisher
