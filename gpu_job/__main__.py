"""The door of the stitch program, in a container or as a child process.

    python -m gpu_job --plan PLAN.json --work DIR --objects ROOT [--ffmpeg PATH] [--stop-on-stdin-eof]
    python -m gpu_job --plan gs://BUCKET/PLAN.json --work DIR --objects gs://

The second form works on Cloud Storage and leaves its papers beside the plan, see `gpu_job/cloud_task.py`.
Standard output: one JSON object a line, see `gpu_job/reporter.py`. Exit codes: the table `EXITS` in
`gpu_job/exits.py`: 0 done; 64 wrong command line; 65 plan or clip unusable; 66 clip missing or changed; 69 no FFmpeg;
70 our bug; 73 more than is allowed; 74 disk full; 75 try again; 77 a role is missing; 143 told to stop.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

from events.errors import BadMessage, PipelineError
from events.log_lines import redacted
from events.own_words import trace_of
from events.plan import StitchPlan
from gpu_job.chunks import Share
from gpu_job.exits import BAD_INPUT, DONE, STOPPED, USAGE, error_of, exit_code_of
from gpu_job.ffmpeg import FFmpeg
from gpu_job.ffmpeg_choice import choose_ffmpeg
from gpu_job.leases import Holder
from gpu_job.objects import DiskObjects, Objects
from gpu_job.reporter import Reporter
from gpu_job.stitch import Tools, stitch
from gpu_job.tasks import ClipFailed

if TYPE_CHECKING:
    from gpu_job.cloud_objects import CloudObjects
    from gpu_job.cloud_task import CloudReporter

#: What `--objects` is on Cloud Storage, and what every address there begins with.
CLOUD = "gs://"

#: How long the tidy end may take after the parent is gone before the process ends untidily.
_TIDY_SECONDS = 5


_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Stopped(BaseException):
    """A signal came; like KeyboardInterrupt no error, so that nothing but the door catches it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one stitch and give the exit code."""
    options = _parser().parse_args(arguments)
    for number in _STOP_SIGNALS:
        signal.signal(number, _stop)
    reporter = Reporter(sys.stdout)
    try:
        if options.stop_on_stdin_eof:
            threading.Thread(target=_stop_at_end_of_stdin, daemon=True).start()
        with ExitStack() as ending:
            ending.callback(reporter.end)
            return _run(options, reporter, ending)
    except Stopped:
        return STOPPED
    except BrokenPipeError:
        # Nobody reads what we say: whoever started us is gone. Python would complain once more when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return STOPPED


def _run(options: argparse.Namespace, reporter: Reporter, ending: ExitStack) -> int:
    """Stitch; every error becomes a line for programs and an exit code. `ending` is closed when all is said."""
    segment_index = None
    try:
        objects: Objects
        worker = _Worker()
        if options.objects == CLOUD:
            objects, reporter, worker, nothing_to_do = _on_cloud(options.plan)
            ending.callback(reporter.end)
            if nothing_to_do is not None:
                return nothing_to_do
        else:
            objects = DiskObjects(Path(options.objects))
        report = stitch(_read_plan(options.plan, objects), _tools(options, objects, reporter, worker))
        if report:
            reporter.result(report)
    except ClipFailed as exc:
        error, segment_index = exc.error, exc.segment_index
    except PipelineError as exc:
        error = exc
    except BrokenPipeError:
        raise
    except (OSError, MemoryError) as exc:
        error = error_of(exc, options.work)
    except Exception as exc:  # noqa: BLE001 - the last door: what has no name here is our bug, and is said to be one
        _write_trace(exc)
        error = PipelineError(f"stitch: a mistake in Longreel: {type(exc).__name__}: {exc}")
        error.__cause__ = exc
    else:
        return DONE
    reporter.error(error, segment_index)
    return exit_code_of(error)


def _write_trace(exc: Exception) -> None:
    # One line, which Cloud Logging reads as one entry.
    told = {"severity": "CRITICAL", "message": "a mistake in Longreel", "stack_trace": redacted(trace_of(exc))}
    sys.stderr.write(json.dumps(told) + "\n")


@dataclass(frozen=True, slots=True)
class _Worker:
    """Who we are among the workers on a plan."""

    share: Share = field(default_factory=Share)
    holder: Holder = field(default_factory=Holder)


def _on_cloud(plan_uri: str) -> tuple[CloudObjects, CloudReporter, _Worker, int | None]:
    """Open Cloud Storage; the number is the exit code where there is nothing to do."""
    # Imported only here: the embedded mode starts without it, and is installed without Google's libraries.
    from gpu_job.cloud_task import open_cloud

    objects, reporter, task = open_cloud(plan_uri, os.environ, sys.stdout)
    # Cloud Run begins another try of a task only when the one before has ended.
    holder = Holder(f"{task.execution}/{task.index}" if task.execution else "", task.attempt)
    worker = _Worker(Share(task.index, task.count), holder)
    if task.index >= task.count:
        reporter.note(f"task {task.index} has nothing to do: there are {task.count} of them, counted from 0")
        return objects, reporter, worker, DONE
    if (failure := reporter.final_failure()) is not None:
        # Its words may be others' as well; the paper and the job have them.
        reporter.note(f"an earlier try has failed for good ({failure.get('code')}); its own log says more")
        return objects, reporter, worker, BAD_INPUT
    return objects, reporter, worker, None


def _read_plan(place: str, objects: Objects) -> StitchPlan:
    if place.startswith(CLOUD):
        paper = objects.read(place)
        if paper is None:
            raise BadMessage(f"read the plan {place}: there is no such object")
        return StitchPlan.from_json(paper)
    try:
        return StitchPlan.from_json(Path(place).read_bytes())
    except OSError as exc:
        raise BadMessage(f"read the plan {place}: {exc.strerror}") from exc


def _tools(options: argparse.Namespace, objects: Objects, reporter: Reporter, worker: _Worker) -> Tools:
    return Tools(
        objects=objects,
        reporter=reporter,
        ffmpeg=lambda: FFmpeg(choose_ffmpeg(options.ffmpeg or os.environ.get("LONGREEL_FFMPEG"))),
        work=options.work,
        stall_seconds=options.stall_seconds,
        expects_card=options.expect_gpu,
        share=worker.share,
        holder=worker.holder,
        lease_seconds=options.lease_seconds,
        processes=options.processes,
    )


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    del number, frame
    # Being told twice must not break the tidy end.
    for each in _STOP_SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    raise Stopped


def _stop_at_end_of_stdin() -> None:
    """Wait until whoever started us closes our standard input or dies, then end as on SIGTERM."""
    # Not by `sys.stdin`: its lock, held here for as long as we wait, would make Python abort at the very end.
    while os.read(sys.stdin.fileno(), 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    # A copy inside the kernel or a library may hear of no signal for long. FFmpeg is tethered to us and dies with us.
    threading.Event().wait(_TIDY_SECONDS)
    os._exit(STOPPED)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(USAGE, f"{self.prog}: {message}\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m gpu_job", description="Make one film of the clips that a stitch plan names.")
    parser.add_argument("--plan", required=True, help="the StitchPlan, a JSON file or gs://bucket/object")
    parser.add_argument("--work", type=Path, required=True, help="folder for temporary files")
    parser.add_argument(
        "--objects", required=True, help="folder that holds gs://bucket/object as bucket/object, or gs:// itself"
    )
    parser.add_argument("--ffmpeg", help="FFmpeg program; else LONGREEL_FFMPEG, else the one that pip installed")
    parser.add_argument(
        "--stall-seconds", type=float, default=300, help="stop FFmpeg after so long without progress (default 300)"
    )
    parser.add_argument(
        "--lease-seconds", type=float, default=30, help="take another worker for dead after so long (default 30)"
    )
    parser.add_argument(
        "--processes", type=int, help="how many FFmpegs work at a time (default: one a processor, as memory allows)"
    )
    parser.add_argument("--expect-gpu", action="store_true", help="warn in the report where the card could not be used")
    parser.add_argument(
        "--stop-on-stdin-eof", action="store_true", help="stop when standard input ends: its parent is gone"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
