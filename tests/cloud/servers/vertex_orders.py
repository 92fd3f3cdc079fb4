"""What the Vertex server is asked to make, read as strictly as Vertex does, and the rules by which it goes wrong."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from events.requests import Resolution
from pipeline.models import VideoModel, clip_micro_usd, model_of
from tests.cloud.servers.http import Refused

_LABEL = re.compile(r"[a-z0-9_-]{0,63}")
_LABEL_NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_VEO_PARAMETERS = {
    "sampleCount",
    "storageUri",
    "durationSeconds",
    "seed",
    "aspectRatio",
    "resolution",
    "personGeneration",
    "pubsubTopic",
    "negativePrompt",
    "generateAudio",
    "compressionQuality",
    "enhancePrompt",
}
_OMNI_FIELDS = {"model", "input", "background", "generation_config", "response_format", "labels", "store", "stream"}
_OMNI_FORMAT = {"type", "delivery", "gcs_uri", "duration", "aspect_ratio", "resolution"}
_IMAGE_TYPES = {"image/png", "image/jpeg", "image/webp"}


class Ending(StrEnum):
    """What becomes of an order that was accepted."""

    #: A clip, as asked.
    CLIP = "clip"
    #: The safety filter holds the clip back: done, no clip, reasons.
    FILTERED = "filtered"
    #: Done with an error: `Rule.code` and `Rule.said`.
    ERROR = "error"
    #: Done, and there is nothing: no clip, no error, no reason.
    NOTHING = "nothing"
    #: The clip is in the bucket, and the answer does not mention it.
    UNSAID = "unsaid"
    #: Running for ever.
    NEVER = "never"
    #: The same object is written twice.
    TWICE = "twice"
    #: Two objects.
    TWO = "two"
    #: An object that ends in .mp4 and is a picture.
    PICTURE = "picture"
    #: The first half of a clip.
    TRUNCATED = "truncated"


@dataclass
class Rule:
    """What happens to some of the orders."""

    ending: Ending = Ending.CLIP
    #: Orders whose prompt contains this.
    prompt: str = ""
    #: How many orders it meets; None for all.
    times: int | None = 1
    #: Answered instead of accepting; 0 accepts.
    refuse: int = 0
    #: Answered although it was accepted; 0 answers with the operation.
    answer: int = 0
    #: Accepted, and then the connection is cut.
    cut: bool = False
    #: Accepted, and the answer names no operation.
    nameless: bool = False
    #: Time that it takes; None for the server's.
    latency_seconds: float | None = None
    #: google.rpc.Code of `Ending.ERROR`.
    code: int = 13
    #: The words of an error or of a refusal.
    said: str = ""
    #: Why the filter held it back.
    reasons: Sequence[str] = ("17301594: Celebrity",)


@dataclass
class Order:
    """An order that was accepted, and so may be billed."""

    operation: str
    model: str
    prompt: str
    #: `gs://bucket/…/`.
    prefix: str
    seconds: int
    ratio: str
    resolution: str
    start_image: str | None
    negative_prompt: str | None
    seed: int | None
    labels: dict[str, str]
    rule: Rule = field(default_factory=Rule)
    #: URIs of what was written.
    objects: list[str] = field(default_factory=list)
    done: bool = False
    cancelled: bool = False
    updated_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def price_micro_usd(self) -> int:
        """What it costs when it succeeds."""
        model = model_of(self.model)
        assert model is not None
        return clip_micro_usd(model, Resolution(self.resolution), self.seconds * 1000)


def read_veo(name: str, body: dict[str, Any]) -> Order:
    """Read the body of `predictLongRunning`.

    Raises:
        Refused: 400, with words like Vertex's.
    """
    model = _model(name, "veo")
    _only(body, {"instances", "parameters", "labels"}, "the request")
    instances = body.get("instances")
    _need(isinstance(instances, list) and len(instances) == 1, "instances should hold one instance")
    instance, parameters = body["instances"][0], body.get("parameters", {})
    _only(instance, {"prompt", "image"}, "instances[0]")
    _only(parameters, _VEO_PARAMETERS, "parameters")
    _need(bool(instance.get("prompt")), "prompt should not be empty")
    _need(parameters.get("sampleCount") == 1, "sampleCount should be 1 here")
    _need(isinstance(parameters.get("generateAudio"), bool), "generateAudio should be true or false for Veo 3")
    image = instance.get("image")
    if image is not None:
        _only(image, {"gcsUri", "mimeType"}, "image")
        _check_image(image.get("gcsUri"), image.get("mimeType"))
    seconds = parameters.get("durationSeconds")
    _check_length(model, seconds, "text_to_video" if image is None else "image_to_video")
    order = Order(
        operation="",
        model=name,
        prompt=instance["prompt"],
        prefix=_prefix(parameters.get("storageUri")),
        seconds=seconds,
        ratio=parameters.get("aspectRatio", "16:9"),
        resolution=parameters.get("resolution", "720p"),
        start_image=image["gcsUri"] if image else None,
        negative_prompt=parameters.get("negativePrompt"),
        seed=parameters.get("seed"),
        labels=body.get("labels", {}),
    )
    _check(order, model)
    return order


def read_omni(body: dict[str, Any]) -> Order:
    """Read the body of `interactions`.

    Raises:
        Refused: 400, with words like Vertex's.
    """
    name = str(body.get("model"))
    model = _model(name, "omni")
    _only(body, _OMNI_FIELDS, "the request")
    _need(body.get("background") is True, "background should be true for video")
    wanted = body.get("response_format") or {}
    _only(wanted, _OMNI_FORMAT, "response_format")
    _need(wanted.get("type") == "video", "response_format.type should be video")
    _need(wanted.get("delivery") == "uri", "response_format.delivery should be uri here")
    prompt, image = _omni_input(body.get("input"))
    task = body.get("generation_config", {}).get("video_config", {}).get("task")
    _need(task == ("image_to_video" if image else "text_to_video"), f"task {task!r} does not fit the input")
    length = re.fullmatch(r"(\d+)s", str(wanted.get("duration")))
    _need(length is not None, f"duration {wanted.get('duration')!r} should look like 8s")
    seconds = int(length[1]) if length else 0
    _check_length(model, seconds, task)
    order = Order(
        operation="",
        model=name,
        prompt=prompt,
        prefix=_prefix(wanted.get("gcs_uri")),
        seconds=seconds,
        ratio=wanted.get("aspect_ratio", "16:9"),
        resolution=wanted.get("resolution", "720p"),
        start_image=image,
        negative_prompt=None,
        seed=None,
        labels=body.get("labels", {}),
    )
    _check(order, model)
    return order


def _omni_input(value: Any) -> tuple[str, str | None]:
    if isinstance(value, str):
        _need(bool(value), "input should not be empty")
        return value, None
    _need(isinstance(value, list), "input should be a text or a list of contents")
    if len(value) == 1 and value[0].get("type") == "user_input":
        # The SDK puts a list of contents into one step.
        _only(value[0], {"type", "content"}, "input[0]")
        value = value[0].get("content", [])
    texts = [each for each in value if each.get("type") == "text"]
    images = [each for each in value if each.get("type") == "image"]
    _need(len(texts) == 1 and len(images) == 1 and len(value) == 2, "input should hold one text and one image")
    _only(images[0], {"type", "uri", "mime_type"}, "image")
    _check_image(images[0].get("uri"), images[0].get("mime_type"))
    return texts[0]["text"], images[0]["uri"]


def _model(name: str, generator: str) -> VideoModel:
    model = model_of(name)
    _need(model is not None and model.generator == generator, f"{name} does not make videos this way")
    assert model is not None
    return model


def _check(order: Order, model: VideoModel) -> None:
    _need(order.ratio in {"16:9", "9:16"}, f"Unsupported aspect ratio {order.ratio}")
    allowed = [str(each) for each in model.second_micro_usd]
    _need(order.resolution in allowed, f"Unsupported resolution {order.resolution}, supported are {allowed}")
    _need(order.seed is None or 0 <= order.seed < 2**32, "seed should be an unsigned 32-bit integer")
    for name, value in order.labels.items():
        fits = _LABEL_NAME.fullmatch(name) and _LABEL.fullmatch(value)
        _need(bool(fits), f"invalid label {name}={value}: lowercase letters, digits, - and _ only, 63 at most")


def _check_length(model: VideoModel, seconds: Any, feature: str) -> None:
    allowed = [each // 1000 for each in model.durations_ms]
    _need(
        seconds in allowed,
        f"Unsupported output video duration {seconds} seconds, supported durations are {allowed} for {feature}.",
    )


def _check_image(uri: Any, media_type: Any) -> None:
    _need(isinstance(uri, str) and uri.startswith("gs://"), f"image {uri!r} should be a gs:// URI")
    _need(media_type in _IMAGE_TYPES, f"image mime type {media_type!r} is not supported")


def _prefix(uri: Any) -> str:
    fits = isinstance(uri, str) and re.fullmatch(r"gs://[^/]+/.+", uri)
    _need(bool(fits), f"{uri!r} should be a gs:// URI to write to")
    return str(uri).rstrip("/") + "/"


def _only(value: Any, allowed: set[str], where: str) -> None:
    _need(isinstance(value, dict), f"{where} should be an object")
    for name in value:
        _need(name in allowed, f'Invalid JSON payload received. Unknown name "{name}" at {where}: Cannot find field.')


def _need(holds: bool, said: str) -> None:
    if not holds:
        raise Refused(400, said, "INVALID_ARGUMENT")
