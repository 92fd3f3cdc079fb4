"""The `veo` generator: Google's Veo models by `predictLongRunning`; the clip lands under the order's prefix."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from adapters.genai_client import CALL_TIMEOUT_MS, GenaiClient, Refused, asking
from adapters.genai_order import asked_of, ordering
from adapters.genai_outcomes import failed, filtered, not_told, nothing_came
from events.errors import Unavailable
from events.requests import PromptSpec, Settings
from pipeline.models import quote
from pipeline.work_ports import Gone, Quote, RenderOrder, Running, Started, Stopped

if TYPE_CHECKING:
    from google.genai.types import GenerateVideosConfig, GenerateVideosOperation, GenerateVideosSource

#: Code of an operation's error that has none: google.rpc.Code UNKNOWN.
_UNKNOWN = 2


@dataclass(slots=True)
class VeoGenerator:
    """Orders clips from Veo. An order that was taken is recorded by its operation's name, which is enough to ask."""

    project: str
    location: str
    #: The model of requests that name none.
    default_model: str
    #: `http://host:port` that speaks Vertex; None for Google's own.
    endpoint: str | None = None
    timeout_ms: int = CALL_TIMEOUT_MS
    _client: GenaiClient = field(init=False)

    def __post_init__(self) -> None:
        self._client = GenaiClient(self.project, self.location, self.endpoint, self.timeout_ms)

    @property
    def resubmittable(self) -> bool:
        """Give False: the same order given twice is paid twice."""
        return False

    def check(self, scene: PromptSpec, settings: Settings, field: str) -> Quote:
        """Tell the price and what will differ; refuse what the model cannot make. See `pipeline.models.quote`."""
        return quote("veo", self.default_model, scene, settings, field)

    def submit(self, order: RenderOrder) -> Started:
        """Order one clip. Nothing is repeated here: whoever has no answer finds the clip under its prefix.

        Raises:
            LimitExceeded: the quota is used up; nothing was bought.
            RenderFailed, NotAllowed: it was refused; nothing was bought.
            Unavailable: it may have been bought.
        """
        model = order.settings.model or self.default_model
        source, config = _request(order, model)
        with ordering(order, model, "veo") as doing:
            answer = self._client.get().models.generate_videos(model=model, source=source, config=config)
        if not answer.name:
            # It was accepted, so it may be under way, and nobody can be asked about it: only its clip will tell.
            raise Unavailable(f"{doing}: it was accepted, but the answer names no operation")
        return Started(answer.name)

    def poll(self, operation: str) -> Running | Stopped | Gone:
        """Ask what became of an operation.

        Raises:
            Unavailable: nobody answered.
            RenderFailed, NotAllowed: asking is not allowed.
        """
        doing = f"ask about {operation}"
        try:
            with asking(doing):
                from google.genai.types import GenerateVideosOperation

                asked = GenerateVideosOperation.model_validate({"name": operation})
                answer = self._client.get().operations.get(asked)
        except Refused as exc:
            return not_told(exc, doing)
        return _outcome(answer)

    def cancel(self, operation: str) -> None:
        """Do nothing: Veo has no way to call an operation off, and a clip that lands is kept."""

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


def _request(order: RenderOrder, name: str) -> tuple[GenerateVideosSource, GenerateVideosConfig]:
    from google.genai.types import GenerateVideosConfig, GenerateVideosSource, Image

    asked = asked_of(order, name)
    image = Image(gcs_uri=asked.start[0], mime_type=asked.start[1]) if asked.start else None
    config = GenerateVideosConfig(
        number_of_videos=1,
        output_gcs_uri=order.output_prefix,
        duration_seconds=asked.seconds,
        aspect_ratio=order.settings.aspect_ratio,
        resolution=order.settings.resolution,
        # The prices are those with sound.
        generate_audio=True,
        negative_prompt=asked.scene.negative_prompt or None,
        seed=asked.scene.seed,
        labels=asked.labels,
    )
    return GenerateVideosSource(prompt=asked.scene.prompt, image=image), config


def _outcome(answer: GenerateVideosOperation) -> Running | Stopped | Gone:
    """Sort a finished operation. Whatever it says, its prefix is looked at again before anybody believes it."""
    if not answer.done:
        return Running()
    if answer.error:
        code = answer.error.get("code")
        return failed(code if isinstance(code, int) else _UNKNOWN, str(answer.error.get("message") or ""))
    response = answer.response or answer.result
    if response is None:
        return nothing_came()
    if response.generated_videos:
        return Gone()
    if response.rai_media_filtered_count or response.rai_media_filtered_reasons:
        return filtered(response.rai_media_filtered_reasons or [])
    return nothing_came()
