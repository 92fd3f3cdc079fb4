"""What a call leaves in the log: no prompt, whatever shape it comes in, and whatever fails here."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from adapters.sqlite_spend import SqliteSpend
from events.errors import PipelineError
from functions.budget import Budget
from tests.functions.logged import logged
from tests.functions.test_app_check import call
from tests.functions.test_app_check import firebase as firebase
from tests.functions.world import World

PROMPT = "zqx a lighthouse keeper who must never be logged zqx"


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"prompts": [PROMPT]}, "the field `data`, which holds all"),
        ([{"prompts": [PROMPT]}], "the field `data`, which holds all"),
        (PROMPT, "the field `data`, which holds all"),
        ({"data": {"prompts": [PROMPT]}, "prompts": [PROMPT]}, "the field `data` and no other"),
    ],
)
def test_a_body_of_another_shape_is_refused_in_words_and_not_logged(
    world: World, firebase: None, body: object, told: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with logged() as written:
        status, answer = call(world, app_check=False, body=body)

    assert (status, answer["error"]["status"]) == (400, "INVALID_ARGUMENT")
    assert told in answer["error"]["message"]
    assert "zqx" not in written.text + "".join(capfd.readouterr())
    assert world.services.jobs.jobs() == []


def test_a_mistake_of_ours_is_logged_with_its_trace_and_without_the_prompt_in_its_text(
    world: World, firebase: None
) -> None:
    def stumble() -> str:
        raise ValueError(f"no id for {PROMPT}")

    world.services = replace(world.services, new_job_id=stumble)
    with logged() as written:
        status, answer = call(world, app_check=False)

    assert (status, answer["error"]["status"]) == (500, "INTERNAL")
    assert answer["error"]["message"] == "something went wrong here; it is logged, and nothing was made"
    [line] = [each for each in written.lines if each.get("action") == "bug"]
    assert (line["severity"], "in stumble" in line["stack_trace"]) == ("CRITICAL", True)
    assert line["logging.googleapis.com/labels"] == {"userId": "alice"}
    assert "zqx" not in written.text


@pytest.mark.parametrize(
    ("request_data", "code"),
    [
        ({"prompts": [PROMPT], "generator": PROMPT}, "invalid_request"),
        ({"prompts": [PROMPT], "zqx": PROMPT}, "invalid_request"),
        ({"prompts": [PROMPT], "generator": "paid", "title": [PROMPT]}, "invalid_request"),
        ({"prompts": [PROMPT], "generator": "paid"}, "daily_limit"),
    ],
)
def test_a_call_that_is_refused_is_a_line_with_its_code_and_its_user_and_nothing_of_the_request(
    world: World, firebase: None, request_data: object, code: str
) -> None:
    world.services = replace(world.services, budget=Budget(SqliteSpend(world.database), 0))
    with logged() as written:
        status, answer = call(world, app_check=False, body={"data": request_data})

    assert status in (400, 429), answer
    [line] = [each for each in written.lines if each.get("action") == "refused"]
    assert (line["errorCode"], line["severity"], line["userId"]) == (code, "INFO", "alice")
    assert "zqx" not in written.text


def test_an_error_that_we_named_is_logged_without_what_its_cause_said(world: World, firebase: None) -> None:
    def refuse() -> str:
        cause: Any = ValueError(PROMPT)
        raise PipelineError(f"draw an id: {cause}") from cause

    world.services = replace(world.services, new_job_id=refuse)
    with logged() as written:
        status, _ = call(world, app_check=False)

    assert status == 500
    [line] = [each for each in written.lines if each.get("action") == "internal"]
    assert line["message"] == "draw an id: [ValueError]"
    assert "zqx" not in written.text
