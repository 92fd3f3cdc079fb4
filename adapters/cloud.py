"""Puts Google's column together. Nothing of Google's is loaded here: each adapter does that at its first use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from adapters.cloud_run import CloudRunEngine
from adapters.compose_splice import ComposeSplice
from adapters.config import CloudConfig
from adapters.firestore import FirestoreJobStore
from adapters.firestore_failures import FailureLedger
from adapters.firestore_spend import FirestoreSpend
from adapters.gcs import CloudObjectStore
from adapters.gcs_client import storage_client
from adapters.gcs_upload_urls import UploadUrls, by_service_account, by_throwaway_key
from adapters.given_clip import GivenClipGenerator
from adapters.loading import loading
from adapters.omni import OmniGenerator
from adapters.pubsub import PubSubBus
from adapters.pubsub_dead_letters import DeadLetters
from adapters.routed_stitcher import RoutedStitcher
from adapters.system_clock import SystemClock
from adapters.transcoder import TranscoderEngine
from adapters.veo import VeoGenerator
from events.messages import Topic
from events.plan import Engine as EngineName
from pipeline.routing import Engine

if TYPE_CHECKING:
    from google.cloud import firestore
    from google.cloud.storage import Client as StorageClient


@dataclass(frozen=True, slots=True)
class CloudAdapters:
    """Google's column, assembled."""

    config: CloudConfig
    clock: SystemClock
    jobs: FirestoreJobStore
    bus: PubSubBus
    objects: CloudObjectStore
    veo: VeoGenerator
    omni: OmniGenerator
    given_clip: GivenClipGenerator
    stitcher: RoutedStitcher
    engines: frozenset[EngineName]
    dead_letters: DeadLetters
    failures: FailureLedger
    spend: FirestoreSpend
    uploads: UploadUrls


def open_cloud(config: CloudConfig, documents: Callable[[], firestore.Client] | None = None) -> CloudAdapters:
    """Assemble the adapters; asks nobody outside.

    Args:
        config: from `read_cloud_config`.
        documents: makes the Firestore client; None for the configured database's.
    """

    @cache
    def database() -> firestore.Client:
        with loading("google.cloud.firestore"):
            from google.cloud import firestore

        return firestore.Client(project=config.project, database=config.firestore_database)

    @cache
    def buckets() -> StorageClient:
        return storage_client(config.project)

    documents = cache(documents) if documents is not None else database
    signing = (lambda: by_throwaway_key(buckets())) if config.emulated else by_service_account
    clock = SystemClock()
    objects = CloudObjectStore(buckets)
    engines = _engines(config, objects)
    return CloudAdapters(
        config=config,
        clock=clock,
        jobs=FirestoreJobStore(documents, config.jobs_collection),
        bus=PubSubBus(config.project, config.topic_prefix),
        objects=objects,
        veo=VeoGenerator(config.project, config.vertex_location, config.veo_model, config.vertex_endpoint),
        omni=OmniGenerator(config.project, config.omni_model, config.vertex_endpoint),
        given_clip=GivenClipGenerator(objects),
        stitcher=RoutedStitcher(engines, clock),
        engines=frozenset(engine.name for engine in engines),
        dead_letters=DeadLetters(config.project, config.topic_prefix),
        failures=FailureLedger(documents),
        spend=FirestoreSpend(documents, config.jobs_collection),
        uploads=UploadUrls(buckets, config.bucket, signing),
    )


def _engines(config: CloudConfig, objects: CloudObjectStore) -> list[Engine]:
    engines: list[Engine] = [ComposeSplice(objects)]
    if config.transcoder:
        topic = config.topic_prefix + Topic.TRANSCODER_REPORTS
        engines.append(TranscoderEngine(config.project, config.region, topic, objects, config.transcoder_endpoint))
    place = (config.project, config.region)
    for name, job, larger in (
        (EngineName.GPU, config.gpu_job, config.larger_gpu_job),
        (EngineName.CPU, config.cpu_job, config.larger_cpu_job),
    ):
        if job is not None:
            tasks_max = config.gpu_tasks_max if name is EngineName.GPU else None
            endpoint = config.run_endpoint
            engines.append(
                CloudRunEngine(name, *place, job, objects, endpoint, tasks_max=tasks_max, larger_job_name=larger)
            )
    return engines
