"""The log: a line a decision, in both columns, joined to the call's trace; and never a prompt."""

from __future__ import annotations

import base64
import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cloudevents.http import CloudEvent
from flask import Flask
from google.api_core.exceptions import InvalidArgument, RetryError, ServiceUnavailable
from hypothesis import given
from hypothesis import strategies as st

from adapters.google_errors import translated
from adapters.pubsub import too_early
from doors.logs import trace_fields
from doors.receive import Receiver
from events.errors import LimitExceeded, RenderFailed, StitchFailed, Unavailable
from events.log_lines import fields
from events.messages import Topic
from functions.decision_line import fields_of, text_of
from pipeline import facts
from pipeline.decide import decide
from pipeline.ports import Committed
from pipeline.work_ports import Stopped
from tests.functions.doubles import operation_of
from tests.functions.logged import both_columns, deliver_unreadable, logged
from tests.functions.test_main import ATTEMPTS_MAX, Ledger
from tests.functions.world import World
from tests.unit.documents import NOW, S, a_job, a_segment

ROOT = Path(__file__).parents[2]
CANARY = "zqx a lighthouse keeper who must never be logged zqx"
LABELS = "logging.googleapis.com/labels"


def make_film(world: World, **request: Any) -> str:
    job_id = world.create(
        prompts=[f"{CANARY} {index}" for index in range(2)], title=CANARY, generator="paid", **request
    )
    world.settle(job_id)
    return job_id


def decisions(lines: list[dict[str, Any]], **wanted: object) -> list[dict[str, Any]]:
    return [line for line in lines if line.items() >= {"action": "decision", **wanted}.items()]


def test_each_decision_is_a_line_with_state_before_event_state_after_and_reason(any_world: World) -> None:
    any_world.paid.lands_at_once = True

    with logged() as written:
        job_id = make_film(any_world, projectId="keeper")

    [done] = decisions(written.lines, event="SegmentDone", segment=0, changed=True)
    assert done["severity"] == "INFO"
    assert (done["stateBefore"], done["stateAfter"]) == ("generating", "done")
    assert "the clip of attempt 1 is there" in done["reason"]
    assert done["message"].startswith("segments[0]: generating + SegmentDone → done")
    assert done[LABELS] == {"jobId": job_id, "userId": "someone", "segment": "0", "attempt": "1"}
    assert (done["jobType"], done["projectId"], done["generator"]) == ("long_form", "keeper", "paid")
    assert done["spentMicroUsd"] == any_world.paid.price_micro_usd
    [over] = decisions(written.lines, event="StitchDone", changed=True)
    assert (over["jobStateBefore"], over["jobStateAfter"]) == ("stitching", "completed")
    assert {"jobMs", "stitchMs", "engine"} <= set(over)


def test_the_states_of_a_job_s_lines_hang_together(any_world: World) -> None:
    any_world.paid.lands_at_once = True

    with logged() as written:
        make_film(any_world)

    state = "queued"
    for line in decisions(written.lines, changed=True):
        assert line["jobStateBefore"] == state
        state = line["jobStateAfter"]
    assert state == "completed"


def test_a_new_job_is_a_line_and_so_is_the_one_that_made_room_for_it(any_world: World) -> None:
    with logged() as written:
        first = any_world.create_paid(1, projectId="keeper")
        second = any_world.create_paid(1, projectId="keeper", forceRestart=True)

    made = [line for line in written.lines if line["action"] == "created"]
    assert [(line["jobId"], line["jobStateAfter"]) for line in made] == [(first, "queued"), (second, "queued")]
    assert [(line["jobType"], line["projectId"], line["clipCount"]) for line in made] == [
        ("long_form", "keeper", 1)
    ] * 2
    [superseded] = decisions(written.lines, jobId=first, event="CancelRequested")
    assert (superseded["jobStateBefore"], superseded["jobStateAfter"]) == ("queued", "cancelled")
    assert superseded["errorCode"] == "superseded"
    assert (superseded["severity"], superseded["reason"]) == ("INFO", f"superseded by {second}")


def test_times_are_those_of_the_documents(world: World) -> None:
    with logged() as written:
        job_id = world.create_paid(1)
        world.clock.at += timedelta(seconds=2)
        world.run()
        world.clock.at += timedelta(seconds=30)
        world.paid.land(job_id, 0)
        world.run(without=Topic.LOCAL_STITCH)
        world.clock.at += timedelta(seconds=5)
        world.run()

    [done] = decisions(written.lines, event="SegmentDone", changed=True)
    [over] = decisions(written.lines, event="StitchDone", changed=True)
    assert (done["generationMs"], done["firstSegmentMs"]) == (30_000, 32_000)
    assert (over["stitchMs"], over["jobMs"]) == (5_000, 37_000)
    film = world.job(job_id).film
    assert film is not None
    megapixels = film.report.frame_count * film.report.width_px * film.report.height_px / 1_000_000
    assert over["megapixelsPerS"] == round(megapixels / 5, 1)


