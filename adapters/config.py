"""The only reader of the environment. A wrong value fails at start, by name."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from events.errors import InvalidRequest


@dataclass(frozen=True, slots=True)
class LocalConfig:
    """What the embedded mode can be told.

    | variable | default | meaning |
    |---|---|---|
    | LONGREEL_HOME | the user's data folder | database, objects, logs |
    | LONGREEL_FFMPEG | the one that came with pip | FFmpeg program to encode with |
    | LONGREEL_WORKERS | the number of processors | cards and films made at once, 1 to 64 |
    | LONGREEL_SYNCHRONOUS | FULL | NORMAL survives kill -9 only, not a power cut, and saves an fsync a commit |
    """

    home: Path
    ffmpeg: str | None
    #: Threads for slow work, at least 1.
    workers: int
    synchronous: str


def read_config(environment: Mapping[str, str] | None = None, home: Path | None = None) -> LocalConfig:
    """Read the configuration.

    Args:
        environment: the variables; None for the process's own.
        home: a folder that the user named; it wins over the variable.

    Raises:
        InvalidRequest: a variable has a value that cannot be used; names it.
    """
    env = os.environ if environment is None else environment
    synchronous = env.get("LONGREEL_SYNCHRONOUS", "FULL").upper()
    if synchronous not in {"NORMAL", "FULL"}:
        raise InvalidRequest("LONGREEL_SYNCHRONOUS", f"should be NORMAL or FULL, not {synchronous!r}")
    named = home or (Path(env["LONGREEL_HOME"]) if env.get("LONGREEL_HOME") else _home_of_the_user())
    return LocalConfig(
        home=named.expanduser().absolute(),
        ffmpeg=env.get("LONGREEL_FFMPEG") or None,
        workers=_number(env, "LONGREEL_WORKERS", os.cpu_count() or 1, 64),
        synchronous=synchronous,
    )


@dataclass(frozen=True)
class CloudConfig:
    """What the cloud's functions can be told.

    | variable | default | meaning |
    |---|---|---|
    | GOOGLE_CLOUD_PROJECT | must be given | the project that everything is in |
    | LONGREEL_BUCKET | must be given | the bucket that clips and films go to |
    | LONGREEL_REGION | us-central1 | where the Transcoder API and the Cloud Run jobs run |
    | LONGREEL_VERTEX_LOCATION | us-central1 | where Veo runs; Omni knows only global |
    | LONGREEL_VEO_MODEL | veo-3.1-fast-generate-001 | the Veo model of requests that name none |
    | LONGREEL_OMNI_MODEL | gemini-omni-1.2-flash | the Omni model of requests that name none |
    | LONGREEL_TRANSCODER | on | off takes the Transcoder API out of the routes |
    | LONGREEL_GPU_JOB | none | name of the Cloud Run job with an L4; none takes it out of the routes |
    | LONGREEL_CPU_JOB | none | name of the Cloud Run job without a card; none takes it out of the routes |
    | LONGREEL_GPU_TASKS_MAX | 1 | tasks with an L4 that one film may be shared out to, 1 to 50 |
    | LONGREEL_LARGER_GPU_JOB | none | a job like LONGREEL_GPU_JOB with 32 GiB, for films that ran out of memory there |
    | LONGREEL_LARGER_CPU_JOB | none | a job like LONGREEL_CPU_JOB with 32 GiB, for films that ran out of memory there |
    | LONGREEL_TOPIC_PREFIX | none | what every topic's name begins with, such as staging- |
    | LONGREEL_JOBS_COLLECTION | videoJobs | the Firestore collection of jobs |
    | LONGREEL_FIRESTORE_DATABASE | (default) | the Firestore database |
    | LONGREEL_ACTIVE_JOBS_MAX | 3 | active jobs that one user may have, 1 to 1000 |
    | LONGREEL_DAILY_LIMIT_USD | none | what all paid work of a UTC day may cost, such as 49.99; 0 allows none |
    | LONGREEL_DELIVERY_ATTEMPTS_MAX | 10 | failed deliveries of a message before it becomes a dead letter, 1 to 100 |
    | LONGREEL_APP_CHECK | off | on refuses callers without a valid App Check token |
    | LONGREEL_EMULATED | off | on allows the variables below; never in production |
    | FIRESTORE_EMULATOR_HOST | none | host:port of the Firestore emulator |
    | PUBSUB_EMULATOR_HOST | none | host:port of the Pub/Sub emulator |
    | STORAGE_EMULATOR_HOST | none | http://host:port that speaks Cloud Storage |
    | FIREBASE_AUTH_EMULATOR_HOST | none | takes unsigned ID tokens |
    | LONGREEL_VERTEX_ENDPOINT | none | http://host:port that speaks Vertex |
    | LONGREEL_TRANSCODER_ENDPOINT | none | http://host:port that speaks the Transcoder API |
    | LONGREEL_RUN_ENDPOINT | none | http://host:port that speaks the Cloud Run API |
    """

    project: str
    bucket: str
    region: str = "us-central1"
    vertex_location: str = "us-central1"
    veo_model: str = "veo-3.1-fast-generate-001"
    omni_model: str = "gemini-omni-1.2-flash"
    transcoder: bool = True
    gpu_job: str | None = None
    cpu_job: str | None = None
    #: At least 1.
    gpu_tasks_max: int = 1
    larger_gpu_job: str | None = None
    larger_cpu_job: str | None = None
    topic_prefix: str = ""
    jobs_collection: str = "videoJobs"
    firestore_database: str = "(default)"
    #: At least 1.
    active_jobs_max: int = 3
    #: Micro USD; None for no limit.
    daily_limit_micro_usd: int | None = None
    #: At least 1.
    delivery_attempts_max: int = 10
    app_check: bool = False
    emulated: bool = False
    #: `http://host:port` each; None for Google's own.
    vertex_endpoint: str | None = None
    transcoder_endpoint: str | None = None
    run_endpoint: str | None = None


_EMULATORS = (
    "FIRESTORE_EMULATOR_HOST",
    "PUBSUB_EMULATOR_HOST",
    "STORAGE_EMULATOR_HOST",
    "FIREBASE_AUTH_EMULATOR_HOST",
    "LONGREEL_VERTEX_ENDPOINT",
    "LONGREEL_TRANSCODER_ENDPOINT",
    "LONGREEL_RUN_ENDPOINT",
)
_DOLLARS = re.compile(r"[0-9]{1,7}(\.[0-9]{1,2})?", re.ASCII)
_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]")


def is_cloud(environment: Mapping[str, str] | None = None) -> bool:
    """Tell whether the environment asks for Google's cloud rather than for a home on this machine."""
    return bool((os.environ if environment is None else environment).get("LONGREEL_BUCKET"))


