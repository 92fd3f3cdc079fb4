"""Joins clips without encoding: one new index over the old bytes.

Pure over indexes that were read before: what comes out says which bytes to copy in which order, and
`media/splice_file.py` (or an object store's compose) moves them. Clips must conform, see `media/conform.py`. The only
bytes ever read here are the few packets of sound around each join that `Sound.SMART` makes anew.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction
from functools import cached_property
from typing import NamedTuple

from events.errors import StitchFailed
from media.chapters import film_head
from media.conform import can_join, conform, milliseconds, obstacles
from media.film_tags import FilmTags
from media.movie import Movie, Run
from media.mp4_build import FilmTrack, build_header, ticks
from media.reader import ByteReader
from media.sample_entry import SoundEntry
from media.splice_layout import (
    EXTRA,
    CopyRange,
    Piece,
    append_whole,
    interleave,
    lay_out,
    pieces_of,
)
from media.splice_picture import PlacedClip, join_pictures, place_clips
from media.splice_sound import (
    SEAM_AFTER,
    SEAM_BEFORE,
    SoundPlan,
    packets_for_slots,
    plan_sound,
    silent_packet,
)
from media.trim import trim, trim_end


class Sound(StrEnum):
    """How the sound is joined."""

    #: Packets are copied; a join may dip or tick for some 20 ms.
    GRID = "grid"
    #: As grid, but the four packets around each join are made anew from a short crossfade.
    SMART = "smart"


class Layout(StrEnum):
    """Where the media lies in the film."""

    #: Only what is used, in the order in which it plays.
    INTERLEAVED = "interleaved"
    #: The made packets, then each whole clip as it is: what an object store can compose.
    WHOLE_FILES = "whole_files"


@dataclass(frozen=True)
class Source:
    """One clip to be joined."""

    movie: Movie
    #: Where `Sound.SMART` reads the packets around a join; without it the joins of this clip are as in `GRID`.
    reader: ByteReader | None = None
    #: Only so much of it is shown, from its start, to the nearest clean cut; None for all of it.
    keep_ms: int | None = None
    #: Only these frames of it are shown: the first one, and how many; as `media.trim.trim` takes them.
    frames: tuple[int, int] | None = None
    #: Its sound goes on where that of the source before ends: both are the same, and both have some more of it.
    goes_on: bool = False

    @cached_property
    def shown(self) -> Movie:
        """Give what the film shows of it."""
        if self.frames is not None:
            return trim(self.movie, *self.frames)
        return self.movie if self.keep_ms is None else trim_end(self.movie, self.keep_ms)


class SplicedJoin(NamedTuple):
    """Where two clips meet; as `events.clip.Join`."""

    clip_index: int
    at_ms: int
    skew_us: int


@dataclass(frozen=True)
class Splice:
    """A film, ready to be written: `header`, then the bytes that `ranges` names."""

    header: bytes
    ranges: list[CopyRange]
    #: The bytes of source `EXTRA`: packets of sound that no clip has.
    extra: bytes
    joins: list[SplicedJoin]
    frame_count: int
    #: Seconds.
    duration: Fraction
    #: How joins of the sound were really made: `grid`, `smart`, or `none` for a film without sound.
    sound: str
    #: Of the whole film.
    size_bytes: int
    #: Where each clip stands, and how its sound was laid; for reading back.
    clips: list[PlacedClip] = field(repr=False)
    sound_plan: SoundPlan | None = field(repr=False)


#: Hears which bytes of the sources will be read, before the first of them is.
FetchAhead = Callable[[Sequence[CopyRange]], None]


def splice(
    sources: Sequence[Source],
    sound: Sound = Sound.SMART,
    *,
    layout: Layout = Layout.INTERLEAVED,
    fetch_ahead: FetchAhead | None = None,
    tags: FilmTags | None = None,
    starts: Sequence[Fraction] | None = None,
) -> Splice:
    """Join clips in this order.

    Args:
        sources: at least one; all conforming.
        sound: how sound is joined; smart sound falls back to grid where the coding is not plain AAC-LC.
        layout: where the media lies.
        fetch_ahead: told of every packet that will be read, so that they can be fetched together.
        tags: what the film says of itself, its chapters among it; nothing without them.
        starts: seconds at which the chapters' parts begin; None where every source is a part. On whole frames.

    Raises:
        StitchFailed: the clips do not conform; names the first that does not, and in what.
    """
    # Whole clips must conform: what is left of a trimmed one may need less of a decoder than its header promises.
    refuse_what_does_not_conform([source.movie for source in sources])
    movies = [source.shown for source in sources]
    placed = place_clips(movies)
    readers = [source.reader for source in sources]
    plan = plan_sound(movies, placed, [source.goes_on for source in sources]) if movies[0].sound else None
    film = _FilmInTheMaking(movies, readers, placed, plan)
    if film.plan and sound is Sound.SMART:
        film.make_seams(fetch_ahead)
    return film.finish(layout, tags, starts)


def refuse_what_does_not_conform(movies: Sequence[Movie]) -> None:
    """Raise StitchFailed for the first clip that cannot be joined to the one before it all: the first."""
    if not movies:
        raise StitchFailed("join clips: there is none")
    expected = conform(movies[0])
    for number, movie in enumerate(movies, start=1):
        reasons = obstacles(movie) + can_join(expected, conform(movie))
        if reasons:
            raise StitchFailed(f"join clip {number} ({movie.name}): {'; '.join(reasons)}")


class _FilmInTheMaking:
    """Gathers the tracks, the made packets and the pieces."""

    def __init__(
        self,
        movies: list[Movie],
        readers: list[ByteReader | None],
        placed: list[PlacedClip],
        plan: SoundPlan | None,
    ) -> None:
        self.movies = movies
        self.readers = readers
        self.placed = placed
        self.plan = plan
        self.extra = bytearray()
        self.sound_sizes = array("I")
        #: Made packets of each join that was made anew, by the clip that it starts.
        self.seams: dict[int, list[bytes]] = {}

    def make_seams(self, fetch_ahead: FetchAhead | None) -> None:
        """Make the packets around each join anew, where that is possible."""
        # Imported only here: it loads PyAV, which takes longer than the whole of the rest.
        from media.seam import make_seams

        assert self.plan is not None
        self.seams = make_seams(self.movies, self.readers, self.placed, self.plan, fetch_ahead)

    def finish(self, layout: Layout, tags: FilmTags | None, starts: Sequence[Fraction] | None) -> Splice:
        """Lay everything out and write the index."""
        # Clip by clip: all pieces of a long film at a time would take more memory than anything else.
        pieces = (piece for i in range(len(self.movies)) for piece in self._pieces_of_clip(i))
        if layout is Layout.WHOLE_FILES:
            where = append_whole(pieces, [movie.size_bytes for movie in self.movies], self.extra)
        else:
            where = lay_out(pieces)
        picture = join_pictures(self.movies)
        picture.chunks = where.picture_chunks
        tracks = [picture]
        if self.plan:
            tracks.append(self._sound_track(self.plan))
            tracks[1].chunks = where.sound_chunks
        duration = self.placed[-1].end
        starts = [clip.start for clip in self.placed] if starts is None else starts
        head = film_head(tags, starts, duration, picture.timescale) if tags else None
        header = build_header(tracks, picture.timescale, ticks(duration, picture.timescale), where.payload_bytes, head)
        return Splice(
            header=header,
            ranges=where.ranges,
            extra=bytes(self.extra),
            joins=self._joins(),
            frame_count=len(picture.sizes),
            duration=duration,
            sound=(Sound.SMART if self.seams else Sound.GRID) if self.plan else "none",
            size_bytes=len(header) + where.payload_bytes,
            clips=self.placed,
            sound_plan=self.plan,
        )

    def _joins(self) -> list[SplicedJoin]:
        skews = [clip.skew for clip in self.plan.clips] if self.plan else [Fraction(0)] * len(self.placed)
        return [
            SplicedJoin(i, milliseconds(self.placed[i].start), round(skews[i] * 1_000_000))
            for i in range(1, len(self.placed))
        ]

    def _sound_track(self, plan: SoundPlan) -> FilmTrack:
        first = self.movies[0].sound
        assert first is not None
        assert isinstance(first.entry, SoundEntry)
        assert len(self.sound_sizes) == plan.slot_count
        return FilmTrack(
            is_sound=True,
            timescale=plan.timescale,
            entry=first.entry.to_bytes(),
            durations=[Run(plan.slot_count, plan.packet)],
            compositions=[],
            sync=None,
            sizes=self.sound_sizes,
            chunks=[],
            media_start=plan.media_start,
        )

    def _pieces_of_clip(self, index: int) -> list[Piece]:
        video = self.movies[index].video
        picture = pieces_of(video, index, range(video.sample_count), is_sound=False)
        if self.plan is None:
            return picture
        clip, track = self.plan.clips[index], self.movies[index].sound
        assert track is not None
        seam = self.seams.get(index + 1, [])
        first_slot = clip.first_slot + (SEAM_AFTER if index in self.seams else 0)
        end_slot = clip.end_slot - (SEAM_BEFORE if seam else 0)
        before, packets, behind = packets_for_slots(clip, first_slot, end_slot)
        head = self._hold(index, before, 0)
        self.sound_sizes.extend(track.sizes[packets.start : packets.stop])
        copied = interleave(picture, pieces_of(track, index, packets, is_sound=True), [video, track])
        tail = self._hold(index, behind, clip.packet_count - 1)
        return [*head, *copied, *tail, *self._made(seam)]

    def _hold(self, index: int, count: int, nearest: int) -> list[Piece]:
        """Fill slots for which a clip has no packet: by silence, or by its nearest packet where none is known."""
        silence = silent_packet(self.movies[index])
        if silence is not None:
            return self._made([silence] * count)
        track = self.movies[index].sound
        assert track is not None
        self.sound_sizes.extend([track.sizes[nearest]] * count)
        return pieces_of(track, index, range(nearest, nearest + 1), is_sound=True) * count

    def _made(self, packets: list[bytes]) -> list[Piece]:
        if not packets:
            return []
        self.sound_sizes.extend(map(len, packets))
        made = b"".join(packets)
        piece = Piece(True, EXTRA, len(self.extra), len(made), len(packets), 0, 0)
        self.extra += made
        return [piece]
