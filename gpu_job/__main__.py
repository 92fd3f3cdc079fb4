"""The door of the stitch program, in a container or as a child process.

    python -m gpu_job --plan PLAN.json --work DIR --objects ROOT [--ffmpeg PATH] [--stop-on-stdin-eof]

Standard output: one JSON object a line, see `gpu_job/reporter.py`. Exit codes: the table `EXITS` in
`gpu_job/exits.py`: 0 done; 64 wrong command line; 65 plan or clip unusable; 66 clip missing or changed; 69 no FFmpeg;
70 our bug; 73 disk too full; 75 try again; 143 told to stop.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

from events.errors import BadMessage, PipelineError
from events.plan import StitchPlan
from gpu_job.clips import ClipFailed
from gpu_job.exits import DONE, STOPPED, USAGE, error_of, exit_code_of
from gpu_job.ffmpeg import FFmpeg
from gpu_job.ffmpeg_choice import choose_ffmpeg
from gpu_job.objects import DiskObjects
from gpu_job.reporter import Reporter
from gpu_job.stitch import Tools, stitch

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
        return _run(options, reporter)
    except Stopped:
        return STOPPED
    except BrokenPipeError:
        # Nobody reads what we say: whoever started us is gone. Python would complain once more when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return STOPPED


def _run(options: argparse.Namespace, reporter: Reporter) -> int:
    """Stitch; every error becomes a line for programs and an exit code."""
    segment_index = None
    try:
        reporter.result(stitch(_read_plan(options.plan), _tools(options, reporter)))
    except ClipFailed as exc:
        error, segment_index = exc.error, exc.segment_index
    except PipelineError as exc:
        error = exc
    except BrokenPipeError:
        raise
    except OSError as exc:
        error = error_of(exc)
    except Exception as exc:  # noqa: BLE001 - the last door: what has no name here is our bug, and is said to be one
        traceback.print_exc()
        error = PipelineError(f"stitch: a mistake in Longreel: {type(exc).__name__}: {exc}")
    else:
        return DONE
    reporter.error(error, segment_index)
    return exit_code_of(error)


def _read_plan(path: Path) -> StitchPlan:
    try:
        return StitchPlan.from_json(path.read_bytes())
    except OSError as exc:
        raise BadMessage(f"read the plan {path}: {exc.strerror}") from exc


def _tools(options: argparse.Namespace, reporter: Reporter) -> Tools:
    return Tools(
        objects=DiskObjects(options.objects),
        reporter=reporter,
        ffmpeg=lambda: FFmpeg(choose_ffmpeg(options.ffmpeg or os.environ.get("LONGREEL_FFMPEG"))),
        work=options.work,
        stall_seconds=options.stall_seconds,
    )


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    del number, frame
    # Being told twice must not break the tidy end.
    for each in _STOP_SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    raise Stopped


def _stop_at_end_of_stdin() -> None:
    """Wait until whoever started us closes our standard input or dies, then end as on SIGTERM."""
    while sys.stdin.buffer.read(4096):
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
    parser.add_argument("--plan", type=Path, required=True, help="the StitchPlan, a JSON file")
    parser.add_argument("--work", type=Path, required=True, help="folder for temporary files")
    parser.add_argument(
        "--objects", type=Path, required=True, help="folder that holds gs://bucket/object as bucket/object"
    )
    parser.add_argument("--ffmpeg", help="FFmpeg program; else LONGREEL_FFMPEG, else the one that pip installed")
    parser.add_argument(
        "--stall-seconds", type=float, default=300, help="stop FFmpeg after so long without progress (default 300)"
    )
    parser.add_argument(
        "--stop-on-stdin-eof", action="store_true", help="stop when standard input ends: its parent is gone"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
