"""Makes one film out of clips that stay where they are: a header object, then header and clips composed.

What is made on the way lies under a prefix of this attempt's own; the film gets its name only when it was checked.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor

from adapters.compose_clips import StoredClips
from adapters.compose_tree import compose_tree
from adapters.film_report import written_report
from events.clip import StitchReport
from events.errors import StitchFailed
from events.plan import StitchPlan
from media.crc32c import combined_crc32c
from media.film_tags import tags_of
from media.mp4_index import fetch_index
from media.reader import SpanReader
from media.splice import Layout, Splice, splice
from media.verify import read_back
from pipeline.object_port import ObjectInfo, ObjectStore


class FilmInTheMaking:
    """One film.

    Args:
        objects: where clips and film lie.
        plan: what it is made of.
        prefix_uri: everything made on the way is named below it.
        pool: makes requests for us.
    """

    def __init__(self, objects: ObjectStore, plan: StitchPlan, prefix_uri: str, pool: Executor) -> None:
        self._objects = objects
        self._plan = plan
        self._prefix_uri = prefix_uri
        self._pool = pool

    def make(self) -> tuple[ObjectInfo, StitchReport]:
        """Make the film, checked, and then its report and its name.

        Raises:
            StitchFailed: a clip is gone, changed or unusable, or the film is not what it should be.
            NotFound, PreconditionFailed: somebody else works at the same film.
        """
        clips = StoredClips(self._objects, self._plan, self._pool)
        sources = clips.sources
        tags = tags_of(self._plan)
        film = splice(sources, layout=Layout.WHOLE_FILES, fetch_ahead=clips.fetch_ahead, tags=tags)
        frame_count = sum(source.shown.video.sample_count for source in sources)
        staged = self._composed(film, clips)
        proven = self._prove(film, clips, staged)
        report = self._read_back(film, frame_count, staged, proven=proven)
        return self._published(staged, report), report

    def _composed(self, film: Splice, clips: StoredClips) -> ObjectInfo:
        """Put header and clips together."""
        header = self._objects.write(f"{self._prefix_uri}header", film.header + film.extra)
        sources = [header.uri, *(info.uri for info in clips.infos)]
        tree = compose_tree(sources, lambda number: f"{self._prefix_uri}part-{number}")
        for level in tree.levels:
            for _ in self._pool.map(lambda part: self._objects.compose(part.uri, part.sources), level):
                pass
        return self._objects.compose(f"{self._prefix_uri}film.mp4", tree.rest)

    def _prove(self, film: Splice, clips: StoredClips, staged: ObjectInfo) -> bool:
        """Tell whether the store's own checksums prove every byte; False where it keeps none.

        Raises:
            StitchFailed: they prove the opposite, or the length is another.
        """
        expected = _expected_crc32c(film, clips.infos)
        is_proven = expected is not None and staged.crc32c is not None
        if staged.size_bytes != film.size_bytes or (is_proven and staged.crc32c != expected):
            # Either a clip was replaced in between, which is told by its name, or the store is wrong.
            clips.refuse_changed()
            raise StitchFailed(
                f"compose the film of {self._plan.job_id}: it has {staged.size_bytes} bytes of checksum "
                f"{staged.crc32c}, not {film.size_bytes} of {expected}; it was thrown away",
                code="film_is_wrong",
                retryable=True,
            )
        return is_proven

    def _read_back(self, film: Splice, frame_count: int, staged: ObjectInfo, *, proven: bool) -> StitchReport:
        def fetch(offset: int, length: int) -> bytes:
            return self._objects.read(staged.uri, offset, length, generation=staged.generation)

        def fetch_ahead(spans: Sequence[tuple[int, int]]) -> None:
            for _ in self._pool.map(lambda span: reader.fetch(*span), spans):
                pass

        reader = SpanReader(staged.size_bytes, fetch)
        if proven:
            # These very bytes stand there, by their checksum: they need not come back.
            reader.keep(0, film.header)
        else:
            fetch_index(reader)
        return read_back(
            reader,
            frame_count,
            splice=film,
            name=f"the film of {self._plan.job_id}",
            with_ffmpeg=False,
            fetch_ahead=fetch_ahead,
        ).to_report()

    def _published(self, staged: ObjectInfo, report: StitchReport) -> ObjectInfo:
        """Give the film its name; its report comes first, since the film's arrival says that everything is there."""
        uri = self._plan.output_uri
        self._objects.write(self._plan.report_uri, written_report(self._plan, report))
        present = self._objects.stat(uri)
        if present is not None and _is_same(present, staged):
            # Somebody else made the same film of the same plan, and told of it.
            return present
        published = self._objects.compose(uri, [staged.uri], if_generation=present.generation if present else 0)
        if (published.size_bytes, published.crc32c) != (staged.size_bytes, staged.crc32c):
            self._objects.delete(uri)
            raise StitchFailed(f"write {uri}: what lies there is not what was checked", retryable=True)
        return published


def _is_same(present: ObjectInfo, staged: ObjectInfo) -> bool:
    """Tell whether two objects hold the same bytes, where the store's checksums can tell."""
    return present.crc32c is not None and (present.size_bytes, present.crc32c) == (staged.size_bytes, staged.crc32c)


def _expected_crc32c(film: Splice, clips: Sequence[ObjectInfo]) -> int | None:
    """Calculate the checksum of the film; None where the store does not keep those of the clips."""
    if any(clip.crc32c is None for clip in clips):
        return None
    import google_crc32c

    crc: int = google_crc32c.value(film.header + film.extra)
    for clip in clips:
        crc = combined_crc32c(crc, clip.crc32c or 0, clip.size_bytes)
    return crc
