"""Everything that the cloud's doors stand before, put together once for each function instance."""

from __future__ import annotations

from dataclasses import dataclass

from adapters.cloud import CloudAdapters, open_cloud
from adapters.config import CloudConfig, read_cloud_config
from adapters.pubsub import too_early
from adapters.system_clock import random_job_id
from doors.logs import log_to_cloud
from doors.receive import Receiver
from functions.budget import Budget
from functions.services import Services
from pipeline.upload_port import Uploads


@dataclass(frozen=True, slots=True)
class Outside:
    """What a door may use."""

    config: CloudConfig
    services: Services
    receiver: Receiver
    uploads: Uploads


def open_outside(config: CloudConfig | None = None) -> Outside:
    """Open the outside; nobody is asked before something is needed.

    Args:
        config: None reads the environment.

    Raises:
        InvalidRequest: a variable of the environment is missing or wrong; names it.
    """
    if config is None:
        # What is wrong with the environment is a line like all others, too.
        log_to_cloud("")
        config = read_cloud_config()
    log_to_cloud(config.project)
    return assemble(open_cloud(config))


def assemble(adapters: CloudAdapters) -> Outside:
    """Put the handlers' services over the cloud's adapters."""
    config = adapters.config
    limit = config.daily_limit_micro_usd
    services = Services(
        jobs=adapters.jobs,
        bus=adapters.bus,
        objects=adapters.objects,
        generators={"veo": adapters.veo, "omni": adapters.omni, "clip": adapters.given_clip},
        stitcher=adapters.stitcher,
        clock=adapters.clock,
        bucket=config.bucket,
        new_job_id=random_job_id,
        engines=adapters.engines,
        active_jobs_max=config.active_jobs_max,
        budget=None if limit is None else Budget(adapters.spend, limit),
    )
    receiver = Receiver(services, adapters.dead_letters, adapters.failures, config.delivery_attempts_max, too_early)
    return Outside(config, services, receiver, adapters.uploads)
