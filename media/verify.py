"""Reads a finished film back: success is what stands in the file, not that nobody complained.

Our own reader and FFmpeg's must both see the expected film. No frame is decoded, so that it costs next to nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate
from operator import add
from pathlib import Path
from typing import TYPE_CHECKING

from events.errors import BadMedia, StitchFailed
from media.conform import milliseconds
from media.movie import Movie, expand
from media.mp4_index import read_movie
from media.probe import shown_size
from media.reader import ByteReader, FileReader
from media.splice import Splice, SplicedJoin

if TYPE_CHECKING:
    from events.clip import StitchReport

#: How far from the picture's end the sound may end: two packets of 1024 samples at 44.1 kHz.
_SOUND_END_TOLERANCE = Fraction(1, 20)

#: First frames that are looked at, spread over the film: each is a request if the film is an object in a store.
_GLANCES_MAX = 64
#: The length of a first unit.
_GLANCE_BYTES = 4


@dataclass(frozen=True, slots=True)
class ReadBack:
    """What was read back from a film; as `events.clip.StitchReport`, without what only its maker knows."""

    frame_count: int
    duration_ms: int
    width_px: int
    height_px: int
    size_bytes: int
    sound: str
    joins: list[SplicedJoin]

    def to_report(self) -> StitchReport:
        """Give it as it crosses a process."""
        # Imported only here: a splice that nobody reports on need not load what builds and checks messages.
        from events.clip import Join, StitchReport

        return StitchReport(
            frame_count=self.frame_count,
            duration_ms=self.duration_ms,
            width_px=self.width_px,
            height_px=self.height_px,
            size_bytes=self.size_bytes,
            sound=self.sound,
            joins=[Join(**join._asdict()) for join in self.joins],
        )


def read_back(
    film: Path | ByteReader,
    expected_frame_count: int,
    *,
    splice: Splice | None = None,
    name: str = "the film",
    with_ffmpeg: bool = True,
    fetch_ahead: Callable[[Sequence[tuple[int, int]]], None] | None = None,
) -> ReadBack:
    """Read a film back and compare it with what it should be.

    Args:
        film: an MP4.
        expected_frame_count: video frames.
        splice: what the film was made from, if it was spliced; then every join is checked as well.
        name: how messages call a film that is no file.
        with_ffmpeg: whether FFmpeg is asked as well; a function in the cloud may do without PyAV.
        fetch_ahead: told which spans (offset, length) of a spliced film will be read behind its index.

    Raises:
        StitchFailed: something is not as it should be; names what.
    """
    if isinstance(film, Path):
        with FileReader(film) as reader:
            return read_back(reader, expected_frame_count, splice=splice, name=str(film), with_ffmpeg=with_ffmpeg)
    try:
        movie = read_movie(film, name)
        width, height = shown_size(movie)
    except BadMedia as exc:
        raise StitchFailed(f"read back {name}: {exc.message}") from exc
    _check_picture(movie, expected_frame_count)
    _check_sound(movie)
    joins = _check_splice(movie, film, splice, fetch_ahead) if splice else []
    if with_ffmpeg:
        _check_with_av(film, movie)
    return ReadBack(
        frame_count=expected_frame_count,
        duration_ms=milliseconds(movie.picture_duration),
        width_px=width,
        height_px=height,
        size_bytes=film.size_bytes,
        sound=splice.sound if splice else "grid" if movie.sound else "none",
        joins=joins,
    )


def _refuse_unless(is_so: bool, movie: Movie, message: str) -> None:
    if not is_so:
        raise StitchFailed(f"read back {movie.name}: {message}")


def _check_picture(movie: Movie, expected_frame_count: int) -> None:
    video = movie.video
    found = video.sample_count
    _refuse_unless(found == expected_frame_count, movie, f"it has {found} frames instead of {expected_frame_count}")
    _refuse_unless(video.interval is not None, movie, "its frames do not follow each other evenly")
    assert video.interval is not None
    starts = accumulate(expand(video.durations), initial=0)
    shown = sorted(map(add, starts, expand(video.compositions))) if video.compositions else range(0)
    wanted = range(video.media_start, video.media_start + len(shown) * video.interval, video.interval)
    _refuse_unless(list(shown) == list(wanted), movie, "two frames are shown at the same time, or one too late")
    expected = Fraction(found * video.interval, video.timescale)
    late = movie.picture_duration - expected
    _refuse_unless(abs(late) * movie.timescale <= 1, movie, f"it is {milliseconds(late):+d} ms longer than its frames")


def _check_sound(movie: Movie) -> None:
    if movie.sound is None:
        return
    longer = movie.sound_end - movie.picture_duration
    message = f"its sound ends {milliseconds(longer):+d} ms after its picture"
    _refuse_unless(abs(longer) <= _SOUND_END_TOLERANCE, movie, message)


def _check_splice(
    movie: Movie,
    film: ByteReader,
    splice: Splice,
    fetch_ahead: Callable[[Sequence[tuple[int, int]]], None] | None,
) -> list[SplicedJoin]:
    """Check each join and give them as they were read back."""
    _refuse_unless(
        film.size_bytes == splice.size_bytes, movie, f"it has {film.size_bytes} of {splice.size_bytes} bytes"
    )
    _refuse_unless(bool(movie.sound) == (splice.sound != "none"), movie, "its sound is missing or was not asked for")
    skews = _skews(movie, splice)
    sync = None if movie.video.sync is None else set(movie.video.sync)
    for index, clip in enumerate(splice.clips):
        frame = clip.first_frame
        is_sync = sync is None or frame + 1 in sync
        _refuse_unless(is_sync, movie, f"decoding cannot start at frame {frame}, where clip {index + 1} starts")
    looked_at = [clip.first_frame for clip in splice.clips[:: 1 + len(splice.clips) // _GLANCES_MAX]]
    if fetch_ahead:
        fetch_ahead([(movie.video.sample_offset(frame), _GLANCE_BYTES) for frame in looked_at])
    for frame in looked_at:
        _check_first_frame(movie, film, frame)
    return [
        SplicedJoin(index, milliseconds(splice.clips[index].start), round(skews[index] * 1_000_000))
        for index in range(1, len(splice.clips))
    ]


def _check_first_frame(movie: Movie, film: ByteReader, frame: int) -> None:
    _refuse_unless(has_picture(movie, film, frame), movie, f"there is no picture where frame {frame} should be")


def has_picture(movie: Movie, film: ByteReader, frame: int) -> bool:
    """Tell whether a picture stands where the index says: H.264 and H.265 begin with the length of their first unit."""
    if movie.video.entry.kind not in ("avc1", "avc3", "hvc1", "hev1"):
        return True
    head = film.read(movie.video.sample_offset(frame), _GLANCE_BYTES)
    length = int.from_bytes(head, "big")
    return len(head) == _GLANCE_BYTES and 0 < length <= movie.video.sizes[frame] - _GLANCE_BYTES


def _skews(movie: Movie, splice: Splice) -> Sequence[Fraction]:
    """Calculate from the film's own tables how much later each clip's sound plays than in the clip itself."""
    sound, plan, video = movie.sound, splice.sound_plan, movie.video
    if sound is None or plan is None:
        return [Fraction(0)] * len(splice.clips)
    assert video.interval is not None
    _refuse_unless(sound.interval == plan.packet, movie, "its packets of sound have another length than planned")
    skews = []
    for placed, clip in zip(splice.clips, plan.clips, strict=True):
        shown = Fraction(placed.first_frame * video.interval, video.timescale)
        heard = Fraction(clip.shift * plan.packet - sound.media_start, sound.timescale)
        skew = heard - shown - clip.begin
        half = Fraction(plan.packet, 2 * sound.timescale)
        message = f"sound and picture are {milliseconds(skew):+d} ms apart at {milliseconds(shown)} ms"
        _refuse_unless(abs(skew) <= half + Fraction(1, 1000), movie, message)
        skews.append(skew)
    return skews


def _check_with_av(film: ByteReader, movie: Movie) -> None:
    """Check that FFmpeg sees the same film."""
    # Imported only here: whoever only splices need not load PyAV.
    from media.probe_av import glance

    seen = glance(film, movie.name)
    wanted = (len(movie.video_tracks) + len(movie.sound_tracks), movie.video.sample_count)
    _refuse_unless(seen[:2] == wanted, movie, f"FFmpeg sees {seen[0]} tracks and {seen[1]} frames instead of {wanted}")
    apart = abs(seen[2] - movie.picture_duration)
    assert movie.frame_interval is not None
    _refuse_unless(apart <= movie.frame_interval, movie, f"FFmpeg sees {milliseconds(seen[2])} ms")
