"""Where a film is written before it is uploaded, and the room that this takes.

On one machine the pieces that were encoded lie on the disk on which the film is made. There it is made in their folder,
and their bytes are moved into it (`media/moved_bytes.py`), so that no more than a piece lies there twice.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from events.plan import StitchPlan
from gpu_job.fades import FadeWork
from gpu_job.film import PieceFile
from gpu_job.manifest import checkpoint_folder
from gpu_job.room import are_kept_here, are_moved, disk_bytes, twice_bytes
from gpu_job.workspace import require_space
from media.clip_file import ClipFile
from media.moved_bytes import Moving, has_moves, undo_moves
from media.treatment import Target

if TYPE_CHECKING:
    from gpu_job.stitch import Tools

#: The film's name, in a work folder or among its pieces.
_FILM = "film.mp4"
#: Small pieces are moved together, up to so many bytes: each time takes some four waits for the disk.
_BATCH_BYTES = 1024 * 1024


class FilmPlace:
    """The place of one film.

    Args:
        plan: the film's.
        tools: the worker's.
        folder: for temporary files.
        is_leased: whether no other run has the same share, so that a worker with all of it is alone with the pieces.
    """

    def __init__(self, plan: StitchPlan, tools: Tools, folder: Path, *, is_leased: bool) -> None:
        self._plan = plan
        self._objects = tools.objects
        self._processes = tools.processes
        self._folder = folder
        self._pieces = checkpoint_folder(plan)
        #: Where bytes of pieces may have been moved into a film; None where they are far away.
        self._beside = tools.objects.own_file(f"{self._pieces}{_FILM}")
        self._is_moved = is_leased and tools.share.count == 1 and are_moved(plan, tools.objects)
        #: Where the film is before it is uploaded.
        self.film = self._beside if self._beside and self._is_moved else folder / _FILM

    def undo(self) -> None:
        """Give back to the pieces what was moved into a film that was not finished; safe to repeat.

        Raises:
            OSError: the disk is full or broken; nothing is lost.
        """
        if self._beside:
            undo_moves(self._beside)

    @property
    def is_begun(self) -> bool:
        """Tell whether an earlier run has begun to move bytes, or another one does now."""
        return self._beside is not None and (self._beside.exists() or has_moves(self._beside))

    def moving(self, target: Target) -> Moving | None:
        """Give how bytes of pieces are moved into the film; None where they are copied."""
        if not self._is_moved:
            return None
        own_file = cache(self._objects.own_file)

        def place_of(file: ClipFile) -> Path | None:
            return own_file(file.uri) if isinstance(file, PieceFile) else None

        # What is said beforehand is said from above; by now it is known how large pieces are.
        most = max([_BATCH_BYTES, *self._kept()])
        return Moving(self.film, min(most, twice_bytes(self._plan, target)), place_of)

    def require_room(self, target: Target, *, is_second: bool) -> None:
        """Refuse a film that does not fit beside what is there of it.

        Args:
            target: the film.
            is_second: whether what is there was made for another one, and is of no use for this.

        Raises:
            DiskFull: says how much is missing.
        """
        needed = disk_bytes(self._plan, target, self._objects, self._processes, is_moved=self._is_moved)
        what = f"stitch {len(self._plan.clips)} clips of job {self._plan.job_id}"
        self._require(needed if is_second else max(0, needed - self._kept_bytes()), what)

    def require_fade_room(self, work: FadeWork, processes: int) -> None:
        """Refuse fades that do not fit, now that it is known what they take.

        Raises:
            DiskFull: says how much is missing.
        """
        is_twice = not self._is_moved and are_kept_here(self._plan, self._objects)
        needed = work.room_bytes(processes, are_kept_here=is_twice)
        what = f"render {len(work.film.windows)} fades"
        self._require(max(0, needed - self._kept_bytes()), what)

    def _require(self, needed_bytes: int, what: str) -> None:
        require_space(self._folder, needed_bytes, what)
        if self._beside:
            there = next(folder for folder in self._beside.parents if folder.is_dir())
            if there.stat().st_dev != self._folder.stat().st_dev:
                require_space(there, needed_bytes, what)

    def _kept_bytes(self) -> int:
        """Give the bytes of the film that are there already: pieces that were kept, which move into it."""
        if not self._is_moved:
            return 0
        return sum(self._kept())

    def _kept(self) -> list[int]:
        return [info.size_bytes for info in self._objects.store.list(self._pieces) if info.uri.endswith(".mp4")]
