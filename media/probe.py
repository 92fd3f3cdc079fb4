"""What a clip is, told from its headers: a few kilobytes read, no frame decoded, nothing believed of its name."""

from __future__ import annotations

from fractions import Fraction
from itertools import accumulate
from math import ceil
from operator import add
from typing import TYPE_CHECKING

from events.errors import BadMedia
from media.conform import conform, milliseconds, obstacles, ratio
from media.container import MOV, MP4, SNIFF_BYTES, Container, sniff
from media.ffmpeg_limits import PICTURE_PX_MAX
from media.fragments import refuse_hostile_fragments
from media.movie import Movie, expand
from media.mp4_index import read_movie
from media.reader import ByteReader, WindowedReader
from media.sample_entry import SoundEntry, VideoEntry

if TYPE_CHECKING:
    from events.clip import ClipFacts

#: The widest and highest picture that is taken: 16K. More is damage or an attack on memory.
SIDE_PX_MAX = 16384
#: The longest clip that is taken, in seconds: a day. What claims more would be encoded, or paid for, until it ended.
DURATION_MAX_SECONDS = 24 * 3600
#: Codec names as FFmpeg gives them, by sample entry.
_CODEC_NAMES = {"avc1": "h264", "avc3": "h264", "hvc1": "hevc", "hev1": "hevc", "av01": "av1", "vp09": "vp9"}


def probe(reader: ByteReader, name: str) -> ClipFacts:
    """Read a clip's facts from its headers.

    Args:
        reader: the file or object; an MP4 costs two or three reads of some tens of kilobytes.
        name: how messages call it.

    Raises:
        BadMedia: it is empty, not a video (and what it is instead), truncated (and where it ends), without an index,
            a picture or a frame, encrypted, or damaged.
    """
    window = WindowedReader(reader)
    container = sniff(window.read(0, SNIFF_BYTES))
    _refuse_what_is_no_video(container, name)
    if container in (MP4, MOV):
        movie = read_movie(window, name)
        if not movie.is_fragmented:
            return movie_facts(movie)
        refuse_hostile_fragments(reader, name)
    # Imported only here: PyAV takes longer to load than an MP4 takes to probe.
    from media.probe_av import probe_with_av

    facts = probe_with_av(reader, name, container)
    _refuse_size(facts.width_px, facts.height_px, name)
    _refuse_length(Fraction(facts.duration_ms, 1000), name)
    return facts


def movie_facts(movie: Movie) -> ClipFacts:
    """Give the facts of an MP4 or MOV whose index has been read.

    Raises:
        BadMedia: the picture's size, length or configuration cannot be.
    """
    # Imported only here: whoever only splices has nothing that crosses a process, and does without its models.
    from events.clip import ClipFacts

    entry, (properties, width, height) = movie.video.entry, _checked(movie)
    sound = movie.sound.entry if movie.sound else None
    assert sound is None or isinstance(sound, SoundEntry)
    return ClipFacts(
        container=movie.container,
        size_bytes=movie.size_bytes,
        duration_ms=milliseconds(movie.picture_duration),
        frame_count=_shown_frame_count(movie),
        picture_late_us=_picture_late_us(movie),
        width_px=width,
        height_px=height,
        # Frames may come evenly to the decoder, and unevenly to the viewer.
        frame_rate=ratio(1 / movie.frame_interval) if movie.frame_interval and movie.video.is_even else None,
        video_codec=_CODEC_NAMES.get(entry.kind, entry.kind.strip()),
        audio_codec=sound.codec.lower() if sound else None,
        sample_rate_hz=sound.sample_rate_hz if sound else None,
        channel_count=sound.channel_count if sound else None,
        conform=properties,
        obstacles=obstacles(movie),
    )


def shown_size(movie: Movie) -> tuple[int, int]:
    """Give width and height in pixels as they are shown.

    Raises:
        BadMedia: the picture's size, length or configuration cannot be.
    """
    return _checked(movie)[1:]


def _checked(movie: Movie) -> tuple[dict[str, str], int, int]:
    entry = movie.video.entry
    assert isinstance(entry, VideoEntry)
    _refuse_size(entry.width_px, entry.height_px, movie.name)
    try:
        properties = conform(movie)
    except BadMedia as exc:
        raise BadMedia(f"read {movie.name}: {exc.message}") from exc
    width, height = round(entry.width_px * entry.pixel_aspect), entry.height_px
    _refuse_size(width, height, movie.name)
    _refuse_length(movie.picture_duration, movie.name)
    if properties["rotation"] in ("90", "270"):
        width, height = height, width
    return properties, width, height


def _shown_frame_count(movie: Movie) -> int:
    """Give how many frames are shown, at the clip's own rate; an edit list may hide some."""
    count, interval = movie.video.sample_count, movie.frame_interval
    if interval is None or not movie.video.is_even:
        return count
    # Players round the end of an edit to the clock of the movie: half a frame is a whole one.
    shown = ceil((movie.picture_duration - Fraction(1, movie.timescale)) / interval - Fraction(1, 2))
    return min(count, max(1, shown))


def _picture_late_us(movie: Movie) -> int | None:
    """Give how much later than its sound a picture starts as FFmpeg shows it: with the first frame that is not cut."""
    video = movie.video
    if movie.sound is None:
        return None
    late = movie.picture_start
    if late < 0:
        starts = accumulate(expand(video.durations), initial=0)
        shown = map(add, starts, expand(video.compositions)) if video.compositions else starts
        first = min((time for time in shown if time >= video.media_start), default=video.media_start)
        late = video.pause(movie.timescale) + Fraction(first - video.media_start, video.timescale)
    return round((late - movie.sound.pause(movie.timescale)) * 1_000_000) or None


def _refuse_what_is_no_video(container: Container, name: str) -> None:
    if container.name == "empty":
        raise BadMedia(f"read {name}: the file is empty")
    if container.demuxer is None:
        raise BadMedia(f"read {name}: it is not a video: by its content it is {container.title}")


def _refuse_size(width_px: int, height_px: int, name: str) -> None:
    if not (1 <= width_px <= SIDE_PX_MAX and 1 <= height_px <= SIDE_PX_MAX):
        raise BadMedia(f"read {name}: a picture of {width_px}x{height_px} pixels cannot be; 1 to {SIDE_PX_MAX} a side")
    if width_px * height_px > PICTURE_PX_MAX:
        raise BadMedia(
            f"read {name}: a picture of {width_px}x{height_px} pixels cannot be; {PICTURE_PX_MAX} are the most in all"
        )


def _refuse_length(seconds: Fraction, name: str) -> None:
    if seconds > DURATION_MAX_SECONDS:
        hours, most = int(seconds / 3600), DURATION_MAX_SECONDS // 3600
        raise BadMedia(f"read {name}: it says that it lasts {hours} hours; {most} are the most")
