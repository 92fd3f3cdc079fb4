"""Topic `segment_requested`: claims the segment, gives its order to the generator, and returns at once."""

from __future__ import annotations

from events.messages import SegmentRequested
from functions.perform import drive
from functions.services import Services
from pipeline import facts
from pipeline.ports import Delivery


def handle(services: Services, delivery: Delivery) -> None:
    """Take one delivery."""
    message = SegmentRequested.from_json(delivery.body)
    drive(services, message.job_id, facts.SegmentRequested(message.segment_index, delivery.claimant_died))
