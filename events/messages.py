"""What is published: one small model a topic, small enough to type by hand, because replay is a feature."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field, field_validator

from events.clip import Clip
from events.names import JOB_ID
from events.wire import SCHEMA_VERSION, WireModel


class Topic(StrEnum):
    """Where a message goes; one handler listens to each."""

    REQUESTED = "requested"
    SEGMENT_REQUESTED = "segment_requested"
    SEGMENT_DONE = "segment_done"
    STITCH_REQUESTED = "stitch_requested"
    OBJECT_FINALIZED = "object_finalized"
    #: Cloud only: the Transcoder API reports that a job of its own ended.
    TRANSCODER_REPORTS = "transcoder_reports"
    #: Cloud only: Cloud Scheduler's minute.
    SWEEP = "sweep"
    #: Embedded mode only: draw one storyboard card; slow work, done beside the handlers.
    LOCAL_RENDER = "local_render"
    #: Embedded mode only: make one film; slow work, done beside the handlers.
    LOCAL_STITCH = "local_stitch"


#: Where the cloud puts what could not be handled, with its reason; nobody listens but people.
DEAD_LETTERS = "dead_letters"


class Message(WireModel):
    """The part that all messages share."""

    schema_version: int = Field(default=SCHEMA_VERSION, ge=1, le=SCHEMA_VERSION)


class JobMessage(Message):
    """A message about one job."""

    job_id: str

    @field_validator("job_id")
    @classmethod
    def _looks_like_an_id(cls, value: str) -> str:
        if not JOB_ID.fullmatch(value):
            raise ValueError(f"should look like job_… with 6 to 40 lower-case letters and digits, not {value!r}")
        return value


class Requested(JobMessage):
    """A job was asked for: open its window."""


class SegmentRequested(JobMessage):
    """A segment may start."""

    segment_index: int = Field(ge=0)


class SegmentDone(JobMessage):
    """A segment's clip has landed; without `clip` the handler looks for it under the segment's prefix."""

    segment_index: int = Field(ge=0)
    attempt: int | None = Field(default=None, ge=1)
    clip: Clip | None = None
    #: `gs://bucket/object` of the clip's last frame, where the job chains.
    last_frame: str | None = None


class StitchRequested(JobMessage):
    """All segments have ended: make the film."""


class ObjectFinalized(Message):
    """An object was written; the fields are Cloud Storage's own."""

    bucket: str
    name: str
    generation: int
    size: int = Field(ge=0)


class TranscoderError(WireModel):
    """Why a Transcoder job failed; google.rpc.Status."""

    code: int = 0
    message: str = ""
    details: list[dict[str, object]] = Field(default_factory=list)


class TranscoderJob(WireModel):
    """A Transcoder job that ended."""

    #: `projects/…/locations/…/jobs/…`.
    name: str
    #: `SUCCEEDED` or `FAILED`.
    state: str
    error: TranscoderError | None = None


class TranscoderReport(Message):
    """What the Transcoder API publishes when a job of its own ends; the fields are its own."""

    job: TranscoderJob


class Sweep(Message):
    """Look at everything that is overdue."""


class LocalRender(JobMessage):
    """Draw this storyboard card."""

    segment_index: int = Field(ge=0)
    attempt: int = Field(ge=1)
    prompt: str
    title: str
    scene_count: int = Field(ge=1)
    width_px: int
    height_px: int
    duration_ms: int
    seed: int
    #: `gs://bucket/object` that the clip becomes.
    output_uri: str


class LocalStitch(JobMessage):
    """Make this film."""

    attempt: int = Field(ge=1)
    #: `gs://bucket/object` of the plan.
    plan_uri: str


MODEL_OF_TOPIC: dict[Topic, type[Message]] = {
    Topic.REQUESTED: Requested,
    Topic.SEGMENT_REQUESTED: SegmentRequested,
    Topic.SEGMENT_DONE: SegmentDone,
    Topic.STITCH_REQUESTED: StitchRequested,
    Topic.OBJECT_FINALIZED: ObjectFinalized,
    Topic.TRANSCODER_REPORTS: TranscoderReport,
    Topic.SWEEP: Sweep,
    Topic.LOCAL_RENDER: LocalRender,
    Topic.LOCAL_STITCH: LocalStitch,
}
TOPIC_OF_MODEL: dict[type[Message], Topic] = {model: topic for topic, model in MODEL_OF_TOPIC.items()}
