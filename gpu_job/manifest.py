"""Checkpoints: what of a film is encoded already, in the object store, so that it outlives machine and attempt.

    checkpoints/{job}/{digest of the film}/
        clip-3-chunk-00002-5f1c….mp4     a finished piece
        clip-3-chunk-00002-5f1c….json    its manifest: uri, generation, size, crc32c, frames, what determined it
        run-0-of-1-00.json               a worker began; how much it found done

Each piece has a manifest of its own, so that no object is written by many. A piece counts as done only if its manifest
is there and the piece is what the manifest says: generation, size and checksum. All of it goes once the film is there
or its job was cancelled; that of a job which failed stays for a week, in case it is resumed (decision 0018).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import google_crc32c

from events.errors import NotFound, PipelineError, PreconditionFailed
from events.names import JOB_ID, checkpoints_prefix, parse_uri
from events.plan import StitchPlan
from gpu_job.chunks import Share
from gpu_job.objects import Objects
from gpu_job.tasks import EncodeTask, digest_of
from pipeline.object_port import ObjectInfo, ObjectStore

#: What of a plan does not change what is encoded for it.
_NO_MATTER = {"schema_version", "attempt", "title", "deadline_at", "engine", "larger", "output_uri", "report_uri"}
#: Letters of a digest in a name: two different pieces of one film never share as many.
_SHORT = 16
#: Manifests that are read at the same time.
_READERS = 8
#: Bytes of a piece that are in memory while its checksum is made.
_STEP_BYTES = 1 << 20


def checkpoint_folder(plan: StitchPlan) -> str:
    """Give the address of a film's checkpoints, with a slash at the end; the same for every attempt at it."""
    text = plan.model_dump_json(by_alias=True, exclude=_NO_MATTER)
    # A job id may come from a plan that somebody typed: it may be no name.
    job_id = plan.job_id
    if not JOB_ID.fullmatch(job_id):
        job_id = f"job_{hashlib.sha256(job_id.encode()).hexdigest()[:_SHORT]}"
    digest = hashlib.sha256(text.encode()).hexdigest()[:_SHORT]
    return f"gs://{parse_uri(plan.report_uri).bucket}/{checkpoints_prefix(job_id)}{digest}/"


@dataclass(frozen=True, slots=True)
class Manifest:
    """One finished piece."""

    #: `gs://bucket/object`, and which version of it.
    uri: str
    generation: int
    size_bytes: int
    crc32c: int
    frame_count: int
    #: Of everything that determines its bytes.
    digest: str
    #: What FFmpeg complained about although it went on.
    complaints: tuple[str, ...] = ()

    def to_json(self) -> bytes:
        """Give the JSON text."""
        return json.dumps(asdict(self), ensure_ascii=False).encode()

    @classmethod
    def from_json(cls, content: bytes) -> Manifest | None:
        """Read a manifest; None where it is none of ours."""
        try:
            said = json.loads(content)
            found = cls(**{**said, "complaints": tuple(said["complaints"])})
        except (ValueError, TypeError, KeyError):
            return None
        numbers = (found.generation, found.size_bytes, found.crc32c, found.frame_count)
        texts = (found.uri, found.digest, *found.complaints)
        is_sound = all(type(number) is int for number in numbers) and all(isinstance(text, str) for text in texts)
        return found if is_sound else None


