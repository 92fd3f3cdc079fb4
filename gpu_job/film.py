"""The film's parts: clips as they lie there, and clips put together of pieces that are fetched only to be copied."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from events.errors import BadMedia, NotFound, PreconditionFailed, StitchFailed, Unavailable
from gpu_job.clips import FilmTasks
from gpu_job.manifest import Manifest
from gpu_job.objects import Objects
from media.clip_file import AssembledClip, ClipFile, DiskClip
from media.mp4_index import fetch_index, read_movie
from media.reader import FileReader, SpanReader
from media.write import FilmPart

#: Pieces that are on the disk at a time: a film goes to and fro between a chunk and the sound of its clip.
_HELD = 2


class Shelf:
    """Kept pieces as local files, few at a time.

    Args:
        objects: have them.
        folder: for those that cannot be read where they are.
    """

    def __init__(self, objects: Objects, folder: Path) -> None:
        self.objects = objects
        self._folder = folder
        self._held: OrderedDict[str, Path] = OrderedDict()

    def path(self, piece: Manifest) -> Path:
        """Give a piece's file; the one that was not used for longest makes room for it."""
        if piece.uri not in self._held:
            with present(piece):
                self._held[piece.uri] = self.objects.fetch(piece.uri, piece.generation, self._folder)
            if len(self._held) > _HELD:
                _, oldest = self._held.popitem(last=False)
                if oldest.is_relative_to(self._folder):
                    oldest.unlink()
        self._held.move_to_end(piece.uri)
        return self._held[piece.uri]


class PieceFile(ClipFile):
    """A kept piece: its index is read where it is kept, its media only when it is copied.

    Raises:
        StitchFailed: it is no MP4.
    """

    def __init__(self, piece: Manifest, shelf: Shelf) -> None:
        self.path = Path(piece.uri)
        self.uri = piece.uri
        self.size_bytes = piece.size_bytes
        self._piece = piece
        self._shelf = shelf
        reader = SpanReader(piece.size_bytes, self.read)
        try:
            fetch_index(reader)
            self.movie = read_movie(reader, piece.uri)
        except BadMedia as exc:
            raise StitchFailed(f"read what FFmpeg has made: {exc.message}") from exc

    def open(self) -> FileReader:
        """Open a local copy."""
        return FileReader(self._shelf.path(self._piece))

    def read(self, offset: int, length: int) -> bytes:
        """Give `length` bytes from `offset`; fewer only at the end."""
        with present(self._piece):
            return self._shelf.objects.store.read(self._piece.uri, offset, length, self._piece.generation)


@contextmanager
def present(piece: Manifest) -> Iterator[None]:
    """Say of a kept piece that is gone that another run can make it again."""
    try:
        yield
    except (NotFound, PreconditionFailed) as exc:
        raise Unavailable(f"join {piece.uri}: somebody has deleted it meanwhile; run it again") from exc


def parts_of(tasks: FilmTasks, done: Mapping[str, Manifest], shelf: Shelf) -> list[FilmPart]:
    """Give the film's parts in order.

    Args:
        tasks: of the whole film.
        done: what was made for them; also the sound of clips that turned out shorter.
        shelf: for what was made.
    """
    own: dict[Path, ClipFile] = {}
    parts = []
    for index, planned in enumerate(tasks.plan.clips):
        clip = _clip(tasks, index, done, shelf, own)
        # An encoded picture was made no longer than it is shown; one that is copied is cut when it is joined.
        is_encoded = index in tasks.clips and tasks.clips[index].pictures
        parts.append(FilmPart(clip, None if is_encoded else planned.keep_ms))
    return parts


def _clip(
    tasks: FilmTasks, index: int, done: Mapping[str, Manifest], shelf: Shelf, own: dict[Path, ClipFile]
) -> DiskClip:
    made = tasks.clips.get(index)
    if made and made.pictures:
        pieces = [done[task.name] for task in made.pictures]
        pictures: list[ClipFile] = [PieceFile(piece, shelf) for piece in pieces if piece.frame_count]
    else:
        path = tasks.inputs.path(index)
        # A clip may stand in the film many times.
        source = own.get(path) or own.setdefault(path, ClipFile(path))
        if made is None:
            return source
        pictures = [source]
    sound = made.sound and (tasks.missing_sound(index, done) or made.sound)
    return AssembledClip(pictures, PieceFile(done[sound.name], shelf) if sound else None)
