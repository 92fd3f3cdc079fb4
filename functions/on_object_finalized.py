"""An object was written: a clip ends its segment, a film its job; anything else is none of our business."""

from __future__ import annotations

import logging

from events.errors import NotFound, PipelineError, Unavailable, UnknownJob
from events.log_lines import fields
from events.messages import ObjectFinalized, SegmentDone
from events.names import OutputObject, SegmentObject, parse_object_name
from functions import adopt, clips, films, stitch
from functions.perform import drive
from functions.services import Services
from pipeline import facts
from pipeline.commands import Outgoing
from pipeline.object_port import ObjectInfo
from pipeline.ports import Delivery

log = logging.getLogger("longreel.on_object_finalized")


def handle(services: Services, delivery: Delivery) -> None:
    """Take one delivery."""
    message = ObjectFinalized.from_json(delivery.body)
    place = parse_object_name(message.name)
    if place is None or message.bucket != services.bucket:
        return
    info = ObjectInfo(f"gs://{message.bucket}/{message.name}", message.generation, message.size)
    try:
        if isinstance(place, SegmentObject) and clips.is_clip(place):
            _clip(services, place, info)
        elif isinstance(place, OutputObject) and films.is_film(place):
            _film(services, place, info)
    except NotFound as exc:
        # Overwritten or deleted since: a newer version has an event of its own.
        log.info("%s", exc, extra=fields(action="gone", job_id=place.job_id))


def _clip(services: Services, place: SegmentObject, info: ObjectInfo) -> None:
    event = adopt.outcome(services, clips.Landed(info, place))
    if isinstance(event, facts.SegmentFailed):
        drive(services, place.job_id, event)
        return
    done = SegmentDone(
        job_id=place.job_id,
        segment_index=place.segment_index,
        attempt=place.attempt,
        clip=event.clip,
    )
    services.bus.publish([Outgoing(done)])


def _film(services: Services, place: OutputObject, info: ObjectInfo) -> None:
    event: facts.JobEvent
    try:
        event = films.film_done(services, services.jobs.load(place.job_id), place.attempt, info)
    except (NotFound, Unavailable, UnknownJob):
        raise
    except PipelineError as exc:
        event = stitch.failure(services, place.attempt, exc)
    drive(services, place.job_id, event)
