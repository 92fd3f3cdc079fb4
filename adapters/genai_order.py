"""An order for one clip, as both of Google's video models take it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from adapters.genai_client import Refused, asking
from adapters.genai_outcomes import not_taken
from events.requests import PromptSpec
from pipeline.models import model_of
from pipeline.work_ports import RenderOrder


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of a model."""

    scene: PromptSpec
    #: The shortest length that the model makes and that is long enough.
    seconds: int
    #: `gs://` of the picture to begin with, and its media type; None for none.
    start: tuple[str, str | None] | None
    #: For bills and logs.
    labels: dict[str, str]


def asked_of(order: RenderOrder, name: str) -> Asked:
    """Give what an order asks of a model, which has let it through before.

    Args:
        order: one clip.
        name: the model's.
    """
    scene, model = order.spec.scene, model_of(name)
    assert scene is not None, "api.check lets only prompts through to this generator"
    assert model is not None, "api.check lets only models of this generator through"
    asked_ms = model.asked_duration_ms(scene.duration_ms)
    assert asked_ms is not None, "api.check lets only lengths through that the model makes"
    uri = order.start_image or scene.start_image
    labels = {"longreel_job": order.job_id, "longreel_segment": str(order.segment_index)}
    return Asked(scene, asked_ms // 1000, (uri, model.start_image_type(uri)) if uri else None, labels)


@contextmanager
def ordering(order: RenderOrder, model: str, generator: str) -> Iterator[str]:
    """Translate what the call that orders a clip raises; gives what we are doing, for the text of other errors.

    Raises:
        LimitExceeded: the quota is used up; nothing was bought.
        RenderFailed, NotAllowed: it was refused; nothing was bought.
        Unavailable: it may have been bought.
    """
    doing = f"order segment {order.segment_index} of {order.job_id} from {model}"
    try:
        with asking(doing):
            yield doing
    except Refused as exc:
        raise not_taken(exc, doing, model, generator) from exc