def test_what_went_wrong_is_a_warning_with_its_code(world: World) -> None:
    world.paid.refusals.append((RenderFailed(f"no: {CANARY}", code="filtered"), False))

    with logged() as written:
        make_film(world)

    [failed] = decisions(written.lines, event="SegmentFailed", changed=True)
    assert (failed["severity"], failed["errorCode"]) == ("WARNING", "filtered")
    assert failed["jobStateAfter"] == "failed"
    assert CANARY not in written.text


def test_a_clip_that_may_have_been_billed_and_is_ordered_again_is_a_paid_retry_once(world: World) -> None:
    with logged() as written:
        job_id = world.create_paid(1)
        world.run()
        world.paid.land(job_id, 0, 1, b"no clip at all")
        world.paid.lands_at_once = True
        world.settle(job_id)

    [wasted] = [line for line in written.lines if "wastedMicroUsd" in line]
    [again] = [line for line in written.lines if "paidRetry" in line]
    assert (wasted["event"], wasted["wastedMicroUsd"]) == ("SegmentFailed", world.paid.price_micro_usd)
    assert (again["paidRetry"], again["stateAfter"], again["attempt"]) == (True, "claimed", 2)


@pytest.mark.parametrize("embedded", [False, True], ids=["cloud", "embedded"])
def test_no_line_of_either_column_holds_a_prompt_whatever_others_say(
    make_world: Callable[..., World], embedded: bool
) -> None:
    """Everyone who is asked answers with the prompt in his mouth."""
    said = f"you asked for {CANARY!r}, and signed it by https://storage.googleapis.com/o?X-Goog-Signature=zqxzqx"
    with logged(*both_columns()) as written:
        for error in (LimitExceeded(said), RenderFailed(said, retryable=True), RenderFailed(said), Unavailable(said)):
            world = make_world(embedded=embedded)
            world.paid.refusals.append((error, False))
            world.paid.lands_after = timedelta(seconds=20)
            make_film(world)
        world = make_world(embedded=embedded)
        world.stitcher.refusals += [StitchFailed(said, retryable=True), StitchFailed(said)]
        world.paid.lands_at_once = True
        make_film(world)
        world = make_world(embedded=embedded)
        world.paid.lands_after = timedelta(hours=1)
        job_id = world.create(prompts=[CANARY], generator="paid")
        world.run()
        world.paid.answers[operation_of(world.paid.bought[0])] = Stopped("prompt_refused", said, retryable=False)
        world.settle(job_id)

    assert len(written.lines) > 100
    assert "zqx" not in written.text
    assert {"filtered", "prompt_refused"} & {line.get("errorCode") for line in written.lines}


@given(words=st.text(st.characters(exclude_categories=["Cs"]), min_size=1).map(lambda text: f"zqx{text}zqx"))
def test_no_failure_s_words_get_into_a_decision_s_line(words: str) -> None:
    job, segment = a_job(), a_segment(S.GENERATING, attempt=1, tries=3)
    event = facts.SegmentFailed(segment.index, 1, "filtered", words, retryable=False)
    decided = decide(job, segment, event, NOW)
    committed = Committed(decided, decided.job or job, decided.segment)

    line = [text_of(job, segment, event, committed), fields_of(job, segment, event, committed)]

    assert words not in json.dumps(line, ensure_ascii=False)
    assert "zqx" not in json.dumps(line)


def refuse(said: str) -> None:
    """Raise what Google says, in our words, with its own within."""
    with translated("write videoJobs/job_abc123"):
        raise InvalidArgument(said)


def be_silent(said: str) -> None:
    with translated("write videoJobs/job_abc123"):
        raise ServiceUnavailable(said)


def be_silent_again_and_again(said: str) -> None:
    with translated("write videoJobs/job_abc123"):
        raise RetryError("no answer within 60 s", ServiceUnavailable(said))


def be_wrong(said: str) -> None:
    raise ValueError(f"cannot use {said!r}")


def stumble(said: str) -> None:
    try:
        be_wrong(said)
    except ValueError as exc:
        raise KeyError(said) from exc


SAID = f"in document {{'prompt': {CANARY!r}}}, PUT https://storage.googleapis.com/o?X-Goog-Signature=zqxzqx: no"


@pytest.mark.parametrize("fail", [refuse, be_silent, be_silent_again_and_again, be_wrong, stumble])
def test_an_error_that_quotes_a_prompt_or_a_signed_address_is_logged_without_it(
    world: World, fail: Callable[[str], None]
) -> None:
    """By the receiver, which keeps the words for the dead letter, and by Flask, which logs what nobody caught."""
    ledger = Ledger()
    receiver = Receiver(world.services, ledger, ledger, ATTEMPTS_MAX, too_early)
    message = {"message": {"data": base64.b64encode(b'{"jobId": "job_abc123"}').decode(), "messageId": "7"}}
    event = CloudEvent({"type": "t", "source": "s", "id": "7"}, message)
    app = Flask("door")
    app.add_url_rule("/", "door", lambda: receiver.take(event, Topic.REQUESTED, lambda *_: fail(SAID)) or "")

    with logged(*both_columns()) as written:
        for _ in range(ATTEMPTS_MAX):
            app.test_client().get("/")

    assert "zqx" not in written.text
    assert CANARY in ledger.letters[-1][2], "who may read the message reads why"
    [letter, *_] = [line for line in written.lines if line.get("action") == "dead_letter"]
    assert letter[LABELS] == {"jobId": "job_abc123"}, "found among all that is about its job"
    if fail in (refuse, be_silent, be_silent_again_and_again):
        assert "write videoJobs/job_abc123" in written.text
    else:
        assert f"in {fail.__name__}" in written.text, "where it happened is found"


