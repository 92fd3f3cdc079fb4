"""Makes the pieces of a film, several at a time: one FFmpeg for each processor, each with a thread that looks after it.

What is finished is kept at once (`gpu_job/manifest.py`), so that a stop costs no more than what is under way.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue

from events.errors import BadMedia, StitchFailed
from gpu_job.ffmpeg import STALLED, Encoded, FFmpeg
from gpu_job.manifest import Checkpoints, Manifest
from gpu_job.tasks import ClipFailed, EncodeTask
from media.treatment import Target

#: Memory for all FFmpegs together, so that the whole program stays below 1 GiB; machines of more than a few processors
#: have more of it.
_MEMORY_BYTES = 850 * 1024 * 1024
_MEMORY_BYTES_PER_PROCESSOR = 170 * 1024 * 1024
_FEW_PROCESSORS = 2
#: Memory of one FFmpeg: its own, and so many pictures of the larger of input and film (decoder, filters, encoder).
#: Measured with FFmpeg 9: 235 MiB at 1920x1080, 770 MiB at 3840x2160.
_PROGRAM_BYTES = 60 * 1024 * 1024
_PICTURES = 64
#: How long our own threads may take to end after their FFmpegs were killed.
_END_SECONDS = 2
_KILL_SECONDS = 0.05
#: How often somebody hears how far the work is.
_TELL_SECONDS = 0.25
#: Frames that a slow processor decodes in a second, where nothing else is heard of it.
_SKIPPED_PER_SECOND = 10

#: Hears a share of the work, 0 to 1, and what is at work.
OnShare = Callable[[float, str], None]


def process_count(target: Target, largest_px: int, cpu_count: int | None = None) -> int:
    """Give how many FFmpegs work at a time: one a processor, as far as the memory goes.

    Args:
        target: the film.
        largest_px: pixels of the largest clip's picture.
        cpu_count: of processors; None for those that we may use.
    """
    pixels = max(largest_px, target.picture.width_px * target.picture.height_px)
    processors = cpu_count or len(os.sched_getaffinity(0))
    memory = _MEMORY_BYTES + _MEMORY_BYTES_PER_PROCESSOR * max(0, processors - _FEW_PROCESSORS)
    return max(1, min(processors, memory // (_PROGRAM_BYTES + _PICTURES * pixels * 3 // 2)))


@dataclass(frozen=True, slots=True)
class Workshop:
    """What pieces are made with.

    `stall_seconds` is how long an FFmpeg may make no progress; `note` hears what operators may want to know.
    """

    ffmpeg: FFmpeg
    encoder: str
    checkpoints: Checkpoints
    #: Where pieces lie until they are kept.
    folder: Path
    processes: int
    stall_seconds: float
    note: Callable[[str], None]

    def make(self, tasks: Sequence[EncodeTask], on_share: OnShare) -> dict[str, Manifest]:
        """Make what is not done of these tasks, and give all of it by name.

        Raises:
            ClipFailed: a clip cannot be decoded.
            PipelineError: FFmpeg hangs twice or was killed, the disk is full, or the store does not answer.
        """
        done = self.checkpoints.find(tasks)
        todo = [task for task in tasks if task.name not in done]
        if todo:
            done |= _Run(self, todo, sum(map(_weight, tasks)), on_share).finish()
        return done


def _weight(task: EncodeTask) -> int:
    return max(1, task.frame_count)


class _Run:
    """The threads of one call."""

    def __init__(self, shop: Workshop, todo: Sequence[EncodeTask], whole: int, on_share: OnShare) -> None:
        self._shop = shop
        self._todo: SimpleQueue[EncodeTask] = SimpleQueue()
        self._ended: SimpleQueue[tuple[EncodeTask, Manifest | BaseException]] = SimpleQueue()
        self._count = len(todo)
        self._whole = whole
        self._before = whole - sum(map(_weight, todo))
        self._on_share = on_share
        self._is_stopped = False
        #: Frames of each piece so far.
        self._frames: dict[str, int] = {}
        # The longest first: what is begun last keeps one processor busy while the others have nothing left to do.
        for task in sorted(todo, key=_weight, reverse=True):
            self._todo.put(task)

    def finish(self) -> dict[str, Manifest]:
        threads = [
            threading.Thread(target=self._work, daemon=True, name=f"pieces-{number}")
            for number in range(min(self._shop.processes, self._count))
        ]
        for thread in threads:
            thread.start()
        try:
            return self._follow()
        except BaseException:
            # A signal or a failure: nothing of ours may go on.
            self._stop(threads)
            raise

    def _stop(self, threads: Sequence[threading.Thread]) -> None:
        self._is_stopped = True
        end = time.monotonic() + _END_SECONDS
        while (alive := [thread for thread in threads if thread.is_alive()]) and time.monotonic() < end:
            # Again and again: a thread may have been about to start one.
            self._shop.ffmpeg.kill()
            alive[0].join(_KILL_SECONDS)

    def _follow(self) -> dict[str, Manifest]:
        done: dict[str, Manifest] = {}
        while len(done) < self._count:
            if self._frames:
                self._tell(len(done))
            try:
                task, result = self._ended.get(timeout=_TELL_SECONDS)
            except Empty:
                continue
            if isinstance(result, BadMedia) and task.segment_index is not None:
                raise ClipFailed(task.segment_index, result) from result
            if isinstance(result, BaseException):
                raise result
            done[task.name] = result
        return done

    def _tell(self, done: int) -> None:
        frames = self._before + sum(dict(self._frames).values())
        self._on_share(frames / self._whole, f"Encoding… {done} of {self._count} parts are done")

    def _work(self) -> None:
        """Make one piece after another, until there is none left or one has failed."""
        while not self._is_stopped:
            try:
                task = self._todo.get_nowait()
            except Empty:
                return
            try:
                try:
                    made = self._made(task)
                finally:
                    task.tidy()
                self._ended.put((task, made))
            except BaseException as exc:  # noqa: BLE001 - it is raised again by whoever waits for this piece
                self._ended.put((task, exc))
                return

    def _made(self, task: EncodeTask) -> Manifest:
        shop = self._shop
        output = shop.folder / f"{task.name}.mp4"
        shop.note(f"making {task.name} of {task.label}")
        made = self._tried_twice(task, task.args(output, shop.encoder))
        if task.careful_args and made.frame_count < task.frame_count:
            shop.note(
                f"{task.name} has {made.frame_count} of {task.frame_count} frames: it is made again from the start"
            )
            made = self._tried_twice(task, task.careful_args(output, shop.encoder))
        self._frames[task.name] = _weight(task)
        frame_count = made.frame_count if task.frame_count else 0
        return shop.checkpoints.keep(task, output, frame_count, made.complaints)

    def _tried_twice(self, task: EncodeTask, args: list[str]) -> Encoded:
        """Run FFmpeg, and again if it hangs: a machine has its moments."""
        try:
            return self._encoded(task, args)
        except StitchFailed as exc:
            if exc.code != STALLED:
                raise
            self._shop.note(f"{exc.message}; it is tried once more")
        return self._encoded(task, args)

    def _encoded(self, task: EncodeTask, args: list[str]) -> Encoded:
        def on_frames(frames: int) -> None:
            self._frames[task.name] = min(frames, _weight(task))

        patience = self._shop.stall_seconds + task.skipped_frames / _SKIPPED_PER_SECOND
        return self._shop.ffmpeg.encode(args, task.label, on_frames=on_frames, stall_seconds=patience)


def frames_of(done: Mapping[str, Manifest]) -> int:
    """Give how many frames some pieces have together."""
    return sum(manifest.frame_count for manifest in done.values())
