"""The clips that the Vertex server makes: small and real, each with its segment's number in the picture."""

from __future__ import annotations

import re
import struct
import tempfile
import threading
from pathlib import Path

from tests.media.clips import ClipSpec, Tone, make_clip

#: Width and height by aspect ratio: a quarter of 720p, so that a film of many clips is made quickly.
SIZES = {"16:9": (320, 180), "9:16": (180, 320)}
#: Frames a second. Source: Veo and Omni make 24.
FRAMES_A_SECOND = 24

_SEGMENT = re.compile(r"/segments/(\d+)/")
_VIDEO = ("-c:v", "libx264", "-preset", "ultrafast", "-crf", "30", "-g", "24", "-pix_fmt", "yuv420p")


class ClipMaker:
    """Encodes each kind of clip once.

    Args:
        variants: different pictures and tones of one length and shape, at most 64; segment `i` gets `i % variants`,
            which `tests.media.clips.read_frames` reads back.
    """

    def __init__(self, variants: int = 8) -> None:
        self._variants = variants
        self._lock = threading.Lock()
        self._made: dict[tuple[int, int, str, tuple[int, int] | None], bytes] = {}

    def clip(
        self, prefix_uri: str, seconds: int, ratio: str, mark: str, begins_with: tuple[int, int] | None = None
    ) -> bytes:
        """Give a clip that no other has the bytes of.

        Args:
            prefix_uri: where it goes; the number of the segment is read from it.
            seconds: its length.
            ratio: its shape.
            mark: kept in a box that players skip.
            begins_with: (clip, frame) that its first frame shows; None for its own.
        """
        found = _SEGMENT.search(prefix_uri)
        number = int(found[1]) % self._variants if found else 0
        return self._encoded(number, seconds, ratio, begins_with) + _free_box(mark.encode())

    def _encoded(self, number: int, seconds: int, ratio: str, begins_with: tuple[int, int] | None) -> bytes:
        with self._lock:
            key = (number, seconds, ratio, begins_with)
            if key not in self._made:
                tone = Tone(frequency_hz=220 + 55 * number, encoder=("-c:a", "aac", "-b:a", "96k"))
                count = seconds * FRAMES_A_SECOND
                spec = ClipSpec(number, count, "24", tone, _VIDEO, size=SIZES[ratio], begins_with=begins_with)
                with tempfile.TemporaryDirectory() as folder:
                    self._made[key] = make_clip(spec, Path(folder) / "clip.mp4").read_bytes()
            return self._made[key]


def _free_box(content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), b"free") + content
