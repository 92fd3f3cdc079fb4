"""`longreel log`: what was decided about a job and why; and no prompt in any line of a real home."""

from __future__ import annotations

import json
import re

import pytest

from embedded import exits
from embedded.log_view import in_words
from tests.cli.conftest import SCENE_MS, Door

CANARY = "zqx the keeper of the lighthouse zqx"


def test_every_decision_of_a_film_is_a_line_for_people_and_no_line_holds_a_prompt(door: Door) -> None:
    (door.folder / "script.txt").write_text(f"{CANARY} one\n{CANARY} two\n", encoding="utf-8")
    door.ok("make", "script.txt", "-o", "film.mp4", "--scene-ms", SCENE_MS, "--title", CANARY)
    [job] = door.jobs()

    said = door.ok("log", job["jobId"]).splitlines()
    everything = door.ok("log", job["jobId"], "--all").splitlines()
    lines = [json.loads(line) for line in door.ok("log", job["jobId"], "--json").splitlines()]

    assert said[0].endswith("  film: asked for → queued")
    assert all(re.match(r"\d\d:\d\d:\d\d  (scene [12]|film): \w+ \+ \w+ → \w+", line) for line in said[1:])
    assert said[1].endswith("film: queued + JobRequested → generating: its window opens")
    assert said[-1].endswith("→ completed: the film is there")
    assert len([line for line in said if "+ SegmentDone → done" in line]) == 2
    assert set(said) <= set(everything)
    assert len(lines) == len(said)
    assert {line["jobId"] for line in lines} == {job["jobId"]}
    assert {"stitchMs", "jobMs", "megapixelsPerS"} <= set(lines[-1])
    log = (door.home / "logs" / "longreel.log").read_text(encoding="utf-8")
    assert "zqx" not in log
    assert len(log.splitlines()) >= len(lines)
    (door.home / "logs" / "longreel.log").write_text('{"cut off', encoding="utf-8")
    nothing = f"The log has nothing of {job['jobId']} any more; only the latest lines of a home are kept.\n"
    assert door.ok("log", job["jobId"]) == nothing
    assert "job_unknown" in door.refused("log", "job_unknown", code=exits.NOT_FOUND)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            {"action": "decision", "segment": 2, "stateBefore": "done", "event": "SegmentDone", "stateAfter": "done",
             "changed": False, "reason": "its clip is there", "jobStateBefore": "generating",
             "jobStateAfter": "generating"},
            "clip 3: done + SegmentDone, ignored: its clip is there",
        ),
        (
            {"action": "decision", "event": "CancelRequested", "jobStateBefore": "generating",
             "jobStateAfter": "cancelled", "changed": True, "reason": "cancelled by the user"},
            "film: generating + CancelRequested → cancelled: cancelled by the user",
        ),
        ({"action": "gone", "message": "read it:\x1b[2J it is gone"}, "read it:� it is gone".replace("�", "\ufffd[2J")),
    ],
)  # fmt: skip
def test_a_line_in_words(line: dict[str, object], said: str) -> None:
    assert in_words(line, "clip") == f"--:--:--  {said}"
