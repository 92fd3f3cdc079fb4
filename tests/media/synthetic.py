"""Made-up MP4s: the index is real, the media is bytes of which each sample is told from every other."""

from __future__ import annotations

import struct
from array import array
from dataclasses import dataclass, field
from fractions import Fraction

from hypothesis import strategies as st

from media.boxes import box, full_box
from media.movie import Movie, Run, append_run
from media.mp4_build import Chunk, FilmTrack, build_header
from media.mp4_index import read_movie
from media.reader import BytesReader
from media.sample_entry import read_sound_entry

#: A configuration with one sequence and one picture parameter set, both of id 0.
AVCC = bytes.fromhex("0164000cffe1001a6764000cacd941419f9f011000000300100000030300f142996001000468ef8fcbfdf8f800")
STEREO_48K = bytes.fromhex("1190")


def video_entry(width: int = 160, height: int = 96, *inner: bytes) -> bytes:
    head = struct.pack(">6xH16xHHII4xH32xHh", 1, width, height, 0x480000, 0x480000, 1, 0x18, -1)
    return box(b"avc1", head, box(b"avcC", AVCC), *inner)


def sound_entry(config: bytes = STEREO_48K, rate_hz: int = 48000, channels: int = 2) -> bytes:
    specific = bytes([5, len(config)]) + config
    decoder = bytes([4, 13 + len(specific), 0x40, 0x15]) + bytes(11) + specific
    stream = bytes([3, 3 + len(decoder) + 3]) + bytes(3) + decoder + b"\x06\x01\x02"
    head = struct.pack(">6xH8xHH4xI", 1, channels, 16, rate_hz << 16)
    raw = box(b"mp4a", head, full_box(b"esds", 0, 0, stream))
    assert read_sound_entry(raw).config == config
    return raw


@dataclass
class FakeClip:
    """What a made-up clip consists of."""

    #: One entry a frame, in decoding order: bytes of the frame.
    frame_sizes: list[int]
    timescale: int = 12288
    interval: int = 512
    #: Frames from decoding to showing, one entry a frame, or empty.
    reorder: list[int] = field(default_factory=list)
    #: 0-based numbers of sync samples, the first among them; None when all are.
    sync: list[int] | None = None
    packet_sizes: list[int] | None = None
    priming: int = 1024
    #: Samples in each chunk, in turn.
    chunking: tuple[int, ...] = (1,)
    number: int = 0

    def to_bytes(self) -> bytes:
        """Write the file."""
        payload = bytearray()
        tracks = [self._picture()]
        if self.packet_sizes is not None:
            tracks.append(self._sound())
        for which, track in enumerate(tracks):
            track.chunks = self._fill(payload, which, track.sizes)
        duration = len(self.frame_sizes) * self.interval
        return build_header(tracks, self.timescale, duration, len(payload)) + bytes(payload)

    def movie(self) -> tuple[Movie, BytesReader]:
        """Write the file and read its index."""
        reader = BytesReader(self.to_bytes())
        return read_movie(reader, f"clip {self.number}"), reader

    def sample(self, which: int, index: int, size: int) -> bytes:
        """Give the bytes of a sample; they start with the length that H.264 wants there."""
        name = f"{self.number}.{which}.{index};".encode()
        body = (name * (size // len(name) + 1))[: max(0, size - 4)]
        return (struct.pack(">I", len(body)) + body)[:size]

    def _fill(self, payload: bytearray, which: int, sizes: array[int]) -> list[Chunk]:
        chunks, sample, turn = [], 0, 0
        while sample < len(sizes):
            count = min(self.chunking[turn % len(self.chunking)], len(sizes) - sample)
            chunks.append(Chunk(len(payload), count))
            for index in range(sample, sample + count):
                payload += self.sample(which, index, sizes[index])
            sample, turn = sample + count, turn + 1
        return chunks

    def _picture(self) -> FilmTrack:
        compositions: list[Run] = []
        for frames in self.reorder:
            append_run(compositions, 1, frames * self.interval)
        return FilmTrack(
            is_sound=False,
            timescale=self.timescale,
            entry=video_entry(),
            durations=[Run(len(self.frame_sizes), self.interval)],
            compositions=compositions,
            sync=None if self.sync is None else array("I", (index + 1 for index in self.sync)),
            sizes=array("I", self.frame_sizes),
            chunks=[],
            media_start=self.reorder[0] * self.interval if self.reorder else 0,
            display_size=(160 << 16, 96 << 16),
        )

    def _sound(self) -> FilmTrack:
        assert self.packet_sizes is not None
        return FilmTrack(
            is_sound=True,
            timescale=48000,
            entry=sound_entry(),
            durations=[Run(len(self.packet_sizes), 1024)],
            compositions=[],
            sync=None,
            sizes=array("I", self.packet_sizes),
            chunks=[],
            media_start=self.priming,
        )

    @property
    def seconds(self) -> Fraction:
        """How long its picture is."""
        return Fraction(len(self.frame_sizes) * self.interval, self.timescale)


def packets_for(seconds: Fraction, priming: int) -> int:
    """Count the packets of sound that cover so many seconds."""
    return -((-int(seconds * 48000) - priming) // 1024)


@st.composite
def fake_clips(
    draw: st.DrawFn, *, number: int = 0, reorder_depth: int | None = None, has_sound: bool = True
) -> FakeClip:
    """Draw clips of 24 frames a second that conform to each other where depth and sound are the same."""
    frame_count = draw(st.integers(1, 30))
    depth = draw(st.integers(0, 3)) if reorder_depth is None else reorder_depth
    ticks = draw(st.sampled_from([1, 2, 25, 512, 1000, 3750]))
    sizes = st.lists(st.integers(5, 60), min_size=frame_count, max_size=frame_count)
    clip = FakeClip(draw(sizes), timescale=24 * ticks, interval=ticks, number=number)
    clip.reorder = _shuffle(draw, frame_count, depth)
    clip.sync = draw(st.none() | st.sets(st.integers(0, frame_count - 1)).map(lambda found: sorted(found | {0})))
    clip.chunking = tuple(draw(st.lists(st.integers(1, 9), min_size=1, max_size=3)))
    if has_sound:
        clip.priming = draw(st.sampled_from([0, 1024, 2112, 700]))
        count = packets_for(clip.seconds, clip.priming)
        clip.packet_sizes = draw(st.lists(st.integers(1, 40), min_size=count, max_size=count))
    return clip


def _shuffle(draw: st.DrawFn, count: int, depth: int) -> list[int]:
    """Draw in what order frames are shown: each at most `depth` before its turn, the first one first."""
    if not depth:
        return []
    free = list(range(count))
    shown = []
    for turn in range(count):
        # Frame `turn` must be decoded before it is shown, `depth` frames later than it would be without reordering.
        must = free[0] if free[0] + depth <= turn else None
        allowed = [place for place in free if place <= turn + 3]
        place = 0 if turn == 0 else must if must is not None else draw(st.sampled_from(allowed))
        free.remove(place)
        shown.append(place + depth - turn)
    return shown
