"""What a log may have of an error: what we say of it, and nothing that anybody else put into it."""

from __future__ import annotations

import sqlite3
from string import ascii_letters

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from events.errors import BadMessage, NotAllowed, PipelineError, Unavailable
from events.messages import Requested
from events.own_words import own_words, trace_of

#: What somebody else says: no word of ours is in it.
WORDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60).map(lambda text: f"zqx {text} zqx")


class Refused(Exception):
    """A foreign error that has more than a text."""

    def __init__(self, said: str) -> None:
        super().__init__(400, said)
        self.message = self.said = said


def raised(error: Exception, cause: BaseException | None) -> Exception:
    """Give an error as it is caught."""
    try:
        raise error from cause
    except type(error) as exc:
        return exc


@given(said=WORDS)
def test_of_an_error_that_nobody_named_only_its_name_and_place_are_told(said: str) -> None:
    for error in (ValueError(said), KeyError(said), Refused(said), RuntimeError(said, 5), UnicodeError(said)):
        caught = raised(error, None)

        assert own_words(caught) == (f"{__name__}.Refused" if type(error) is Refused else type(error).__name__)
        assert said not in trace_of(caught)
        assert "in raised" in trace_of(caught), "where it happened is ours"


@given(said=WORDS, doing=st.text(ascii_letters + " /:", min_size=1))
def test_of_an_error_of_ours_the_sentence_stays_and_its_causes_words_become_their_name(said: str, doing: str) -> None:
    assume(said not in doing)
    for cause in (Refused(said), ValueError(said)):
        for text in (
            f"{doing}: {said}",
            f"{doing}: it is not there ({said})",
            f"{doing}: {cause}",
            f"{doing}: {cause!r}",
        ):
            caught = raised(Unavailable(text), cause)

            assert own_words(caught).startswith(f"{doing}: ")
            assert "zqx" not in own_words(caught)
            assert "zqx" not in trace_of(caught)


@given(said=WORDS)
def test_a_cause_s_cause_says_nothing_either(said: str) -> None:
    first = raised(ValueError(said), None)
    second = raised(Unavailable(f"read it: {said}"), first)
    third = raised(NotAllowed(f"make the film: {second}"), second)

    assert own_words(third) == "make the film: read it: [ValueError]"
    assert "zqx" not in trace_of(third)
    assert trace_of(third).count("Traceback (most recent call last):") == 3


def test_what_a_message_holds_instead_of_a_job_is_not_quoted() -> None:
    for value in ("zqx 'quoted' zqx", "zqx \"both\" and 'single' zqx", "zqx\nnew line zqx", "zqx" * 100):
        with pytest.raises(BadMessage) as refused:
            Requested.from_json(Requested.model_construct(job_id=value).to_json())

        assert "zqx" in refused.value.message, "the dead letter has it"
        assert "zqx" not in own_words(refused.value)
        assert own_words(refused.value).startswith("read Requested: field jobId should look like job_…")


def test_what_the_system_and_the_database_say_of_themselves_is_kept() -> None:
    full = raised(Unavailable("write the film: No space left on device"), OSError(28, "No space left on device"))
    locked = sqlite3.OperationalError("database is locked")

    assert own_words(full) == "write the film: No space left on device"
    assert own_words(locked) == "sqlite3.OperationalError: database is locked"


def test_an_error_of_the_system_that_somebody_made_by_hand_is_not_the_system_s() -> None:
    assert own_words(ConnectionError("zqx")) == "ConnectionError"
    assert own_words(raised(Unavailable("put it: zqx"), TimeoutError("zqx"))) == "put it: [TimeoutError]"


def test_a_number_that_a_cause_said_spoils_no_other_number() -> None:
    caught = raised(PipelineError("task 1 of 12 ended: 1"), ValueError("1"))

    assert own_words(caught) == "task [ValueError] of 12 ended: [ValueError]"


def test_errors_that_are_each_other_s_cause_come_to_an_end() -> None:
    one, other = ValueError("zqx"), KeyError("zqx")
    one.__cause__, other.__cause__ = other, one

    assert trace_of(one).count("Traceback") == 2