@pytest.mark.parametrize(
    "body",
    [
        json.dumps({"jobId": CANARY}),
        json.dumps({"jobId": {"prompt": CANARY}}),
        json.dumps({"jobId": [CANARY], "prompts": [CANARY]}),
        json.dumps({"jobId": "job_abc123", "schemaVersion": CANARY}),
        json.dumps({CANARY: CANARY}),
        json.dumps(CANARY),
        CANARY,
    ],
)
def test_a_message_that_somebody_replays_with_a_prompt_in_it_is_not_quoted(world: World, body: str) -> None:
    with logged() as written:
        deliver_unreadable(world, body)

    [letter] = [line for line in written.lines if line["action"] == "dead_letter"]
    assert letter["message"].startswith("bad_message: read Requested: ")
    assert "zqx" not in written.text


def test_a_function_whose_environment_is_wrong_says_so_in_a_line_of_the_log() -> None:
    code = (
        "import logging, main\n"
        "try:\n    main.outside()\n"
        "except Exception:\n    logging.getLogger('main').exception('Exception on / [POST]')\n"
    )
    environment = {"PATH": os.environ["PATH"], "GOOGLE_CLOUD_PROJECT": "p", "LONGREEL_BUCKET": "films"}

    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=environment | {"LONGREEL_DAILY_LIMIT_USD": "$50"},
        capture_output=True,
        text=True,
        check=True,
    )

    line = json.loads(done.stderr)
    assert line["severity"] == "ERROR"
    assert "InvalidRequest: LONGREEL_DAILY_LIMIT_USD: should be dollars such as 50 or 49.99" in line["stack_trace"]


def test_lines_of_a_call_carry_its_trace_by_either_header() -> None:
    by_google = trace_fields("films", {"X-Cloud-Trace-Context": "105445AA7843BC8BF206B12000100000/255;o=1"})
    by_w3c = trace_fields("films", {"traceparent": "00-105445aa7843bc8bf206b12000100000-00000000000000ff-01"})

    assert by_google == by_w3c
    assert by_w3c == {
        "logging.googleapis.com/trace": "projects/films/traces/105445aa7843bc8bf206b12000100000",
        "logging.googleapis.com/spanId": "00000000000000ff",
        "logging.googleapis.com/trace_sampled": True,
    }


@given(st.text(max_size=80))
def test_a_header_that_is_none_is_no_trace_and_no_error(text: str) -> None:
    for name in ("traceparent", "X-Cloud-Trace-Context"):
        found = trace_fields("films", {name: text})
        assert set(found) <= {f"logging.googleapis.com/{each}" for each in ("trace", "spanId", "trace_sampled")}


def test_only_what_is_logged_during_a_call_has_its_trace() -> None:
    log = logging.getLogger("longreel.test")
    with logged() as written:
        with Flask("door").test_request_context(headers={"traceparent": f"00-{'ab' * 16}-{'cd' * 8}-00"}):
            log.warning("within", extra=fields(action="failed", delivery=2))
        log.warning("without")

    within, without = written.lines
    assert within["logging.googleapis.com/trace"].endswith("ab" * 16)
    assert within["delivery"] == 2
    assert without == {"severity": "WARNING", "message": "without"}


def test_in_the_cloud_every_line_is_json_without_secrets_those_of_other_libraries_too() -> None:
    code = (
        "import logging, sys\n"
        "from doors.logs import log_to_cloud\n"
        "logging.basicConfig()\n"
        "log_to_cloud('films')\n"
        "logging.getLogger('httpx').info('HTTP Request: POST https://a.example/b?key=zqxzqxzqx')\n"
        "logging.getLogger('urllib3').warning('Retrying after %s', 'https://a.example/b?upload_id=zqxzqxzqx')\n"
        "logging.getLogger('longreel.x').info('ours')\n"
    )

    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert [json.loads(line) for line in done.stderr.splitlines()] == [
        {"severity": "WARNING", "message": "Retrying after https://a.example/b?[hidden]"},
        {"severity": "INFO", "message": "ours"},
    ]
    assert not done.stdout


def test_a_letter_s_line_says_topic_delivery_and_reason_but_not_its_body(world: World) -> None:
    with logged() as written:
        deliver_unreadable(world, json.dumps({"prompt": CANARY}))

    [letter] = [line for line in written.lines if line["action"] == "dead_letter"]
    assert (letter["severity"], letter["topic"], letter["delivery"]) == ("ERROR", "requested", 1)
    assert letter["message"].startswith("bad_message: ")
    assert CANARY not in written.text
