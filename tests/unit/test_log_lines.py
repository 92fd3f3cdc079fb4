"""What a log line may carry, and that no secret gets out by any text."""

from __future__ import annotations

import json
import logging
import sys
from string import ascii_letters, digits

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events import log_lines
from events.log_lines import ATTRIBUTE, FIELDS, HIDDEN, LABELS, Values, entry, fields, redacted

#: What secrets are made of.
SECRET = st.text(ascii_letters + digits + "-_", min_size=24, max_size=60)
#: What may stand around one: nothing that makes it longer.
AROUND = st.text(st.characters(exclude_characters=ascii_letters + digits + "-_", exclude_categories=["Cs"]), max_size=9)

#: Ways in which a secret shows up in the texts of others.
SHAPES = (
    "https://storage.googleapis.com/b/o.mp4?X-Goog-Algorithm=GOOG4-RSA-SHA256&X-Goog-Signature={}",
    "https://storage.googleapis.com/b/o.mp4?X-Goog-Signature={}&X-Goog-Date=20260101T000000Z",
    "https%3A%2F%2Fstorage.googleapis.com%2Fb%3FX-Goog-Signature%3D{}",
    "HTTPS://STORAGE.GOOGLEAPIS.COM/B/O?X-GOOG-SIGNATURE={}",
    "http://127.0.0.1:8080/upload/storage/v1/b/b/o?uploadType=resumable&upload_id={}",
    "with url: /upload/storage/v1/b/b/o?uploadType=resumable&upload_id={} (Caused by",
    '"GET /b/o?X-Goog-Signature={} HTTP/1.1" 403',
    "&Signature={}",
    "x-amz-security-token: {}",
    "Authorization: Bearer {}",
    "{{'Authorization': 'Bearer {}', 'Accept': '*/*'}}",
    "('authorization', 'Bearer {}')",
    "proxy-authorization=Basic {}",
    "sent bearer {}",
    '{{"access_token": "{}", "expires_in": 3599}}',
    "id_token={}",
    "eyJhbGciOiJSUzI1NiJ9.eyJ1aWQiOiJ1In0.{}",
    "ya29.{}",
    # What Firebase's library says of a token that is none.
    "Error validating token: Wrong number of segments in token: b'{}'",
    "key=AIzaSy{}",
    "'api_key': '{}'",
    "-----BEGIN PRIVATE KEY-----\nMIIEv{}\n-----END PRIVATE KEY-----",
    "prompts.0\n  Input should be a valid string [type=string_type, input_value={{'prompt': '{}'}}, input_type=dict]",
)


@pytest.mark.parametrize("shape", SHAPES)
def test_no_secret_gets_out(shape: str) -> None:
    said = redacted(shape.format("CANARYcanary0123456789-_CANARYcanary"))

    assert "canary" not in said.lower()
    assert HIDDEN in said


@given(shape=st.sampled_from(SHAPES), secret=SECRET, before=AROUND, after=AROUND)
@settings(max_examples=150)
def test_no_secret_gets_out_whatever_stands_around_it(shape: str, secret: str, before: str, after: str) -> None:
    said = redacted(before + " " + shape.format(secret) + " " + after)

    assert secret not in said
    assert HIDDEN in said
    assert redacted(said) == said


@given(st.lists(st.sampled_from(SHAPES) | st.text(max_size=20), max_size=6).map(" ".join))
def test_what_is_looked_at_first_to_save_time_passes_nothing_over(text: str) -> None:
    assert redacted(text) == log_lines._secrets().sub(log_lines._hidden, text)


@pytest.mark.parametrize(
    "text",
    [
        "the clip of attempt 1 is there; the next segment may go",
        "read gs://longreel/jobs/job_7f3k2m9x4q/segments/0/1/sample_0.mp4: 503",
        "attempt_lost: try again",
        "LONGREEL_VEO_MODEL names a model that is gone; key figures: 4 tokens",
        "see https://cloud.google.com/run/docs/container-contract#jobs-env-vars",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redacted(text) == text


@given(secret=SECRET)
def test_an_error_that_quotes_a_signed_url_is_logged_without_it(secret: str) -> None:
    url = f"https://storage.googleapis.com/b/o?X-Goog-Signature={secret}"
    try:
        int(f"403 for {url}")
    except ValueError:
        record = logging.LogRecord("longreel", logging.ERROR, __file__, 1, "put %s", (url,), sys.exc_info())
    record.__dict__.update(fields(action="bug", reason=f"put {url}"))

    line = entry(record, record.args, record.exc_info)

    assert secret not in json.dumps(line)
    assert line["message"] == "put https://storage.googleapis.com/b/o?[hidden]"
    assert str(line["stack_trace"]).endswith("ValueError")


@pytest.mark.parametrize(
    ("template", "args"),
    [("missing data.", ([{"prompts": ["zqx"]}],)), ("%d %d", ("zqx",)), ("%(a)s", {"b": "zqx"}), ("%d", ("zqx",))],
)
def test_a_call_that_does_not_fit_its_own_text_is_a_line_without_what_was_given(template: str, args: object) -> None:
    """Such as Firebase's library makes; Python's own way is to print all of it."""
    record = logging.LogRecord("root", logging.WARNING, __file__, 1, template, None, None)

    assert entry(record, args, None) == {"severity": "WARNING", "message": template}


def test_an_error_among_the_values_of_a_line_is_told_by_its_name() -> None:
    record = logging.LogRecord("root", logging.ERROR, __file__, 1, "Unhandled error: %s", None, None)

    assert entry(record, (ValueError("zqx"),), None)["message"] == "Unhandled error: ValueError"
    assert entry(logging.makeLogRecord({"msg": ValueError("zqx")}), (), None)["message"] == "ValueError"


def test_each_field_has_one_name_and_each_name_one_field() -> None:
    assert set(FIELDS) == set(Values.__annotations__)
    assert len({field.name for field in FIELDS.values()}) == len(FIELDS)
    assert set(LABELS) == {"jobId", "userId", "segment", "attempt"}


def test_what_is_not_known_is_left_out_and_nothing_is_there() -> None:
    assert fields(action="gone", job_id=None, segment=0, changed=False) == {
        ATTRIBUTE: {"action": "gone", "segment": 0, "changed": False}
    }
