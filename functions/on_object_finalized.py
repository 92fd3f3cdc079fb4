"""An object was written: a clip ends its segment, a film its job; anything else is none of our business."""

from __future__ import annotations

from events.errors import PipelineError
from events.messages import ObjectFinalized, SegmentDone
from events.names import OutputObject, SegmentObject, parse_object_name
from functions import clips, stitch
from functions.perform import drive, segment_outcome
from functions.services import Services
from pipeline import facts
from pipeline.commands import Outgoing
from pipeline.object_port import ObjectInfo
from pipeline.ports import Delivery


def handle(services: Services, delivery: Delivery) -> None:
    """Take one delivery."""
    message = ObjectFinalized.from_json(delivery.body)
    place = parse_object_name(message.name)
    if place is None or message.bucket != services.bucket:
        return
    info = ObjectInfo(f"gs://{message.bucket}/{message.name}", message.generation, message.size)
    if isinstance(place, OutputObject):
        _film(services, place, info)
    elif clips.is_clip(place):
        _clip(services, place, info)


def _clip(services: Services, place: SegmentObject, info: ObjectInfo) -> None:
    chained = services.jobs.load(place.job_id).daisy_chain
    event = segment_outcome(services, clips.Landed(info, place), chained=chained)
    if not isinstance(event, facts.SegmentDone):
        drive(services, place.job_id, event)
        return
    done = SegmentDone(
        job_id=place.job_id,
        segment_index=place.segment_index,
        attempt=place.attempt,
        clip=event.clip,
        last_frame=event.last_frame,
    )
    services.bus.publish([Outgoing(done)])


def _film(services: Services, place: OutputObject, info: ObjectInfo) -> None:
    event: facts.JobEvent
    try:
        event = clips.film_done(services, place.job_id, place.attempt, info)
    except PipelineError as exc:
        if exc.retryable and exc.code == "unavailable":
            raise
        event = stitch.failure(services, place.attempt, exc)
    drive(services, place.job_id, event)
