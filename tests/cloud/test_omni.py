"""What only Omni is asked and answers: interactions."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.omni import SETTLING, OmniGenerator
from adapters.omni_answer import read_answer
from events.errors import RenderFailed
from pipeline.work_ports import Gone, Running, Stopped
from tests.cloud.paid_orders import OMNI, PREFIX, Paid, order, paid
from tests.cloud.servers.http import Answer
from tests.cloud.servers.vertex import Ending


class Clock:
    """A time that goes when it is told to."""

    def __init__(self) -> None:
        self.present = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.present


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def omni(clock: Clock) -> Iterator[Paid]:
    with paid("omni", now=clock) as made:
        yield made


def answering(omni: Paid, **interaction: Any) -> None:
    """Let the server answer every order and question with this interaction."""
    omni.server.answers = lambda _request: Answer.of_json({"id": "v1_1"} | interaction)


def test_an_order_names_its_prefix_length_and_shape(omni: Paid) -> None:
    omni.submitted(durationMs=14_200)

    (bought,) = omni.server.bought
    assert (bought.prefix, bought.model, bought.seconds) == (PREFIX, OMNI, 15)
    assert bought.prompt == "A red kite over a grey harbour"


def test_an_operation_is_the_interaction_s_id(omni: Paid) -> None:
    assert omni.submitted() == f"interactions/{omni.server.bought[0].operation}"


def test_it_runs_in_the_only_location_that_has_it(omni: Paid) -> None:
    omni.submitted()

    (logged,) = omni.server.log.requests
    assert logged.path == "/v1beta1/projects/demo-films/locations/global/interactions"


def test_a_filtered_clip_is_refused_for_good_with_the_reason(omni: Paid) -> None:
    omni.server.rule(Ending.FILTERED, reasons=["Support codes: 61493863"])

    answer = omni.generator.poll(omni.ended())

    assert isinstance(answer, Stopped)
    assert (answer.code, answer.retryable) == ("prompt_refused", False)
    assert "violence" in answer.message


def test_a_filter_that_held_back_the_output_says_so(omni: Paid) -> None:
    omni.server.rule(Ending.FILTERED, reasons=["the generated video. Support codes: 56562880"])

    answer = omni.generator.poll(omni.ended())

    assert isinstance(answer, Stopped)
    assert (answer.code, answer.retryable) == ("filtered", False)
    assert "generated video" in answer.message


@pytest.mark.parametrize("ending", [Ending.NOTHING, Ending.UNSAID])
def test_a_completed_interaction_without_a_clip_is_believed_only_after_a_while(
    omni: Paid, clock: Clock, ending: Ending
) -> None:
    omni.server.rule(ending)
    operation = omni.ended()

    assert omni.generator.poll(operation) == Running(), "its clip may be a moment away, and a new one would be paid for"
    clock.present += SETTLING + timedelta(seconds=2)

    answer = omni.generator.poll(operation)
    assert isinstance(answer, Stopped)
    assert (answer.code, answer.retryable) == ("no_object", True)
    assert len(omni.objects) == (ending is Ending.UNSAID), "whoever asked looks there before it believes the answer"


def test_a_completed_interaction_with_words_instead_of_a_clip_shows_them(omni: Paid) -> None:
    words = [{"type": "model_output", "content": [{"type": "text", "text": "I would rather not."}]}]
    answering(omni, status="completed", steps=words)

    answer = omni.generator.poll("interactions/v1_1")

    assert isinstance(answer, Stopped)
    assert answer.code == "no_object"
    assert "I would rather not." in answer.message


@pytest.mark.parametrize(
    ("status", "expected", "retryable"),
    [
        ("cancelled", "generation_failed", True),
        ("incomplete", "generation_failed", True),
        ("requires_action", "generation_failed", True),
        ("budget_exceeded", "budget_exceeded", False),
        ("failed", "generation_failed", True),
    ],
)
def test_every_end_without_a_clip_has_an_outcome(omni: Paid, status: str, expected: str, retryable: bool) -> None:
    answering(omni, status=status)

    answer = omni.generator.poll("interactions/v1_1")

    assert isinstance(answer, Stopped)
    assert (answer.code, answer.retryable) == (expected, retryable)


@pytest.mark.parametrize("status", ["queued", "in_progress", "requires_continuation", "a_word_of_next_year", None])
def test_what_may_still_become_a_clip_is_running(omni: Paid, status: str | None) -> None:
    answering(omni, status=status)

    assert omni.generator.poll("interactions/v1_1") == Running()


def test_an_order_that_fails_at_once_is_told_at_once(omni: Paid) -> None:
    answering(omni, status="failed", errors=[{"code": "SAFETY", "message": "The prompt was blocked."}])

    with pytest.raises(RenderFailed) as refused:
        omni.generator.submit(order())

    assert refused.value.code == "prompt_refused"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
NAMES = ["id", "status", "updated", "steps", "errors", "type", "content", "error", "code", "message", "uri", "text"]


@given(st.dictionaries(st.sampled_from(NAMES), JSON | st.lists(st.dictionaries(st.sampled_from(NAMES), JSON))))
def test_whatever_json_an_interaction_is_it_is_read_and_has_an_outcome(value: dict[str, Any]) -> None:
    answer = OmniGenerator("demo-films", OMNI)._outcome(read_answer(value))

    assert isinstance(answer, Stopped | Running | Gone)


@given(st.text(max_size=30))
def test_any_time_of_a_completed_interaction_is_read_or_left(text: str) -> None:
    answer = OmniGenerator("demo-films", OMNI)._outcome(read_answer({"status": "completed", "updated": text}))

    assert isinstance(answer, Stopped | Running)


def test_a_full_name_is_asked_about_by_its_last_part(omni: Paid) -> None:
    answering(omni, id="projects/1/locations/global/interactions/v1_9", status="in_progress")

    assert omni.submitted() == "interactions/v1_9"


def test_a_running_interaction_is_called_off(omni: Paid) -> None:
    operation = omni.submitted()

    omni.generator.cancel(operation)
    omni.server.work()

    assert omni.server.bought[0].cancelled
    assert omni.objects == {}
    assert isinstance(omni.generator.poll(operation), Stopped)


def test_what_is_written_is_looked_at(omni: Paid) -> None:
    omni.server.rule(Ending.TRUNCATED)

    assert omni.generator.poll(omni.ended()) == Gone()
