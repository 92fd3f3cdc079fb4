"""Topic `requested`: opens the job's window, or orders again what the job waits for."""

from __future__ import annotations

from events.messages import Requested
from functions.perform import drive
from functions.services import Services
from pipeline import facts
from pipeline.ports import Delivery


def handle(services: Services, delivery: Delivery) -> None:
    """Take one delivery."""
    message = Requested.from_json(delivery.body)
    drive(services, message.job_id, facts.JobRequested())
