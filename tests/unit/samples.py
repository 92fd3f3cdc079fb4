"""The samples that ship with the project, and the model that reads each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import events
from events.clip import StitchReport
from events.messages import MODEL_OF_TOPIC
from events.plan import StitchPlan
from events.requests import LongFormRequest, StitchRequest
from events.wire import WireModel

FOLDER = Path(events.__file__).with_name("samples")
MODELS: dict[str, type[WireModel]] = {
    **{str(topic): model for topic, model in MODEL_OF_TOPIC.items()},
    "request_long_form": LongFormRequest,
    "request_stitch": StitchRequest,
    "stitch_plan": StitchPlan,
    "stitch_report": StitchReport,
}
NAMES = sorted(path.stem for path in FOLDER.glob("*.json"))
FULL = [name for name in NAMES if not name.endswith("_minimal")]


def text_of(name: str) -> str:
    return (FOLDER / f"{name}.json").read_text(encoding="utf-8")


def value_of(name: str) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(text_of(name))
    return value


def model_of(name: str) -> type[WireModel]:
    return MODELS[name.removesuffix("_minimal")]
