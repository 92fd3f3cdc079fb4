"""What a Cloud Run task writes into the log: no address that lets in, and no words of others; the job has these."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest

from events.errors import StitchFailed, Unavailable
from gpu_job import __main__ as door
from gpu_job.cloud_task import CloudReporter, CloudTask
from gpu_job.heartbeat import _goes_on

SIGNED = "https://storage.googleapis.com/o?upload_id=zqxzqxzqx"


class TransportError(Exception):
    """What a foreign library raises."""


def silent(doing: str) -> Unavailable:
    """Give what a store raises that quotes where it was written to."""
    error = Unavailable(f"{doing}: PUT {SIGNED}: zqx the title of a clip zqx")
    error.__cause__ = TransportError(f"PUT {SIGNED}: zqx the title of a clip zqx")
    error.__cause__.__cause__ = ConnectionError("zqx")
    return error


class Papers:
    """Keeps papers, or does not answer."""

    def __init__(self, answers: bool = True) -> None:
        self.kept: dict[str, bytes] = {}
        self.answers = answers

    def read(self, uri: str) -> bytes | None:
        return self.kept.get(uri)

    def write(self, uri: str, content: bytes) -> None:
        if not self.answers:
            raise silent(f"write {uri}")
        self.kept[uri] = content


def reporter(papers: Papers) -> tuple[CloudReporter, StringIO]:
    out, objects = StringIO(), papers
    folder: Any = "gs://films/jobs/job_abc123/stitch/2/plan.json"
    return CloudReporter(out, objects, folder, CloudTask("films", execution="stitch-x1")), out  # type: ignore[arg-type]


def test_a_failure_s_whole_text_is_left_for_the_job_and_the_log_has_our_own_words() -> None:
    papers = Papers()
    said, out = reporter(papers)

    said.error(silent("read the clip of segment 3"), 3)

    line = json.loads(out.getvalue())
    assert line["message"] == "read the clip of segment 3: [TransportError]"
    assert (line["severity"], line["errorCode"], line["segmentIndex"]) == ("ERROR", "unavailable", 3)
    assert "zqx" not in out.getvalue()
    [paper] = papers.kept.values()
    assert "zqx the title of a clip zqx" in json.loads(paper)["message"]


def test_a_failure_in_our_own_words_is_told_whole() -> None:
    said, out = reporter(Papers())

    said.error(StitchFailed("make the film: its frames do not add up"))

    assert json.loads(out.getvalue())["message"] == "make the film: its frames do not add up"


def test_papers_that_cannot_be_left_are_told_of_without_where_they_were_put(capfd: pytest.CaptureFixture[str]) -> None:
    said, out = reporter(Papers(answers=False))

    said.progress(10, "Encoding…")

    def beat() -> bool:
        raise silent("renew the lease")

    assert _goes_on(beat)
    written = capfd.readouterr().err
    assert "leave progress.json beside the plan: write gs://films/" in written
    assert "renew the lease: [TransportError]" in written
    assert "zqx" not in written + out.getvalue()


def test_the_trace_of_a_mistake_is_one_line_that_says_where_and_quotes_nothing(
    capfd: pytest.CaptureFixture[str],
) -> None:
    def stumble() -> None:
        raise ValueError(f"cannot use {SIGNED} zqx")

    try:
        stumble()
    except ValueError as exc:
        door._write_trace(exc)

    [line] = capfd.readouterr().err.splitlines()
    told = json.loads(line)
    assert (told["severity"], "in stumble" in told["stack_trace"]) == ("CRITICAL", True)
    assert told["stack_trace"].endswith("ValueError")
