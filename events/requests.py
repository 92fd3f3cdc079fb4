"""What a caller may ask for.

What is wrong is refused here, before anything is made or spent, with the field and what would be right.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from events.complaints import quoted
from events.engine_faults import compression_fault, engine_fault
from events.errors import InvalidRequest, TooFewClips
from events.names import parse_uri, uri_fault
from events.plan import (
    MUSIC_DB_MIN,
    MUSIC_DB_USUAL,
    TRANSITION_MS_MAX,
    TRANSITION_MS_MIN,
    TRANSITION_MS_USUAL,
    Compression,
    Engine,
    Fit,
    Loudness,
    Orientation,
    Seams,
    Transition,
)
from events.wire import SCHEMA_VERSION, WireModel, invalid_request


class Kind(StrEnum):
    """What a job makes; the type in 'one active job per (project, type)'."""

    #: Prompts become clips, clips become a film.
    LONG_FORM = "long_form"
    #: Given clips become a reel.
    STITCH = "stitch"


class OnSegmentFailure(StrEnum):
    """What a job does about a segment that cannot be had."""

    #: The job fails; finished segments are kept for a resume.
    FAIL = "fail"
    #: The film is made without it, and a warning says so.
    SKIP = "skip"


class Resolution(StrEnum):
    """Length of the short side: 720, 1080 or 2160 pixels."""

    HD = "720p"
    FULL_HD = "1080p"
    UHD = "4k"


class AspectRatio(StrEnum):
    """Shape of the film."""

    LANDSCAPE = "16:9"
    PORTRAIT = "9:16"
    SQUARE = "1:1"


_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_GENERATOR = re.compile(r"[a-z][a-z0-9_]{0,30}")


def _is_a_name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise ValueError(
            "should be 1 to 128 letters, digits, dots, dashes or underscores, beginning with a letter or digit, "
            f"not {quoted(value)}"
        )
    return value


def _is_a_generator(value: str) -> str:
    if not _GENERATOR.fullmatch(value):
        raise ValueError(f"should be the name of a generator, such as storyboard, not {quoted(value)}")
    return value


def _is_an_object(value: str) -> str:
    if fault := uri_fault(value):
        raise ValueError(f"{fault}, not {quoted(value)}")
    return value


#: A project or request name: a path component and part of a lock's name.
_Name = Annotated[str, AfterValidator(_is_a_name)]
_Prompt = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4000)]
_MusicDb = Annotated[int, Field(ge=MUSIC_DB_MIN, le=0)]
_TransitionMs = Annotated[int, Field(ge=TRANSITION_MS_MIN, le=TRANSITION_MS_MAX)]
_Uri = Annotated[str, StringConstraints(max_length=1500), AfterValidator(_is_an_object)]


class _Request(WireModel):
    # A misspelt field in a paid request must not be ignored, so here, unlike in messages, unknown fields are refused.
    model_config = ConfigDict(extra="forbid")

    schema_version: int = Field(default=SCHEMA_VERSION, ge=1, le=SCHEMA_VERSION)
    project_id: _Name = "default"
    request_id: _Name | None = None
    on_segment_failure: OnSegmentFailure = OnSegmentFailure.FAIL
    max_parallel_segments: int = Field(default=4, ge=1, le=50)
    force_restart: bool = False
    #: How each clip becomes the next, and how long that takes: at most half of the shortest clip.
    transition: Transition = Transition.CUT
    transition_ms: _TransitionMs = TRANSITION_MS_USUAL
    seams: Seams = Seams.WARN
    loudness: Loudness = Loudness.KEEP
    #: `gs://bucket/object` of the music under the clips' sound: it is repeated or cut to the film's length.
    music: _Uri | None = None
    music_db: _MusicDb = MUSIC_DB_USUAL
    #: The only engine that may make the film; None for the cheapest that can.
    engine: Engine | None = None

    @field_validator("engine")
    @classmethod
    def _can_make_it(cls, value: Engine | None, info: ValidationInfo) -> Engine | None:
        if value is not None and (fault := engine_fault(value, info.data)):
            raise ValueError(fault)
        return value


class PromptSpec(WireModel):
    """One scene."""

    model_config = ConfigDict(extra="forbid")

    prompt: _Prompt
    negative_prompt: Annotated[str, StringConstraints(max_length=4000)] | None = None
    #: Length of the clip; which lengths a generator can make is checked by the generator.
    duration_ms: int = Field(default=5000, ge=100, le=60_000)
    seed: int | None = Field(default=None, ge=0, le=2**32 - 1)
    #: `gs://bucket/object` of the picture that the clip starts from.
    start_image: _Uri | None = None


class LongFormRequest(_Request):
    """Prompts in, one film out."""

    kind: Literal[Kind.LONG_FORM] = Kind.LONG_FORM
    title: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)] = "Untitled"
    prompts: list[PromptSpec] = Field(min_length=1, max_length=200)
    aspect_ratio: AspectRatio = AspectRatio.LANDSCAPE
    resolution: Resolution = Resolution.HD
    generator: Annotated[str, AfterValidator(_is_a_generator)] = "storyboard"
    model: Annotated[str, StringConstraints(min_length=1, max_length=100)] | None = None
    daisy_chain: bool = False

    @field_validator("prompts", mode="before")
    @classmethod
    def _a_string_is_a_prompt(cls, value: Any) -> Any:
        if isinstance(value, str):
            raise ValueError("should be a list of prompts, not a single text: put it in [ ]")
        if isinstance(value, list):
            return [{"prompt": item} if isinstance(item, str) else item for item in value]
        return value

    @field_validator("prompts")
    @classmethod
    def _leave_room_for_fades(cls, value: list[PromptSpec], info: ValidationInfo) -> list[PromptSpec]:
        fade_ms = info.data.get("transition_ms")
        if fade_ms is None or len(value) < 2 or info.data.get("transition", Transition.CUT) is Transition.CUT:
            return value
        for number, scene in enumerate(value):
            if 2 * fade_ms > scene.duration_ms:
                raise ValueError(
                    f"scene {number} lasts {scene.duration_ms} ms, and a fade of {fade_ms} ms (transitionMs) is "
                    "longer than half of it; make the scene longer or the fade shorter"
                )
        return value


class StitchRequest(_Request):
    """Clips in, one reel out."""

    kind: Literal[Kind.STITCH] = Kind.STITCH
    title: Annotated[str, StringConstraints(strip_whitespace=True, max_length=200)] = ""
    #: `gs://bucket/object` each, in the order of the film; the same clip may come more than once.
    clips: list[_Uri] = Field(min_length=2, max_length=500)
    orientation: Orientation = Orientation.SOURCE
    fit: Fit = Fit.PAD
    compression: Compression = Compression.OPTIMIZED
    #: `gs://bucket/object` of the reel; None lets Longreel choose.
    output_path: _Uri | None = None
    max_parallel_segments: int = Field(default=16, ge=1, le=50)

    @field_validator("compression")
    @classmethod
    def _its_engine_can(cls, value: Compression, info: ValidationInfo) -> Compression:
        if fault := compression_fault(info.data.get("engine"), value):
            raise ValueError(fault)
        return value

    @field_validator("output_path")
    @classmethod
    def _is_a_video(cls, value: str | None) -> str | None:
        if value is not None and not value.lower().endswith(".mp4"):
            raise ValueError(f"should end in .mp4, because the reel is an MP4, not {quoted(value)}")
        if value is not None and parse_uri(value).name.startswith(("jobs/", "uploads/")):
            raise ValueError("should not lie under jobs/ or uploads/, which are Longreel's own")
        return value


Request = LongFormRequest | StitchRequest
_MODEL_OF_KIND: dict[str, type[LongFormRequest] | type[StitchRequest]] = {
    Kind.LONG_FORM: LongFormRequest,
    Kind.STITCH: StitchRequest,
}


class Settings(WireModel):
    """A request without its prompts and clips: the small part that every step of a job may need."""

    title: str = ""
    aspect_ratio: AspectRatio = AspectRatio.LANDSCAPE
    resolution: Resolution = Resolution.HD
    model: str | None = None
    orientation: Orientation = Orientation.SOURCE
    fit: Fit = Fit.PAD
    compression: Compression = Compression.OPTIMIZED
    transition: Transition = Transition.CUT
    transition_ms: _TransitionMs = TRANSITION_MS_USUAL
    seams: Seams = Seams.WARN
    loudness: Loudness = Loudness.KEEP
    music: str | None = None
    music_db: _MusicDb = MUSIC_DB_USUAL
    engine: Engine | None = None
    output_path: str | None = None

    @classmethod
    def of(cls, request: Request) -> Self:
        """Take the settings out of a request."""
        return cls.model_validate(request.model_dump())


class ClipSpec(WireModel):
    """A segment that is there already."""

    #: `gs://bucket/object`.
    clip: str


class SegmentSpec(WireModel):
    """What one segment is made from: a prompt or a clip, never both."""

    scene: PromptSpec | None = None
    clip: ClipSpec | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.scene is None) == (self.clip is None):
            raise ValueError("should hold either scene or clip")
        return self


def read_request(value: object) -> Request:
    """Read what a caller sent, as a JSON value.

    `kind` may be left out where `prompts` or `clips` tells it.

    Raises:
        InvalidRequest: names the first wrong field and what would be right.
    """
    if not isinstance(value, dict):
        raise InvalidRequest("", f"a request should be an object with fields, not {quoted(value)}")
    kind = value.get("kind", Kind.STITCH if "clips" in value else Kind.LONG_FORM)
    model = _MODEL_OF_KIND.get(kind) if isinstance(kind, str) else None
    if model is None:
        raise InvalidRequest("kind", f"should be 'long_form' or 'stitch', not {quoted(kind)}")
    try:
        return model.model_validate(value)
    except ValidationError as exc:
        refused = invalid_request(exc, model)
        if refused.field == "clips" and any(error["type"] == "too_short" for error in exc.errors()):
            raise TooFewClips(refused.field, refused.message.partition(": ")[2]) from exc
        raise refused from exc


def segment_specs(request: Request) -> list[SegmentSpec]:
    """Give the segments of a request, in the order of the film."""
    if isinstance(request, StitchRequest):
        return [SegmentSpec(clip=ClipSpec(clip=uri)) for uri in request.clips]
    return [SegmentSpec(scene=scene) for scene in request.prompts]
