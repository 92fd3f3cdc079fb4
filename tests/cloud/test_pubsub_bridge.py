"""The bridge that carries pulled messages to functions: as many at once as asked for, in the very words of a push."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from adapters.pubsub import PubSubBus
from adapters.pubsub_dead_letters import DeadLetters
from events.messages import Requested, SegmentRequested, Topic
from pipeline.commands import Outgoing
from tests.cloud.pull_bridge import PullBridge
from tests.cloud.topology import Topology, create_topology, remove_topology

WITHIN_SECONDS = 30


class Function:
    """A function behind HTTP: answers with `status_of`, and keeps what it was called with."""

    def __init__(self, port: int = 0) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.status_of: Callable[[dict[str, Any]], int] = lambda _body: 200
        self.running = Counter[str]()
        self.most_running = 0
        self._guard = threading.Lock()
        function = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(function.called(body))
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        class Server(ThreadingHTTPServer):
            request_queue_size = 64
            daemon_threads = True

        self._server = Server(("127.0.0.1", port), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}/"

    def called(self, body: dict[str, Any]) -> int:
        with self._guard:
            self.bodies.append(body)
            self.running["now"] += 1
            self.most_running = max(self.most_running, self.running["now"])
        try:
            return self.status_of(body)
        finally:
            with self._guard:
                self.running["now"] -= 1

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def function() -> Iterator[Function]:
    function = Function()
    yield function
    function.stop()


@pytest.fixture
def topology(pubsub_emulator: str, project_id: str) -> Iterator[Topology]:
    topology = create_topology(project_id, None)
    yield topology
    remove_topology(topology)


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WITHIN_SECONDS
    while not holds():
        assert time.monotonic() < deadline, "it did not come about in time"
        threading.Event().wait(0.02)


def test_a_message_is_posted_as_a_push_posts_it(topology: Topology, function: Function) -> None:
    subscription = topology.subscriptions[Topic.REQUESTED]
    with PullBridge({subscription: function.url}):
        PubSubBus(topology.project).publish([Outgoing(Requested(job_id="job_abc123"))])
        until(lambda: bool(function.bodies))

    (body,) = function.bodies
    assert body["subscription"] == subscription
    assert body["deliveryAttempt"] == 1
    message = body["message"]
    assert json.loads(base64.b64decode(message["data"])) == {"schemaVersion": 1, "jobId": "job_abc123"}
    assert message["attributes"] == {"topic": "requested", "jobId": "job_abc123"}
    assert message["messageId"] == message["message_id"]
    assert message["publishTime"] == message["publish_time"]
    assert message["publishTime"].endswith("Z")


def test_as_many_run_at_once_as_there_are_workers(topology: Topology, function: Function) -> None:
    all_there = threading.Barrier(20)
    function.status_of = lambda _body: 204 if all_there.wait(WITHIN_SECONDS) >= 0 else 500
    segments = [Outgoing(SegmentRequested(job_id="job_abc123", segment_index=index)) for index in range(40)]

    with PullBridge({topology.subscriptions[Topic.SEGMENT_REQUESTED]: function.url}, workers=20) as bridge:
        PubSubBus(topology.project).publish(segments)
        until(lambda: bridge.calls >= 40)

    assert function.most_running == 20
    assert (bridge.calls, bridge.refused) == (40, 0)


def test_what_is_refused_comes_again_with_the_number_of_its_delivery(topology: Topology, function: Function) -> None:
    function.status_of = lambda body: 200 if body["deliveryAttempt"] == 3 else 500

    with PullBridge({topology.subscriptions[Topic.REQUESTED]: function.url}) as bridge:
        PubSubBus(topology.project).publish([Outgoing(Requested(job_id="job_abc123"))])
        until(lambda: bridge.calls >= 3)

    assert [body["deliveryAttempt"] for body in function.bodies] == [1, 2, 3]
    assert (bridge.calls, bridge.refused) == (3, 2)


def test_a_function_that_is_not_there_for_a_while_misses_nothing(topology: Topology) -> None:
    gone = Function()
    gone.stop()
    with PullBridge({topology.subscriptions[Topic.REQUESTED]: gone.url}) as bridge:
        PubSubBus(topology.project).publish([Outgoing(Requested(job_id="job_abc123"))])
        until(lambda: bridge.refused >= 1)
        back = Function(gone.port)
        until(lambda: bool(back.bodies))
        back.stop()

    assert back.bodies[0]["deliveryAttempt"] >= 2
    assert DeadLetters(topology.project, patience_seconds=0.5).list() == []
