"""The clips of a plan as local files: each is fetched when it is first needed, and once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from events.errors import BadMedia, PipelineError, PreconditionFailed
from events.plan import StitchPlan
from gpu_job.objects import Objects
from gpu_job.tasks import ClipFailed


class Inputs:
    """The local files. Safe for several threads.

    Args:
        plan: names the clips.
        objects: has them.
        folder: for those that cannot be read where they are.
    """

    def __init__(self, plan: StitchPlan, objects: Objects, folder: Path) -> None:
        self._plan = plan
        self._objects = objects
        self._folder = folder
        self._locks = [threading.Lock() for _ in plan.clips]
        self._paths: dict[int, Path] = {}

    def path(self, index: int) -> Path:
        """Give the file of the clip with this number in the plan; absolute.

        Raises:
            ClipFailed: it is missing, or is not the one that was probed.
        """
        with self._locks[index]:
            if index not in self._paths:
                self._paths[index] = self._fetched(index).absolute()
            return self._paths[index]

    def fetch(self, indexes: Sequence[int], on_share: Callable[[float, str], None]) -> None:
        """Fetch these clips, in this order.

        Raises:
            ClipFailed: one is missing, or is not the one that was probed.
        """
        for number, index in enumerate(indexes):
            on_share(number / len(indexes), "Fetching clips…")
            self.path(index)

    @contextmanager
    def blamed(self) -> Iterator[None]:
        """Turn what is wrong with one of these files, found during the block, into a failure of its clip.

        Raises:
            ClipFailed: instead of a BadMedia that names the clip's file.
        """
        try:
            yield
        except BadMedia as exc:
            for index, path in self._paths.items():
                if str(path) in exc.message:
                    clip = self._plan.clips[index]
                    label = f"clip {clip.segment_index + 1} ({clip.uri})"
                    raise ClipFailed(clip.segment_index, BadMedia(exc.message.replace(str(path), label))) from exc
            raise

    def _fetched(self, index: int) -> Path:
        clip = self._plan.clips[index]
        try:
            path = self._objects.fetch(clip.uri, clip.generation, self._folder)
            found = path.stat().st_size
            if found != clip.facts.size_bytes:
                raise PreconditionFailed(
                    f"fetch {clip.uri}: it has {found} bytes, not the {clip.facts.size_bytes} that were planned"
                )
        except PipelineError as exc:
            raise ClipFailed(clip.segment_index, exc) from exc
        return path
