"""The cloud's doors: one plain function per trigger, run by functions-framework. Each unwraps its event and hands over.

Until the adapters of Google's cloud arrive, the doors stand over the embedded home that LONGREEL_HOME names, so that
the very same handlers answer CloudEvents on one machine. A retryable error is raised, so that the trigger delivers
the event again; a permanent one is logged and acknowledged, because delivering it again would change nothing.
"""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

import functions_framework
from cloudevents.http import CloudEvent

from events.errors import BadMessage, PipelineError
from events.messages import Topic

if TYPE_CHECKING:
    from functions.services import Services
    from pipeline.ports import Delivery

log = logging.getLogger("longreel.main")


@functions_framework.cloud_event
def on_requested(event: CloudEvent) -> None:
    """Topic `requested`."""
    from functions.on_requested import handle

    _answer(event, Topic.REQUESTED, handle)


@functions_framework.cloud_event
def on_segment_requested(event: CloudEvent) -> None:
    """Topic `segment_requested`."""
    from functions.on_segment_requested import handle

    _answer(event, Topic.SEGMENT_REQUESTED, handle)


@functions_framework.cloud_event
def on_object_finalized(event: CloudEvent) -> None:
    """An object was written to the bucket."""
    from functions.on_object_finalized import handle

    _answer(event, Topic.OBJECT_FINALIZED, handle)


@functions_framework.cloud_event
def on_segment_done(event: CloudEvent) -> None:
    """Topic `segment_done`."""
    from functions.on_segment_done import handle

    _answer(event, Topic.SEGMENT_DONE, handle)


@functions_framework.cloud_event
def on_stitch_requested(event: CloudEvent) -> None:
    """Topic `stitch_requested`."""
    from functions.on_stitch_requested import handle

    _answer(event, Topic.STITCH_REQUESTED, handle)


@functions_framework.cloud_event
def on_sweep(_event: CloudEvent) -> None:
    """Cloud Scheduler, every minute."""
    from functions.on_sweep import handle

    handle(services())


@cache
def services() -> Services:
    """Give the outside, opened at the first event of an instance."""
    from embedded.assembly import open_pipeline

    return open_pipeline().services


def _answer(event: CloudEvent, topic: Topic, handle: Callable[[Services, Delivery], None]) -> None:
    from pipeline.ports import Delivery

    try:
        handle(services(), Delivery(topic, _body(event, topic)))
    except PipelineError as exc:
        if exc.retryable:
            raise
        log.error("%s", exc.message, extra={"action": "refused", "topic": topic, "code": exc.code})  # noqa: TRY400


def _body(event: CloudEvent, topic: Topic) -> str:
    """Give a message's JSON: what was published, or what Cloud Storage says of an object."""
    try:
        if topic is Topic.OBJECT_FINALIZED:
            return json.dumps(event.data)
        return base64.b64decode(event.data["message"]["data"], validate=True).decode()
    except (KeyError, TypeError, ValueError) as exc:
        raise BadMessage(f"unwrap a {topic} event: it holds no message ({type(exc).__name__}: {exc})") from exc
