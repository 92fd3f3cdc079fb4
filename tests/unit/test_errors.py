"""The error tree is what the drawing at the top of its file says."""

from __future__ import annotations

import re

import pytest

from events import errors
from events.errors import AlreadyRunning, InvalidRequest, PipelineError, Unavailable


def _family(root: type[PipelineError]) -> list[type[PipelineError]]:
    return [root, *(member for child in root.__subclasses__() for member in _family(child))]


TREE = [error for error in _family(PipelineError) if error.__module__ == errors.__name__]


def _drawn() -> dict[str, tuple[str | None, str]]:
    """Read the drawing: class name → (its parent's name, the text beside it)."""
    found: dict[str, tuple[str | None, str]] = {}
    path: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").splitlines():
        drawn = re.fullmatch(r"    ([│├└─ ]*)([A-Z]\w+) *(.*)", line)
        if drawn:
            depth = len(drawn[1])
            path = [step for step in path if step[0] < depth]
            found[drawn[2]] = (path[-1][1] if path else None, drawn[3])
            path.append((depth, drawn[2]))
    return found


def test_the_drawing_lists_every_error_under_its_parent() -> None:
    real = {error.__name__: None if error is PipelineError else error.__bases__[0].__name__ for error in TREE}

    assert {name: parent for name, (parent, _) in _drawn().items()} == real


@pytest.mark.parametrize("error", [error for error in TREE if error is not PipelineError], ids=lambda e: e.__name__)
def test_the_drawing_says_whether_an_error_is_worth_another_try(error: type[PipelineError]) -> None:
    assert ("retryable" in _drawn()[error.__name__][1]) is error.retryable


def test_every_error_has_a_code_of_its_own_in_snake_case() -> None:
    codes = [error.code for error in TREE]

    assert len(set(codes)) == len(codes)
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", code) for code in codes)


@pytest.mark.parametrize("error", TREE, ids=lambda e: e.__name__)
def test_every_error_says_what_it_is_in_a_sentence(error: type[PipelineError]) -> None:
    assert error.__doc__ is not None
    assert error.__doc__.strip().endswith(".")


def test_only_an_outside_that_did_not_answer_and_a_machine_without_room_are_worth_another_try() -> None:
    assert {error for error in TREE if error.retryable} == {Unavailable, errors.OutOfMemory, errors.DiskFull}


def test_one_error_may_say_otherwise_than_its_class() -> None:
    error = errors.RenderFailed("make segment 3: busy", code="busy", retryable=True)

    assert (error.code, error.retryable, error.message, str(error)) == ("busy", True, *["make segment 3: busy"] * 2)
    assert (errors.RenderFailed.code, errors.RenderFailed.retryable) == ("render_failed", False)


def test_a_refused_request_names_its_field_and_one_without_a_field_does_not() -> None:
    assert str(InvalidRequest("prompts[3].durationMs", "is missing")) == "prompts[3].durationMs: is missing"
    assert str(InvalidRequest("", "a request should be an object")) == "a request should be an object"
    assert InvalidRequest("title", "is missing").field == "title"


def test_already_running_carries_the_running_jobs_id() -> None:
    assert AlreadyRunning("project a has one", "job_abc123").job_id == "job_abc123"


def test_a_stitch_failure_may_name_the_clip_that_is_to_blame() -> None:
    assert errors.StitchFailed("encode clip 3: it is cut short", segment_index=3).segment_index == 3
    assert errors.StitchFailed("no encoder").segment_index is None
