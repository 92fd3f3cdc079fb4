"""What `events/samples` shows is what the models read and write."""

from __future__ import annotations

from typing import Any

import pytest

from events.messages import Message
from events.requests import read_request
from tests.unit.samples import FULL, MODELS, NAMES, model_of, text_of, value_of


def test_everything_that_crosses_a_process_has_a_full_sample_and_nothing_else_has_one() -> None:
    assert sorted(MODELS) == FULL


@pytest.mark.parametrize("name", FULL)
def test_a_full_sample_is_read_and_written_again_as_it_was(name: str) -> None:
    read = model_of(name).from_json(text_of(name))

    assert read.to_wire() == value_of(name)
    assert model_of(name).from_json(read.to_json()) == read


@pytest.mark.parametrize("name", FULL)
def test_a_full_sample_shows_every_field(name: str) -> None:
    fields = {field.alias for field in model_of(name).model_fields.values()}

    assert set(value_of(name)) == fields


@pytest.mark.parametrize("name", [name for name in NAMES if name not in FULL])
def test_a_sample_typed_by_hand_is_read_and_survives_a_round_trip(name: str) -> None:
    read = model_of(name).from_json(text_of(name))

    assert model_of(name).from_json(read.to_json()) == read
    assert set(value_of(name)) <= set(read.to_wire())


@pytest.mark.parametrize("name", [n for n in NAMES if n.endswith("_minimal") and issubclass(model_of(n), Message)])
def test_no_field_of_a_message_typed_by_hand_could_be_left_out(name: str) -> None:
    required = {field.alias for field in model_of(name).model_fields.values() if field.is_required()}

    assert set(value_of(name)) == required


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("request_")])
def test_a_request_sample_is_what_a_caller_may_send(name: str) -> None:
    value: dict[str, Any] = value_of(name)

    assert isinstance(read_request(value), model_of(name))