def read_cloud_config(environment: Mapping[str, str] | None = None) -> CloudConfig:
    """Read the configuration of the cloud's functions.

    Raises:
        InvalidRequest: a variable is missing or has a value that cannot be used; names it.
    """
    env = os.environ if environment is None else environment
    emulated = _switch(env, "LONGREEL_EMULATED", default=False)
    if not emulated and (found := [name for name in _EMULATORS if env.get(name)]):
        raise InvalidRequest(found[0], "is only for emulators; remove it, or set LONGREEL_EMULATED=on on a laptop")
    return CloudConfig(
        project=_needed(env, "GOOGLE_CLOUD_PROJECT"),
        bucket=_bucket(env),
        region=env.get("LONGREEL_REGION") or CloudConfig.region,
        vertex_location=env.get("LONGREEL_VERTEX_LOCATION") or CloudConfig.vertex_location,
        veo_model=env.get("LONGREEL_VEO_MODEL") or CloudConfig.veo_model,
        omni_model=env.get("LONGREEL_OMNI_MODEL") or CloudConfig.omni_model,
        transcoder=_switch(env, "LONGREEL_TRANSCODER", default=True),
        gpu_job=env.get("LONGREEL_GPU_JOB") or None,
        cpu_job=env.get("LONGREEL_CPU_JOB") or None,
        gpu_tasks_max=_number(env, "LONGREEL_GPU_TASKS_MAX", CloudConfig.gpu_tasks_max, 50),
        larger_gpu_job=env.get("LONGREEL_LARGER_GPU_JOB") or None,
        larger_cpu_job=env.get("LONGREEL_LARGER_CPU_JOB") or None,
        topic_prefix=env.get("LONGREEL_TOPIC_PREFIX", ""),
        jobs_collection=env.get("LONGREEL_JOBS_COLLECTION") or CloudConfig.jobs_collection,
        firestore_database=env.get("LONGREEL_FIRESTORE_DATABASE") or CloudConfig.firestore_database,
        active_jobs_max=_number(env, "LONGREEL_ACTIVE_JOBS_MAX", CloudConfig.active_jobs_max, 1000),
        daily_limit_micro_usd=_micro_usd(env, "LONGREEL_DAILY_LIMIT_USD"),
        delivery_attempts_max=_number(env, "LONGREEL_DELIVERY_ATTEMPTS_MAX", CloudConfig.delivery_attempts_max, 100),
        app_check=_switch(env, "LONGREEL_APP_CHECK", default=False),
        emulated=emulated,
        vertex_endpoint=env.get("LONGREEL_VERTEX_ENDPOINT") or None,
        transcoder_endpoint=env.get("LONGREEL_TRANSCODER_ENDPOINT") or None,
        run_endpoint=env.get("LONGREEL_RUN_ENDPOINT") or None,
    )


def _needed(env: Mapping[str, str], name: str) -> str:
    value = env.get(name)
    if not value:
        raise InvalidRequest(name, "must be given; docs/configuration.md says what it is")
    return value


def _bucket(env: Mapping[str, str]) -> str:
    name = _needed(env, "LONGREEL_BUCKET")
    if not _BUCKET.fullmatch(name):
        raise InvalidRequest("LONGREEL_BUCKET", f"should be the bare name of a bucket, not {name!r}")
    return name


def _switch(env: Mapping[str, str], name: str, *, default: bool) -> bool:
    value = env.get(name) or ("on" if default else "off")
    if value not in {"on", "off"}:
        raise InvalidRequest(name, f"should be on or off, not {value!r}")
    return value == "on"


def _number(env: Mapping[str, str], name: str, default: int, largest: int) -> int:
    text = env.get(name) or str(default)
    if not text.isdecimal() or not 1 <= int(text) <= largest:
        raise InvalidRequest(name, f"should be a number from 1 to {largest}, not {text!r}")
    return int(text)


def _micro_usd(env: Mapping[str, str], name: str) -> int | None:
    text = env.get(name)
    if not text:
        return None
    if not _DOLLARS.fullmatch(text):
        raise InvalidRequest(name, f"should be dollars such as 50 or 49.99, not {text!r}")
    dollars, _, cents = text.partition(".")
    return int(dollars) * 1_000_000 + int(cents.ljust(2, "0")) * 10_000


def _home_of_the_user() -> Path:
    # Imported only here: a command that is told its home starts without it.
    import platformdirs

    return platformdirs.user_data_path("longreel")
