"""Topic `stitch_requested`: claims the stitch, plans the film, routes it and starts it."""

from __future__ import annotations

from events.messages import StitchRequested
from functions.perform import Errand, drive
from functions.services import Services
from pipeline import facts
from pipeline.ports import Delivery


def read(_services: Services, delivery: Delivery) -> Errand:
    """Read one delivery."""
    message = StitchRequested.from_json(delivery.body)
    return Errand(message.job_id, facts.StitchRequested(delivery.claimant_died))


def handle(services: Services, delivery: Delivery) -> None:
    """Take one delivery."""
    errand = read(services, delivery)
    drive(services, errand.job_id, errand.event)
