"""Topic `segment_done`: ends the segment; the next one goes, or the stitch is asked for."""

from __future__ import annotations

from events.messages import SegmentDone
from functions import adopt
from functions.perform import Errand, drive
from functions.services import Services
from pipeline import facts
from pipeline.ports import Delivery


def read(services: Services, delivery: Delivery) -> Errand:
    """Read one delivery. A message typed by hand needs no clip: it is looked for where the segment's attempts land."""
    message = SegmentDone.from_json(delivery.body)
    return Errand(message.job_id, _event(services, message))


def handle(services: Services, delivery: Delivery) -> None:
    """Take one delivery."""
    errand = read(services, delivery)
    drive(services, errand.job_id, errand.event)


def _event(services: Services, message: SegmentDone) -> facts.SegmentEvent:
    if message.clip is not None and message.attempt is not None:
        return facts.SegmentDone(message.segment_index, message.attempt, message.clip, message.last_frame)
    job = services.jobs.load(message.job_id)
    for segment in services.jobs.segments(message.job_id, below=message.segment_index + 1)[message.segment_index :]:
        if (event := adopt.came_of(services, job, segment.index, segment.attempt)) is not None:
            return event
    # Nothing has landed, so the one thing that helps is to ask for the segment.
    return facts.SegmentRequested(message.segment_index)
