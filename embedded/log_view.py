"""`longreel log`: what was decided about a job and why, for people; the lines themselves for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from embedded.assembly import Pipeline
from embedded.log import OLD_LOGS, log_path
from embedded.terminal import plain, print_json, say
from pipeline.view import segment_noun


def show_log(pipeline: Pipeline, job_id: str, *, everything: bool, as_json: bool) -> None:
    """Print a job's lines, the oldest first.

    Args:
        pipeline: the home.
        job_id: the job.
        everything: events that changed nothing, too.
        as_json: the lines as they were written.

    Raises:
        UnknownJob: there is no such job.
    """
    noun = segment_noun(pipeline.services.jobs.load(job_id)).lower()
    found = False
    for line in _lines(log_path(pipeline.adapters.config.home)):
        if line.get("jobId") == job_id and (everything or line.get("changed", True)):
            found = True
            if as_json:
                print_json(line)
            else:
                say(in_words(line, noun))
    if not found and not as_json:
        say(f"The log has nothing of {job_id} any more; only the latest lines of a home are kept.")


def in_words(line: dict[str, Any], noun: str) -> str:
    """Say one line, such as `12:03:04  clip 3: generating + SegmentDone → done: the clip of attempt 1 is there`.

    Args:
        line: as it was written; a field that is missing is left out.
        noun: what people call a segment of its job.
    """
    match line.get("action"):
        case "decision":
            said = _decision(line, noun)
        case "created":
            said = f"film: asked for → {line.get('jobStateAfter')}"
        case _:
            said = str(line.get("message", ""))
    return f"{_time(line)}  {plain(said)}"


def _decision(line: dict[str, Any], noun: str) -> str:
    before, after = line.get("jobStateBefore"), line.get("jobStateAfter")
    what, moves = "film", f"{before} + {line.get('event')} → {after}"
    if "segment" in line:
        what = f"{noun} {line['segment'] + 1}"
        moves = f"{line.get('stateBefore')} + {line.get('event')} → {line.get('stateAfter')}"
        if before != after:
            moves += f", film: {before} → {after}"
    if not line.get("changed", True):
        moves = f"{moves.partition(' → ')[0]}, ignored"
    return f"{what}: {moves}: {line.get('reason', '')}"


def _time(line: dict[str, Any]) -> str:
    try:
        return datetime.fromisoformat(str(line["time"])).astimezone().strftime("%H:%M:%S")
    except (KeyError, ValueError):
        return "--:--:--"


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """Read the lines of a log and of those that it was rolled over to, the oldest first."""
    for each in [*(path.with_name(f"{path.name}.{number}") for number in range(OLD_LOGS, 0, -1)), path]:
        try:
            text = each.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            continue
        for line in text.splitlines():
            # The last line of a process that was killed may be cut off.
            if (value := _read(line)) is not None:
                yield value


def _read(line: str) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
