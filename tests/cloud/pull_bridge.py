"""Carries messages from pull subscriptions to functions over HTTP, as Google's push does it and the emulator does not.

The emulator's own push has two requests of a subscription in flight, whatever one does, and does not say which
delivery it is. The bridge pulls and posts the very body of a push, `deliveryAttempt` included, with as many at once as
it has workers. Leases are extended as long as a call runs, so a slow function is not called twice.
"""

from __future__ import annotations

import base64
import json
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from google.cloud.pubsub_v1.subscriber.message import Message

#: What Pub/Sub takes for an acknowledgement. Source: its guide, "Receive push messages".
ACKNOWLEDGED = frozenset({102, 200, 201, 202, 204})
#: Longest that a call may take. Source: an event-driven function lives 540 s at most.
CALL_SECONDS = 540
#: Longest that stopping may take.
STOP_SECONDS = 30

#: A proxy of this machine's network has no business on loopback.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class PullBridge:
    """A context manager; while it is open, messages flow.

    Args:
        routes: `projects/…/subscriptions/…` of a pull subscription → URL of its function.
        workers: calls of one subscription that run at once.
    """

    def __init__(self, routes: Mapping[str, str], workers: int = 20) -> None:
        self._routes = routes
        self._workers = workers
        self._guard = threading.Lock()
        self._streams: list[Any] = []
        self._client: Any = None
        #: Calls so far, and those of them that were refused.
        self.calls = 0
        self.refused = 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.stop()

    def start(self) -> None:
        """Begin to pull; PUBSUB_EMULATOR_HOST must be set."""
        from google.cloud import pubsub_v1
        from google.cloud.pubsub_v1.subscriber.scheduler import ThreadScheduler

        self._client = pubsub_v1.SubscriberClient()
        for subscription, url in self._routes.items():
            self._streams.append(
                self._client.subscribe(
                    subscription,
                    callback=_Carrier(self, subscription, url).carry,
                    flow_control=pubsub_v1.types.FlowControl(max_messages=self._workers),
                    scheduler=ThreadScheduler(ThreadPoolExecutor(self._workers, thread_name_prefix="bridge")),
                    await_callbacks_on_shutdown=True,
                )
            )

    def stop(self) -> None:
        """Stop pulling, and wait for the calls that run; what was not answered comes again later."""
        for stream in self._streams:
            stream.cancel()
        for stream in self._streams:
            stream.result(timeout=STOP_SECONDS)
        self._streams.clear()
        if self._client is not None:
            self._client.close()
            self._client = None

    def count(self, *, refused: bool) -> None:
        """Count a call."""
        with self._guard:
            self.calls += 1
            self.refused += refused


class _Carrier:
    """Carries the messages of one subscription."""

    def __init__(self, bridge: PullBridge, subscription: str, url: str) -> None:
        self._bridge = bridge
        self._subscription = subscription
        self._url = url

    def carry(self, message: Message) -> None:
        taken = _post(self._url, push_body(self._subscription, message)) in ACKNOWLEDGED
        self._bridge.count(refused=not taken)
        if taken:
            message.ack()
        else:
            message.nack()


def push_body(subscription: str, message: Message) -> bytes:
    """Write what Pub/Sub would push."""
    published = _iso(message.publish_time)
    ids = {"messageId": message.message_id, "message_id": message.message_id}
    times = {"publishTime": published, "publish_time": published}
    content = {"data": base64.b64encode(message.data).decode(), "attributes": dict(message.attributes)}
    body: dict[str, Any] = {"message": {**content, **ids, **times}, "subscription": subscription}
    if message.delivery_attempt is not None:
        body["deliveryAttempt"] = message.delivery_attempt
    return json.dumps(body).encode()


def _iso(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def _post(url: str, body: bytes) -> int:
    """Give the status; 503 when nobody answers, as Google's front end does."""
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    try:
        with _opener.open(request, timeout=CALL_SECONDS) as answer:
            status: int = answer.status
            return status
    except urllib.error.HTTPError as exc:
        with exc:
            return exc.code
    except OSError:
        return 503
