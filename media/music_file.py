"""Whether a file can be music under a film, told by its headers."""

from __future__ import annotations

from typing import Final

from events.errors import BadMedia
from media.container import SNIFF_BYTES, UNKNOWN, sniff
from media.reader import ByteReader

#: Files of these kinds are read as music, by the names of FFmpeg's demuxers; a stranger's file of any other kind, such
#: as a list of addresses, is not opened.
MUSIC_KINDS: Final = ("mp3", "wav", "flac", "ogg", "aac", "aiff", "mp4", "matroska", "webm")
#: A whole album as WAV; whoever makes the film must find room for it beside the clips.
MUSIC_SIZE_BYTES_MAX: Final = 1024 * 1024 * 1024
#: A loop that is shorter is a tone.
_SHORTEST_MS = 100
#: How much of it may be read to find its headers, and the CPU seconds that it may take.
_BYTES_MAX, _SECONDS_MAX = 64 * 1024 * 1024, 5.0


def music_fault(reader: ByteReader) -> str | None:
    """Say why a file cannot be music, as the rest of a sentence; None where its headers are good.

    What is behind the headers is heard only when the film is made.
    """
    if reader.size_bytes == 0:
        return "is empty"
    if reader.size_bytes > MUSIC_SIZE_BYTES_MAX:
        return f"has {reader.size_bytes:,} bytes, more than {MUSIC_SIZE_BYTES_MAX:,}"
    # Imported only here: it loads PyAV.
    from media.probe_av import glance_at_sound

    try:
        found = glance_at_sound(reader, MUSIC_KINDS, _BYTES_MAX, _SECONDS_MAX)
    except BadMedia as exc:
        kind = sniff(reader.read(0, SNIFF_BYTES))
        what = kind.title if kind is not UNKNOWN else "no sound file"
        return f"is {what} ({exc.message}); music is one of {', '.join(MUSIC_KINDS)}"
    if found is None:
        return "has no sound in it"
    rate_hz, length_ms = found
    if rate_hz <= 0:
        return "has sound in a coding that is not known"
    if length_ms is not None and length_ms < _SHORTEST_MS:
        return f"lasts {max(0, length_ms)} ms, and a loop of less than {_SHORTEST_MS} ms is no music"
    return None
