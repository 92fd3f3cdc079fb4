"""What each video model can make and what it bills. A model is configuration; this table is what is known of it.

Source: Google's model pages and price lists as collected on 2026-11-22; `PRICED_ON` says when they were looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from events.errors import InvalidRequest
from events.names import parse_uri
from events.requests import AspectRatio, PromptSpec, Resolution, Settings
from pipeline.work_ports import Quote

#: When the prices below were looked at.
PRICED_ON = "2026-11-22"

_HD, _FULL_HD, _UHD = Resolution.HD, Resolution.FULL_HD, Resolution.UHD
_RATIOS = frozenset({AspectRatio.LANDSCAPE, AspectRatio.PORTRAIT})
_PNG_OR_JPEG = {"png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg"}


@dataclass(frozen=True, slots=True)
class VideoModel:
    """What is known of a model, or of every model whose name begins alike."""

    #: Name of the generator that speaks to it.
    generator: str
    #: Lengths that can be asked for, in milliseconds, ascending.
    durations_ms: tuple[int, ...]
    #: Price of a second of output, in millionths of a US dollar; a resolution that is missing cannot be made.
    second_micro_usd: Mapping[Resolution, int]
    aspect_ratios: frozenset[AspectRatio] = _RATIOS
    #: Longest prompt that is read; None where nothing is published.
    prompt_tokens_max: int | None = None
    #: Whether it can be told what not to show.
    negative_prompt: bool = False
    #: Whether it can be told a seed.
    seed: bool = False
    #: Pictures that a clip may start from: ending of the object's name → media type.
    start_images: Mapping[str, str] = field(default_factory=lambda: _PNG_OR_JPEG)

    def asked_duration_ms(self, wanted_ms: int) -> int | None:
        """Give the shortest length that is enough; None when nothing is."""
        return next((each for each in self.durations_ms if each >= wanted_ms), None)

    def start_image_type(self, uri: str) -> str | None:
        """Give the media type of a picture by its name; None for one that the model does not read."""
        _, dot, ending = parse_uri(uri).name.rpartition(".")
        return self.start_images.get(ending.lower()) if dot else None


def _veo(second_micro_usd: Mapping[Resolution, int]) -> VideoModel:
    return VideoModel(
        "veo", (4000, 6000, 8000), second_micro_usd, prompt_tokens_max=1024, negative_prompt=True, seed=True
    )


def _omni(longest_ms: int) -> VideoModel:
    # 5,792 output tokens a second at 17.50 USD a million; no other resolution has a public price, so all bill alike.
    price = dict.fromkeys((_HD, _FULL_HD, _UHD), 101_360)
    return VideoModel(
        "omni", tuple(range(3000, longest_ms + 1, 1000)), price, start_images={**_PNG_OR_JPEG, "webp": "image/webp"}
    )


_VEO_PRICE = {_HD: 400_000, _FULL_HD: 400_000, _UHD: 600_000}

#: Beginning of a model's name → what is known; the longest beginning that fits is meant.
MODELS: dict[str, VideoModel] = {
    # One that is not known yet is taken for the dearest, or the longest, of its family.
    "veo-": _veo(_VEO_PRICE),
    "veo-3.1-generate-": _veo(_VEO_PRICE),
    "veo-3.1-fast-generate-": _veo({_HD: 100_000, _FULL_HD: 120_000, _UHD: 300_000}),
    "veo-3.1-lite-generate-": _veo({_HD: 50_000, _FULL_HD: 80_000}),
    "gemini-omni-": _omni(15_000),
    "gemini-omni-1.1-": _omni(10_000),
    "gemini-omni-1.2-": _omni(15_000),
}

#: Models to name in a text, by generator.
EXAMPLES = {
    "veo": ("veo-3.1-fast-generate-001", "veo-3.1-generate-001", "veo-3.1-lite-generate-001"),
    "omni": ("gemini-omni-1.2-flash",),
}

#: Setting that names a generator's model for requests that name none.
SETTING = {"veo": "LONGREEL_VEO_MODEL", "omni": "LONGREEL_OMNI_MODEL"}

#: Models that Google has switched off → when.
RETIRED = {
    "veo-2.0-generate-001": "2026-06-30",
    "veo-3.0-generate-001": "2026-06-30",
    "veo-3.0-fast-generate-001": "2026-06-30",
    "veo-3.1-generate-preview": "2026-04-02",
    "veo-3.1-fast-generate-preview": "2026-04-02",
}


def model_of(name: str) -> VideoModel | None:
    """Give what is known of a model; None for one of no known family.

    >>> model_of("veo-3.1-fast-generate-001").durations_ms
    (4000, 6000, 8000)
    """
    beginnings = [each for each in MODELS if name.startswith(each)]
    return MODELS[max(beginnings, key=len)] if beginnings else None


def clip_micro_usd(model: VideoModel, resolution: Resolution, asked_ms: int) -> int:
    """Give what a clip of `asked_ms` costs, in millionths of a US dollar."""
    return model.second_micro_usd[resolution] * asked_ms // 1000


def prompt_tokens(text: str) -> int:
    """Count the tokens of a prompt, rather too many than too few: 3 ASCII characters each, and every other character.

    Source: four English characters a token are usual, and about one of Chinese or Japanese.

    >>> prompt_tokens("A red kite"), prompt_tokens("红色风筝")
    (4, 4)
    """
    plain = sum(char.isascii() for char in text)
    return -(-plain // 3) + len(text) - plain


def quote(generator: str, default_model: str, scene: PromptSpec, settings: Settings, field: str) -> Quote:
    """Tell what a clip costs and where it will differ from what was asked; refuse what the model cannot make.

    Args:
        generator: `veo` or `omni`.
        default_model: the model of requests that name none.
        scene: what to make.
        settings: what the whole film is made with.
        field: where the scene stands in the request, such as `prompts[3]`.

    Raises:
        InvalidRequest: names the field and what would be right.
    """
    name = settings.model or default_model
    model = _the_model(generator, name, "model" if settings.model else SETTING[generator])
    _check_film(name, model, settings)
    _check_scene(name, model, scene, field)
    asked_ms = model.asked_duration_ms(scene.duration_ms)
    if asked_ms is None:
        lengths = ", ".join(map(_seconds, model.durations_ms))
        raise InvalidRequest(
            f"{field}.durationMs", f"{name} makes clips of {lengths} s; {_seconds(scene.duration_ms)} s is too long"
        )
    note = None
    if asked_ms != scene.duration_ms:
        note = f"asks {name} for {_seconds(asked_ms)} s and keeps the first {_seconds(scene.duration_ms)} s"
    return Quote(clip_micro_usd(model, settings.resolution, asked_ms), duration_ms=asked_ms, note=note)


def _the_model(generator: str, name: str, field: str) -> VideoModel:
    fitting = ", ".join(EXAMPLES[generator])
    if (since := RETIRED.get(name)) is not None:
        raise InvalidRequest(field, f"Google retired {name} on {since}; use one of {fitting}")
    model = model_of(name)
    if model is None:
        raise InvalidRequest(field, f"{name!r} is no video model known here; generator {generator} has {fitting}")
    if model.generator != generator:
        raise InvalidRequest(
            field,
            f"{name} is made by generator {model.generator}; generator {generator} has {fitting}",
        )
    return model


def _check_film(name: str, model: VideoModel, settings: Settings) -> None:
    if settings.aspect_ratio not in model.aspect_ratios:
        ratios = " or ".join(each for each in AspectRatio if each in model.aspect_ratios)
        raise InvalidRequest("aspectRatio", f"{name} makes {ratios}, not {settings.aspect_ratio}")
    if settings.resolution not in model.second_micro_usd:
        resolutions = " or ".join(model.second_micro_usd)
        raise InvalidRequest("resolution", f"{name} makes {resolutions}, not {settings.resolution}")


def _check_scene(name: str, model: VideoModel, scene: PromptSpec, field: str) -> None:
    most = model.prompt_tokens_max
    if most is not None and (tokens := prompt_tokens(scene.prompt)) > most:
        raise InvalidRequest(
            f"{field}.prompt",
            f"{name} reads {most:,} tokens, and this is about {tokens:,} (3 Latin letters, or one other character, "
            f"to a token); make it shorter",
        )
    if scene.negative_prompt and not model.negative_prompt:
        raise InvalidRequest(
            f"{field}.negativePrompt", f"{name} takes none; say in the prompt what should be there instead"
        )
    if scene.seed is not None and not model.seed:
        raise InvalidRequest(f"{field}.seed", f"{name} takes none; leave it out")
    if scene.start_image is not None and model.start_image_type(scene.start_image) is None:
        endings = ", ".join(f".{each}" for each in model.start_images)
        raise InvalidRequest(f"{field}.startImage", f"{name} starts from pictures that end in {endings}")


def _seconds(duration_ms: int) -> str:
    return f"{duration_ms // 1000}" if duration_ms % 1000 == 0 else f"{duration_ms / 1000:g}"
