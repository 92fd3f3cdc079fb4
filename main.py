"""The cloud's doors: one plain function per trigger, run by functions-framework. Each unwraps its event and hands over.

Deploy each under its own entry point: those that an event wakes are named after their topic; `create_job` and its
siblings are Firebase callables, which an app knows as `createJob`. What a function does not need it does not load.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import functions_framework
from cloudevents.http import CloudEvent

from events.messages import Topic

if TYPE_CHECKING:
    from flask import Request, Response

    from doors.outside import Outside


@functions_framework.cloud_event
def on_requested(event: CloudEvent) -> None:
    """Topic `requested`."""
    from functions.on_requested import handle

    outside().receiver.take(event, Topic.REQUESTED, handle)


@functions_framework.cloud_event
def on_segment_requested(event: CloudEvent) -> None:
    """Topic `segment_requested`."""
    from functions.on_segment_requested import handle

    outside().receiver.take(event, Topic.SEGMENT_REQUESTED, handle)


@functions_framework.cloud_event
def on_object_finalized(event: CloudEvent) -> None:
    """An object was written to the bucket."""
    from functions.on_object_finalized import handle

    outside().receiver.take(event, Topic.OBJECT_FINALIZED, handle)


@functions_framework.cloud_event
def on_segment_done(event: CloudEvent) -> None:
    """Topic `segment_done`."""
    from functions.on_segment_done import handle

    outside().receiver.take(event, Topic.SEGMENT_DONE, handle)


@functions_framework.cloud_event
def on_stitch_requested(event: CloudEvent) -> None:
    """Topic `stitch_requested`."""
    from functions.on_stitch_requested import handle

    outside().receiver.take(event, Topic.STITCH_REQUESTED, handle)


@functions_framework.cloud_event
def on_transcoder_report(event: CloudEvent) -> None:
    """Topic `transcoder_reports`."""
    from functions.on_transcoder_report import handle

    outside().receiver.take(event, Topic.TRANSCODER_REPORTS, handle)


@functions_framework.cloud_event
def on_sweep(event: CloudEvent) -> None:
    """Cloud Scheduler, every minute, by topic `sweep`."""
    from functions.on_sweep import handle

    outside().receiver.take(event, Topic.SWEEP, lambda services, _delivery: handle(services))


def create_job(request: Request) -> Response | tuple[Response, int]:
    """Firebase callable `createJob`."""
    from doors import callables

    return callables.answer(request, outside(), callables.create_job)


def cancel_job(request: Request) -> Response | tuple[Response, int]:
    """Firebase callable `cancelJob`."""
    from doors import callables

    return callables.answer(request, outside(), callables.cancel_job)


def resume_job(request: Request) -> Response | tuple[Response, int]:
    """Firebase callable `resumeJob`."""
    from doors import callables

    return callables.answer(request, outside(), callables.resume_job)


def create_upload_url(request: Request) -> Response | tuple[Response, int]:
    """Firebase callable `createUploadUrl`."""
    from doors import callables

    return callables.answer(request, outside(), callables.create_upload_url)


@cache
def outside() -> Outside:
    """Give the outside, opened at the first event of an instance."""
    from doors.outside import open_outside

    return open_outside()
