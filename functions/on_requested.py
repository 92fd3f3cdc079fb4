"""Topic `requested`: opens the job's window, or orders again what the job waits for."""

from __future__ import annotations

from events.messages import Requested
from functions.perform import Errand, drive
from functions.services import Services
from pipeline import facts
from pipeline.ports import Delivery


def read(_services: Services, delivery: Delivery) -> Errand:
    """Read one delivery."""
    message = Requested.from_json(delivery.body)
    return Errand(message.job_id, facts.JobRequested())


def handle(services: Services, delivery: Delivery) -> None:
    """Take one delivery."""
    errand = read(services, delivery)
    drive(services, errand.job_id, errand.event)
