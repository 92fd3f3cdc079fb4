"""The cloud's message bus over the official emulator, and its errors over a server that speaks gRPC."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent import futures
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from typing import Any

import grpc  # type: ignore[import-untyped] # ships no types
import pytest
from google.pubsub_v1 import PublishRequest, PublishResponse
from hypothesis import given
from hypothesis import strategies as st

from adapters.pubsub import NOT_BEFORE, PubSubBus, iso_ms, too_early
from adapters.pubsub_clients import publisher_client
from events.errors import BadMessage, LimitExceeded, NotAllowed, NotFound, PipelineError, Unavailable
from events.messages import Requested, SegmentRequested, StitchRequested, Sweep, Topic
from pipeline.commands import Outgoing
from tests.cloud.topology import Topology, create_topology, pulled

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
TIMES = st.datetimes(datetime(1970, 1, 1), datetime(9000, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - Hypothesis asks
SPANS = st.timedeltas(timedelta(days=-400), timedelta(days=400))


@pytest.fixture
def topology(pubsub_emulator: str, project_id: str) -> Topology:
    return create_topology(project_id, None)


def test_a_message_is_its_json_with_attributes_for_people(topology: Topology) -> None:
    message = SegmentRequested(job_id="job_abc123", segment_index=7)

    PubSubBus(topology.project).publish([Outgoing(message, NOW + timedelta(seconds=30))])

    (one,) = pulled(topology.subscriptions[Topic.SEGMENT_REQUESTED], 1)
    assert json.loads(one.message.data) == {"schemaVersion": 1, "jobId": "job_abc123", "segmentIndex": 7}
    assert dict(one.message.attributes) == {
        "topic": "segment_requested",
        "jobId": "job_abc123",
        "notBefore": "2026-01-01T12:00:30.000Z",
    }


def test_a_message_about_no_job_names_none(topology: Topology) -> None:
    PubSubBus(topology.project).publish([Outgoing(Sweep())])

    (one,) = pulled(topology.subscriptions[Topic.SWEEP], 1)
    assert dict(one.message.attributes) == {"topic": "sweep"}


def test_each_message_goes_to_its_topic_behind_the_prefix(pubsub_emulator: str, project_id: str) -> None:
    topology = create_topology(project_id, None, prefix="staging-")

    PubSubBus(project_id, "staging-").publish(
        [Outgoing(Requested(job_id="job_abc123")), Outgoing(StitchRequested(job_id="job_def456"))]
    )

    assert topology.subscriptions[Topic.REQUESTED].endswith("/subscriptions/staging-requested")
    for topic, job_id in ((Topic.REQUESTED, "job_abc123"), (Topic.STITCH_REQUESTED, "job_def456")):
        (one,) = pulled(topology.subscriptions[topic], 1)
        assert json.loads(one.message.data)["jobId"] == job_id
        assert one.message.attributes["topic"] == topic


def test_more_messages_than_a_request_holds_are_all_published(topology: Topology) -> None:
    outgoing = [Outgoing(SegmentRequested(job_id="job_abc123", segment_index=index)) for index in range(2100)]

    PubSubBus(topology.project).publish(outgoing)

    found = pulled(topology.subscriptions[Topic.SEGMENT_REQUESTED], 2100)
    assert sorted(json.loads(each.message.data)["segmentIndex"] for each in found) == list(range(2100))


def test_a_message_that_is_too_large_is_refused_and_takes_the_others_with_it(topology: Topology) -> None:
    huge = Requested(job_id="job_abc123").model_copy(update={"job_id": "x" * 9_600_000})

    with pytest.raises(LimitExceeded, match="publish to requested: a message of 19"):
        PubSubBus(topology.project).publish([Outgoing(Requested(job_id="job_abc123")), Outgoing(huge)])

    assert pulled(topology.subscriptions[Topic.REQUESTED], 0) == []


def test_a_topic_that_is_not_there_is_named_with_how_to_make_it(pubsub_emulator: str, project_id: str) -> None:
    with pytest.raises(NotFound) as caught:
        PubSubBus(project_id, "staging-").publish([Outgoing(Requested(job_id="job_abc123"))])

    assert f"gcloud pubsub topics create staging-requested --project {project_id}" in caught.value.message
    assert f"projects/{project_id}/topics/staging-requested" in caught.value.message


def test_publishing_leaves_no_thread_behind(topology: Topology) -> None:
    before = set(threading.enumerate())

    PubSubBus(topology.project).publish([Outgoing(Requested(job_id="job_abc123"))])

    assert set(threading.enumerate()) == before


def test_nobody_there_is_an_error_that_may_pass_and_is_told_in_time() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: every connection is refused
        nobody = partial(publisher_client, f"127.0.0.1:{taken.getsockname()[1]}")
        bus = PubSubBus("demo-nobody", client=nobody, timeout_seconds=0.5)
        began = time.monotonic()

        with pytest.raises(Unavailable, match="publish to projects/demo-nobody/topics/requested"):
            bus.publish([Outgoing(Requested(job_id="job_abc123"))])

    assert time.monotonic() - began < 5


class FaultyPublisher:
    """A publisher service over gRPC that answers as it is told, once each, and then well."""

    def __init__(self) -> None:
        self.faults: list[grpc.StatusCode | None] = []
        self.requests: list[PublishRequest] = []
        self.released = threading.Event()
        self._server = grpc.server(futures.ThreadPoolExecutor(4))
        handler = grpc.unary_unary_rpc_method_handler(
            self._publish, PublishRequest.deserialize, PublishResponse.serialize
        )
        self._server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler("google.pubsub.v1.Publisher", {"Publish": handler}),)
        )
        self.host = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def _publish(self, request: PublishRequest, context: Any) -> PublishResponse:
        self.requests.append(request)
        fault = self.faults.pop(0) if self.faults else grpc.StatusCode.OK
        if fault is None:
            self.released.wait(20)
        elif fault is not grpc.StatusCode.OK:
            context.abort(fault, "as it was told")
        return PublishResponse(message_ids=[str(number) for number, _ in enumerate(request.messages)])

    def bus(self, timeout_seconds: float = 10) -> PubSubBus:
        return PubSubBus("demo-faults", client=partial(publisher_client, self.host), timeout_seconds=timeout_seconds)

    def stop(self) -> None:
        self.released.set()
        self._server.stop(None).wait()


@pytest.fixture
def faulty() -> Iterator[FaultyPublisher]:
    server = FaultyPublisher()
    yield server
    server.stop()


def test_what_passes_quickly_is_tried_again_within_the_call(faulty: FaultyPublisher) -> None:
    faulty.faults = [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.ABORTED]

    faulty.bus().publish([Outgoing(Requested(job_id="job_abc123"))])

    assert len(faulty.requests) == 3


def test_one_topic_is_one_request_and_topics_go_in_the_order_of_their_first_message(faulty: FaultyPublisher) -> None:
    segments = [Outgoing(SegmentRequested(job_id="job_abc123", segment_index=index)) for index in range(50)]

    faulty.bus().publish([*segments[:20], Outgoing(StitchRequested(job_id="job_abc123")), *segments[20:]])

    assert [each.topic.rpartition("/")[2] for each in faulty.requests] == ["segment_requested", "stitch_requested"]
    bodies = [json.loads(each.data)["segmentIndex"] for each in faulty.requests[0].messages]
    assert bodies == list(range(50))


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (grpc.StatusCode.PERMISSION_DENIED, NotAllowed),
        (grpc.StatusCode.UNAUTHENTICATED, NotAllowed),
        (grpc.StatusCode.INVALID_ARGUMENT, PipelineError),
        (grpc.StatusCode.NOT_FOUND, NotFound),
    ],
)
def test_what_does_not_pass_is_told_at_once(
    faulty: FaultyPublisher, status: grpc.StatusCode, error: type[PipelineError]
) -> None:
    faulty.faults = [status] * 5

    with pytest.raises(error, match="publish to projects/demo-faults/topics/requested") as caught:
        faulty.bus().publish([Outgoing(Requested(job_id="job_abc123"))])

    assert not caught.value.retryable
    assert len(faulty.requests) == 1


def test_a_server_that_never_answers_is_left_in_time(faulty: FaultyPublisher) -> None:
    faulty.faults = [None] * 20
    began = time.monotonic()

    with pytest.raises(Unavailable):
        faulty.bus(timeout_seconds=0.5).publish([Outgoing(Requested(job_id="job_abc123"))])

    assert time.monotonic() - began < 5


def test_a_later_topic_that_fails_leaves_the_earlier_published_and_says_so(faulty: FaultyPublisher) -> None:
    faulty.faults = [grpc.StatusCode.OK, grpc.StatusCode.PERMISSION_DENIED]

    with pytest.raises(NotAllowed, match="topics/stitch_requested"):
        faulty.bus().publish([Outgoing(Requested(job_id="job_abc123")), Outgoing(StitchRequested(job_id="job_abc123"))])

    assert len(faulty.requests) == 2


@given(TIMES, SPANS)
def test_a_message_is_refused_before_its_time_and_never_at_it(not_before: datetime, ahead: timedelta) -> None:
    now = not_before - ahead
    wait = too_early({NOT_BEFORE: iso_ms(not_before)}, now)

    # Times are kept by the millisecond, rounded up: never early, and late by less than one.
    a_millisecond = timedelta(milliseconds=1)
    assert max(ahead, timedelta()) <= (wait or timedelta()) < max(ahead + a_millisecond, a_millisecond)
    assert (wait is None) >= (ahead <= -a_millisecond)


@given(TIMES)
def test_a_time_on_the_millisecond_is_due_then_and_early_just_before(time_on: datetime) -> None:
    due = time_on.replace(microsecond=time_on.microsecond // 1000 * 1000)
    attributes = {NOT_BEFORE: iso_ms(due)}

    assert too_early(attributes, due) is None
    assert too_early(attributes, due - timedelta(microseconds=1)) == timedelta(microseconds=1)


@given(TIMES, st.integers(-14 * 60, 14 * 60))
def test_a_time_is_the_same_in_every_zone(time_of: datetime, minutes: int) -> None:
    elsewhere = time_of.astimezone(timezone(timedelta(minutes=minutes)))

    assert iso_ms(elsewhere) == iso_ms(time_of)
    assert len(iso_ms(time_of)) == len("2026-01-01T12:00:00.000Z")
    assert too_early({NOT_BEFORE: elsewhere.isoformat()}, time_of) is None


def test_a_message_without_a_time_is_due() -> None:
    assert too_early({}, NOW) is None
    assert too_early({"topic": "requested"}, NOW) is None


@pytest.mark.parametrize("text", ["", "tomorrow", "2026-01-01T12:00:00", "2026-01-01", "9999-99-99T00:00:00Z"])
def test_a_time_that_is_none_is_refused_for_good(text: str) -> None:
    with pytest.raises(BadMessage, match="read the attribute notBefore"):
        too_early({NOT_BEFORE: text}, NOW)


@given(st.text())
def test_any_text_as_a_time_is_read_or_refused_in_words(text: str) -> None:
    try:
        too_early({NOT_BEFORE: text}, NOW)
    except BadMessage as exc:
        assert "notBefore" in exc.message  # noqa: PT017 - either outcome is right


@pytest.mark.parametrize("module", ["adapters.pubsub", "adapters.pubsub_clients", "adapters.pubsub_dead_letters"])
def test_importing_the_adapter_loads_nothing_of_googles(module: str) -> None:
    code = f"import sys, {module}; print(*sorted(sys.modules))"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    heavy = {"google.api_core", "google.auth", "google.pubsub_v1", "google.cloud.pubsub_v1", "grpc", "requests"}
    assert not heavy & set(done.stdout.split())
