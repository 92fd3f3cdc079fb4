"""The `omni` generator: Google's Gemini Omni models by interactions; the clip lands under the order's prefix."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from adapters.genai_client import CALL_TIMEOUT_MS, GenaiClient, Refused, asking
from adapters.genai_order import asked_of, ordering
from adapters.genai_outcomes import failed, not_told, nothing_came
from adapters.omni_answer import Answer, read_answer
from events.errors import RenderFailed, Unavailable
from events.requests import PromptSpec, Settings
from pipeline.models import quote
from pipeline.work_ports import Gone, Quote, RenderOrder, Running, Started, Stopped

#: The only location that has Omni. Source: promptfoo pull request 10151, July 2026.
LOCATION = "global"

#: How long an interaction that is completed and shows no clip may still bring one: its answer is known to leave out
#: clips that are in the bucket. Source: Google AI developer forum, thread 183928.
SETTLING = timedelta(minutes=2)

_PREFIX = "interactions/"


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(slots=True)
class OmniGenerator:
    """Orders clips from Omni. An order that was taken is recorded as `interactions/<id>`."""

    project: str
    #: The model of requests that name none.
    default_model: str
    #: `http://host:port` that speaks Vertex; None for Google's own.
    endpoint: str | None = None
    now: Callable[[], datetime] = _now
    timeout_ms: int = CALL_TIMEOUT_MS
    _client: GenaiClient = field(init=False)

    def __post_init__(self) -> None:
        self._client = GenaiClient(self.project, LOCATION, self.endpoint, self.timeout_ms)

    @property
    def resubmittable(self) -> bool:
        """Give False: the same order given twice is paid twice."""
        return False

    def check(self, scene: PromptSpec, settings: Settings, field: str) -> Quote:
        """Tell the price and what will differ; refuse what the model cannot make. See `pipeline.models.quote`."""
        return quote("omni", self.default_model, scene, settings, field)

    def submit(self, order: RenderOrder) -> Started:
        """Order one clip. Nothing is repeated here: whoever has no answer finds the clip under its prefix.

        Raises:
            LimitExceeded: the quota is used up; nothing was bought.
            RenderFailed, NotAllowed: it was refused; nothing was bought.
            Unavailable: it may have been bought.
        """
        model = order.settings.model or self.default_model
        body = _request(order, model)
        with ordering(order, model, "omni") as doing:
            answer = read_answer(self._client.request("post", "interactions", body))
        if answer.status == "failed" and isinstance(outcome := self._outcome(answer), Stopped):
            raise RenderFailed(f"{doing}: {outcome.message}", code=outcome.code, retryable=outcome.retryable)
        if not answer.interaction_id:
            # It was accepted, so it may be under way, and nobody can be asked about it: only its clip will tell.
            raise Unavailable(f"{doing}: it was accepted, but the answer names no interaction")
        return Started(_PREFIX + answer.interaction_id.rpartition("/")[2])

    def poll(self, operation: str) -> Running | Stopped | Gone:
        """Ask what became of an interaction.

        Raises:
            Unavailable: nobody answered.
            RenderFailed, NotAllowed: asking is not allowed.
        """
        doing = f"ask about {operation}"
        try:
            with asking(doing):
                answer = read_answer(self._client.request("get", f"{operation}?stream=false"))
        except Refused as exc:
            return not_told(exc, doing)
        return self._outcome(answer)

    def cancel(self, operation: str) -> None:
        """Call an interaction off; what is over already stays as it is.

        Raises:
            Unavailable: nobody answered.
            NotAllowed: there are no credentials.
        """
        try:
            with asking(f"call {operation} off"):
                self._client.request("post", f"{operation}/cancel")
        except Refused:
            return  # It is over, or was never there.

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _outcome(self, answer: Answer) -> Running | Stopped | Gone:
        """Sort an interaction. Whatever it says, its prefix is looked at again before anybody believes it."""
        match answer.status:
            case "completed":
                return self._completed(answer)
            case "failed":
                return failed(answer.code, answer.fault)
            case "cancelled" | "incomplete" | "requires_action":
                message = f"the interaction ended as {answer.status} {answer.fault}".rstrip()
                return Stopped("generation_failed", message, retryable=True)
            case "budget_exceeded":
                message = f"the interaction used up its budget of tokens {answer.fault}".rstrip()
                return Stopped("budget_exceeded", message, retryable=False)
            case _:
                # in_progress, queued, requires_continuation (which the service does by itself in the background), and
                # words that are not known yet: whoever asks stops asking after an hour.
                return Running()

    def _completed(self, answer: Answer) -> Running | Stopped | Gone:
        if answer.has_video:
            return Gone()
        if answer.updated is not None and self.now() - answer.updated < SETTLING:
            # A new attempt would be paid for, and this one's clip may be a moment away.
            return Running()
        return failed(answer.code, answer.fault) if answer.fault else nothing_came(answer.text)


def _request(order: RenderOrder, name: str) -> dict[str, Any]:
    asked = asked_of(order, name)
    content: Any = asked.scene.prompt
    if asked.start:
        uri, mime_type = asked.start
        image = {"type": "image", "uri": uri, "mime_type": mime_type}
        content = [image, {"type": "text", "text": asked.scene.prompt}]
    return {
        "model": name,
        "input": content,
        # In the background the service answers at once and goes on by itself.
        "background": True,
        "generation_config": {"video_config": {"task": "image_to_video" if asked.start else "text_to_video"}},
        "response_format": {
            "type": "video",
            "delivery": "uri",
            "gcs_uri": order.output_prefix,
            "duration": f"{asked.seconds}s",
            "aspect_ratio": str(order.settings.aspect_ratio),
            "resolution": str(order.settings.resolution),
        },
        "labels": asked.labels,
    }
