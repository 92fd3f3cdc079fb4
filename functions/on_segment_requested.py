"""Topic `segment_requested`: claims the segment, gives its order to the generator, and returns at once."""

from __future__ import annotations

from events.messages import SegmentRequested
from functions.perform import Errand, drive
from functions.services import Services
from pipeline import facts
from pipeline.ports import Delivery


def read(_services: Services, delivery: Delivery) -> Errand:
    """Read one delivery."""
    message = SegmentRequested.from_json(delivery.body)
    return Errand(message.job_id, facts.SegmentRequested(message.segment_index, delivery.claimant_died))


def handle(services: Services, delivery: Delivery) -> None:
    """Take one delivery."""
    errand = read(services, delivery)
    drive(services, errand.job_id, errand.event)
