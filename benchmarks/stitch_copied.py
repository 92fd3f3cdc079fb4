"""Says which of a faded film's frames are the clips' own bytes, and whether any was encoded that no fade asks for."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import av

from benchmarks.stitch_checks import Timeline


@dataclass(frozen=True, slots=True)
class Copied:
    """What was found in the packets of a film."""

    frame_count: int
    #: Frames whose bytes are no clip's.
    encoded_frame_count: int
    #: Frames of the clips in groups of pictures that no fade touches, and how many of these are not there bit for bit.
    untouched_frame_count: int
    untouched_but_encoded: int


@dataclass(frozen=True, slots=True)
class _Packet:
    digest: bytes
    is_key: bool
    #: Place in the order of showing.
    shown: int


def copied(film: Path, timeline: Timeline) -> Copied:
    """Look through a film.

    Args:
        film: an MP4.
        timeline: of the film; clips of the film's own rate.
    """
    untouched: Counter[bytes] = Counter()
    of_clips: set[bytes] = set()
    for clip, path in enumerate(timeline.corpus.paths):
        packets = _packets(path)
        of_clips |= {packet.digest for packet in packets}
        untouched.update(_untouched(packets, timeline.shown(clip)))
    found = Counter(packet.digest for packet in _packets(film))
    encoded = sum(count for digest, count in found.items() if digest not in of_clips)
    return Copied(found.total(), encoded, untouched.total(), (untouched - found).total())


def _untouched(packets: list[_Packet], shown_alone: range) -> list[bytes]:
    """Give the packets of groups of pictures of which every frame is seen alone."""
    groups: list[list[_Packet]] = []
    for packet in packets:
        if packet.is_key:
            groups.append([])
        groups[-1].append(packet)
    return [p.digest for group in groups if all(p.shown in shown_alone for p in group) for p in group]


def _packets(path: Path) -> list[_Packet]:
    """Give a file's packets of pictures in the order in which they are decoded."""
    with av.open(str(path)) as opened:
        found = [
            (packet.pts or 0, packet.is_keyframe, hashlib.sha256(bytes(packet)).digest())
            for packet in opened.demux(video=0)
            if packet.size
        ]
    places = {pts: place for place, pts in enumerate(sorted(pts for pts, _, _ in found))}
    return [_Packet(digest, is_key, places[pts]) for pts, is_key, digest in found]