class Checkpoints:
    """The finished pieces of one film.

    Args:
        objects: where they are kept.
        folder: what `checkpoint_folder` gives.
        tool: what makes them, as `libx264 7.1`: other programs make other bytes.
    """

    def __init__(self, objects: Objects, folder: str, tool: str) -> None:
        self._objects = objects
        self._folder = folder
        self._tool = tool
        #: By digest; what was read or made by us is not looked at again.
        self._known: dict[str, Manifest] = {}

    @property
    def _store(self) -> ObjectStore:
        return self._objects.store

    def find(self, tasks: Sequence[EncodeTask]) -> dict[str, Manifest]:
        """Give what is done of these tasks, by name; what is there and cannot be trusted is thrown away."""
        listed = {info.uri: info for info in self._store.list(self._folder)}
        unknown = [task for task in tasks if self._digest(task) not in self._known]
        written = [task for task in unknown if self._uri(task, "json") in listed]
        with ThreadPoolExecutor(_READERS) as pool:
            for task, manifest in zip(
                written, pool.map(lambda each: self._trusted(each, listed), written), strict=True
            ):
                if manifest is None:
                    self._throw_away(task)
                else:
                    self._known[manifest.digest] = manifest
        return {task.name: self._known[key] for task in tasks if (key := self._digest(task)) in self._known}

    def keep(self, task: EncodeTask, path: Path, frame_count: int, complaints: tuple[str, ...]) -> Manifest:
        """Keep a finished piece; the file may be gone afterwards.

        Raises:
            LimitExceeded: there is no room for it.
            Unavailable: the store did not answer.
        """
        crc = _file_crc32c(path) if self._objects.copy_bytes(self._folder, 1) == 0 else None
        info = self._objects.keep(path, self._uri(task, "mp4"))
        checksum = info.crc32c if info.crc32c is not None else crc
        assert checksum is not None, "a store that copies what it is given keeps checksums"
        digest = self._digest(task)
        made = Manifest(info.uri, info.generation, info.size_bytes, checksum, frame_count, digest, complaints)
        with suppress(PreconditionFailed):
            # Where somebody made the same piece meanwhile, theirs names another version of it, and ours is used by us.
            self._store.write(self._uri(task, "json"), made.to_json(), 0)
        self._known[digest] = made
        return made

    def note_run(self, share: Share, found_frames: int) -> None:
        """Write down that a worker begins, and how many frames of its share it found done."""
        paper = json.dumps({"worker": _worker(share), "foundFrames": found_frames}).encode()
        for number in range(len(self._runs()), 10_000):
            with suppress(PreconditionFailed):
                self._store.write(f"{self._folder}run-{_worker(share)}-{number:04}.json", paper, 0)
                return

    def resumed(self) -> tuple[int, int]:
        """Give how many times workers took their work up again, and how many frames they found the last time."""
        last: dict[str, int] = {}
        runs = [json.loads(self._store.read(info.uri)) for info in self._runs()]
        for run in runs:
            last[run["worker"]] = run["foundFrames"]
        return len(runs) - len(last), sum(last.values())

    def remembered(self, name: str) -> dict[str, Any]:
        """Give what was remembered under a name; nothing where nothing was, or nothing of use."""
        try:
            said = json.loads(self._store.read(f"{self._folder}{name}.json"))
        except (NotFound, ValueError):
            return {}
        return said if isinstance(said, dict) else {}

    def remember(self, name: str, said: Mapping[str, Any]) -> None:
        """Remember a small thing that took long to find out."""
        self._store.write(f"{self._folder}{name}.json", json.dumps(said).encode())

    def lease_uri(self, name: str) -> str:
        """Give the address of a lease of this film."""
        return f"{self._folder}{name}.lease"

    def _runs(self) -> list[ObjectInfo]:
        return self._store.list(f"{self._folder}run-")

    def _uri(self, task: EncodeTask, suffix: str) -> str:
        return f"{self._folder}{task.name}-{self._digest(task)[:_SHORT]}.{suffix}"

    def _digest(self, task: EncodeTask) -> str:
        return digest_of(task.digest, self._tool)

    def _trusted(self, task: EncodeTask, listed: Mapping[str, ObjectInfo]) -> Manifest | None:
        try:
            manifest = Manifest.from_json(self._store.read(self._uri(task, "json")))
        except NotFound:
            return None
        uri = self._uri(task, "mp4")
        info = listed.get(uri)
        if manifest is None or info is None or (manifest.uri, manifest.digest) != (uri, self._digest(task)):
            return None
        if (manifest.generation, manifest.size_bytes) != (info.generation, info.size_bytes):
            return None
        checksum = info.crc32c if info.crc32c is not None else self._crc32c(info)
        return manifest if checksum == manifest.crc32c else None

    def _crc32c(self, info: ObjectInfo) -> int:
        checksum = 0
        for offset in range(0, info.size_bytes, _STEP_BYTES):
            data = self._store.read(info.uri, offset, _STEP_BYTES, info.generation)
            checksum = google_crc32c.extend(checksum, data)
        return checksum

    def _throw_away(self, task: EncodeTask) -> None:
        for suffix in ("json", "mp4"):
            self._store.delete(self._uri(task, suffix))


def forget(store: ObjectStore, folder: str) -> None:
    """Delete the checkpoints of a job whose film is there, as well as can be: what is left costs a little room.

    Those of earlier plans go as well: a plan is made anew where a clip is left out or comes again.
    """
    with suppress(PipelineError):
        _delete(store, (info.uri for info in store.list(folder.rstrip("/").rpartition("/")[0] + "/")))


def _delete(store: ObjectStore, uris: Iterable[str]) -> None:
    with ThreadPoolExecutor(_READERS) as pool:
        list(pool.map(store.delete, uris))


def _worker(share: Share) -> str:
    return f"{share.index}-of-{share.count}"


def _file_crc32c(path: Path) -> int:
    checksum = 0
    with path.open("rb") as file:
        while data := file.read(_STEP_BYTES):
            checksum = google_crc32c.extend(checksum, data)
    return checksum
