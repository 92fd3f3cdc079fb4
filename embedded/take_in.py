"""Making the user's own files objects of the home: clips, and the music that plays under a film."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapters.local import BUCKET
from embedded.assembly import Pipeline
from embedded.deliver import Delivery
from events.errors import InvalidRequest, LimitExceeded, NotFound, PipelineError

#: Longest file name of an upload in bytes, its number aside; file systems take 255.
_NAME_BYTES_MAX = 200
#: How an object's name begins; everything else names a file.
OBJECT = "gs://"


@dataclass(frozen=True, slots=True)
class _Given:
    """A file that a user named."""

    #: What to call it in an error: `clip 3`, `music`.
    label: str
    path: Path
    #: Of the object, below the upload.
    name: str


@dataclass(frozen=True, slots=True)
class TakenIn:
    """Files that are objects now."""

    #: The user's, which names the objects now.
    request: dict[str, Any]
    #: Where they lie.
    folder: Path

    def take_out(self) -> None:
        """Let go of them; no job came to need them."""
        shutil.rmtree(self.folder, ignore_errors=True)


@contextmanager
def taken_in(
    pipeline: Pipeline, clips: Sequence[Path], request: dict[str, Any], delivery: Delivery
) -> Iterator[TakenIn]:
    """Make the user's files objects of the home, by hard links where possible.

    When the block fails, they are taken out again.

    Args:
        pipeline: the home.
        clips: become the `clips` of the request, in order; empty for a request without.
        request: its `music` may be the path of a file, or an object already.
        delivery: no file may be the output.

    Raises:
        InvalidRequest: a file is not there or cannot be read; names it and its place. Nothing was taken in.
        LimitExceeded: the disk has no room for copies.
    """
    given = [*_given_clips(clips), *_given_music(request)]
    for each in given:
        if fault := _fault(each, delivery):
            raise InvalidRequest(each.label, f"{each.path} {fault}")
    upload = f"gs://{BUCKET}/uploads/{os.urandom(6).hex()}"
    folder = pipeline.adapters.objects.path(upload)
    try:
        uris = {each.label: uri for each, uri in zip(given, _take_in(pipeline, given, upload), strict=True)}
        named: dict[str, Any] = {"clips": [uris[each.label] for each in _given_clips(clips)]} if clips else {}
        if "music" in uris:
            named["music"] = uris["music"]
        yield TakenIn({**request, **named}, folder)
    except PipelineError:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _given_clips(clips: Sequence[Path]) -> list[_Given]:
    return [
        _Given(f"clip {number}", clip, f"{number:03d}-{_object_name(clip)}") for number, clip in enumerate(clips, 1)
    ]


def _given_music(request: dict[str, Any]) -> list[_Given]:
    music = request.get("music")
    # What is neither a file nor an object is refused with the request.
    if not isinstance(music, str) or music.startswith(OBJECT):
        return []
    path = Path(music).expanduser()
    return [_Given("music", path, f"music/{_object_name(path)}")]


def _take_in(pipeline: Pipeline, given: Sequence[_Given], upload: str) -> list[str]:
    uris: dict[Path, str] = {}
    for each in given:
        if each.path in uris:
            continue
        uri = f"{upload}/{each.name}"
        try:
            pipeline.adapters.objects.take_in(each.path, uri)
        except NotFound as exc:
            raise InvalidRequest(each.label, exc.message) from exc
        except LimitExceeded as exc:
            where = "use a --home on the disk of your files"
            text = f"copy {each.path} into the home: the disk is full; free some space, or {where}"
            raise LimitExceeded(text) from exc
        uris[each.path] = uri
    return [uris[each.path] for each in given]


def _fault(given: _Given, delivery: Delivery) -> str | None:
    path = given.path
    if path.is_dir():
        return (
            "is a folder; name a file" if given.label == "music" else "is a folder; name the files in it, as with *.mp4"
        )
    if not path.exists():
        return "does not exist"
    if not path.is_file():
        return "is no file"
    if not os.access(path, os.R_OK):
        return "cannot be read; its permissions do not let you"
    if delivery.path.exists() and delivery.path.samefile(path):
        what = given.label.split()[0]
        return f"is also the output; name another file with -o, so that the {what} is not lost"
    return None


def _object_name(path: Path) -> str:
    """Give a file name that is good as an object name: printable, not too long, the suffix kept."""
    stem, suffix = ("".join(c if c.isprintable() else "_" for c in part) for part in (path.stem, path.suffix))
    room = _NAME_BYTES_MAX - len(suffix.encode())
    return (
        stem.encode()[:room].decode(errors="ignore") + suffix
        if room > 0
        else stem.encode()[:50].decode(errors="ignore")
    )
