"""Topic `stitch_requested`: claims the stitch, plans the film, routes it and starts it."""

from __future__ import annotations

from events.messages import StitchRequested
from functions.perform import drive
from functions.services import Services
from pipeline import facts
from pipeline.ports import Delivery


def handle(services: Services, delivery: Delivery) -> None:
    """Take one delivery."""
    message = StitchRequested.from_json(delivery.body)
    drive(services, message.job_id, facts.StitchRequested(delivery.claimant_died))
