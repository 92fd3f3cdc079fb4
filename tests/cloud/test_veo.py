"""What only Veo is asked and answers: `predictLongRunning` and `fetchPredictOperation`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.genai_client import Refused
from adapters.genai_outcomes import SUPPORT_CODES, failed, filtered, not_taken
from events.errors import LimitExceeded
from pipeline.work_ports import Gone, Stopped
from tests.cloud.paid_orders import PREFIX, VEO, Paid, paid
from tests.cloud.servers.vertex import Ending


@pytest.fixture
def veo() -> Iterator[Paid]:
    with paid("veo") as made:
        yield made


def test_all_that_a_scene_says_reaches_the_model(veo: Paid) -> None:
    veo.submitted(negativePrompt="rain", seed=2**32 - 1, durationMs=8000)

    (bought,) = veo.server.bought
    assert bought.prompt == "A red kite over a grey harbour"
    assert (bought.negative_prompt, bought.seed, bought.seconds) == ("rain", 2**32 - 1, 8)
    assert (bought.prefix, bought.model, bought.start_image) == (PREFIX, VEO, None)


def test_an_operation_is_its_full_name(veo: Paid) -> None:
    operation = veo.submitted()

    beginning = f"projects/demo-films/locations/us-central1/publishers/google/models/{VEO}/operations/"
    assert operation.startswith(beginning)


@pytest.mark.parametrize(
    ("reasons", "side", "explained"),
    [
        (["17301594: Celebrity"], "generated video", "17301594: Celebrity (that is: a child)"),
        (["Veo could not generate videos. Support codes: 29310472"], "prompt", "a prominent person"),
        (
            ["Veo could not generate videos because the input image violates the guidelines. Support codes: 15236754"],
            "start image",
            "a prominent person",
        ),
        (["61493863", "56562880"], "prompt", "violence"),
        (["The generated audio was held back."], "generated video", "The generated audio"),
        ([], "prompt", "no reason was given"),
    ],
)
def test_a_filtered_clip_says_which_input_and_which_reason_and_is_not_bought_again(
    veo: Paid, reasons: list[str], side: str, explained: str
) -> None:
    veo.server.rule(Ending.FILTERED, reasons=reasons)

    answer = veo.generator.poll(veo.ended())

    assert isinstance(answer, Stopped)
    assert (answer.code, answer.retryable) == ("filtered", False)
    assert f"because of the {side}: " in answer.message
    assert explained in answer.message
    assert veo.objects == {}


@pytest.mark.parametrize("ending", [Ending.NOTHING, Ending.UNSAID])
def test_an_end_without_a_word_is_no_object_whatever_lies_in_the_bucket(veo: Paid, ending: Ending) -> None:
    veo.server.rule(ending)

    answer = veo.generator.poll(veo.ended())

    assert isinstance(answer, Stopped)
    assert (answer.code, answer.retryable) == ("no_object", True)
    assert len(veo.objects) == (ending is Ending.UNSAID), "whoever asked looks there before it believes the answer"


@pytest.mark.parametrize("ending", [Ending.TWICE, Ending.TWO, Ending.PICTURE, Ending.TRUNCATED])
def test_whatever_was_written_the_answer_is_to_look_at_it(veo: Paid, ending: Ending) -> None:
    veo.server.rule(ending)

    assert veo.generator.poll(veo.ended()) == Gone()
    assert len(veo.objects) == (2 if ending is Ending.TWO else 1)


def test_only_the_rule_s_orders_go_wrong(veo: Paid) -> None:
    veo.server.rule(Ending.FILTERED, prompt="dragon", times=None)

    answers = [veo.generator.poll(veo.ended(prompt=each)) for each in ("A dragon", "A kite", "Another dragon")]

    assert [isinstance(each, Stopped) for each in answers] == [True, False, True]


def test_asking_about_what_was_never_ordered_finds_nothing(veo: Paid) -> None:
    operation = f"projects/demo-films/locations/us-central1/publishers/google/models/{VEO}/operations/never"

    assert veo.generator.poll(operation) == Gone()


def test_every_order_has_an_operation_of_its_own(veo: Paid) -> None:
    assert veo.submitted() != veo.submitted()


@given(st.none() | st.integers(-1, 20), st.text())
def test_every_error_has_an_outcome_that_says_what_was_said(code: int | None, said: str) -> None:
    answer = failed(code, said)

    assert answer.code in {"prompt_refused", "filtered", "bad_order", "permission_denied", "quota", "generation_failed"}
    assert said in answer.message
    assert not (answer.retryable and answer.code in {"prompt_refused", "filtered", "bad_order", "permission_denied"})


@given(st.integers(400, 499), st.text())
def test_every_refusal_has_an_outcome_that_says_what_was_said(status: int, said: str) -> None:
    error = not_taken(Refused(status, said), "order it", VEO, "veo")

    assert said in error.message
    assert error.message.startswith("order it: ")
    assert not error.retryable
    assert isinstance(error, LimitExceeded) == (status == 429)


@given(st.lists(st.sampled_from(sorted(SUPPORT_CODES)), min_size=1))
def test_every_support_code_is_put_into_words(codes: list[str]) -> None:
    answer = filtered([f"Support codes: {', '.join(codes)}"])

    assert all(SUPPORT_CODES[code][0] in answer.message for code in codes)
