"""Chapters, in the two forms that players read: a QuickTime text track, and Nero's `chpl` box.

QuickTime, Safari and iOS read the track, older players of other makers the box, FFmpeg (and so mpv and browsers)
either. The track is not enabled and is tied to the others by `tref`, so that nobody plays it as subtitles. Its texts
lie at the start of the one `mdat`, right behind the index: whoever opens the film has read them already.

Source: QuickTime File Format, "Chapter Lists" and "Text Sample Description"; FFmpeg's movenc.c, which writes both.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

from media.boxes import box, full_box
from media.film_tags import FilmTags, creation_seconds, item_list, origin_box
from media.movie import Run, append_run
from media.mp4_build import Chunk, FilmHead, FilmTrack, ticks

#: What `chpl` can hold: its count and the length of a title are one byte each.
_CHPL_MAX = 255
#: `chpl` counts in units of 100 ns.
_CHPL_TIMESCALE = 10_000_000
#: Behind every title: it is UTF-8.
_ENCODING = box(b"encd", struct.pack(">I", 0x100))
#: A text description of which only the name of its one font, none, is not zero; the titles are not drawn by it.
_TEXT_ENTRY = box(
    b"text",
    bytes(6) + struct.pack(">H", 1),
    struct.pack(">I", 1) + bytes(6 + 8 + 4) + struct.pack(">H", 1) + bytes(6),
    box(b"ftab", struct.pack(">HHB", 1, 1, 0)),
)


class Chapter(NamedTuple):
    """One chapter; it lasts until the next, the last one until the end."""

    #: Seconds from the film's start.
    start: Fraction
    title: str


def film_head(tags: FilmTags, starts: Sequence[Fraction], duration: Fraction, timescale: int) -> FilmHead:
    """Give what stands in the film's head besides its tracks.

    Args:
        tags: what the film says of itself.
        starts: when each part of the film begins, in seconds; whole ticks.
        duration: of the film, in seconds; whole ticks.
        timescale: ticks a second.
    """
    chapters = [Chapter(starts[part], title) for part, title in tags.chapters]
    if len(chapters) < 2:
        chapters = []
    track = _chapter_track(chapters, duration, timescale) if chapters else None
    return FilmHead(
        created=creation_seconds(tags),
        before_index=origin_box(tags),
        user_data=box(b"udta", item_list(tags), _chpl(chapters) if chapters else b""),
        chapters=track,
        chapter_texts=b"".join(map(_text_sample, chapters)),
    )


def _chapter_track(chapters: Sequence[Chapter], duration: Fraction, timescale: int) -> FilmTrack:
    sizes = array("I", (len(_text_sample(chapter)) for chapter in chapters))
    durations: list[Run] = []
    ends = [*(chapter.start for chapter in chapters), duration]
    for start, end in pairwise(ends):
        append_run(durations, 1, ticks(end - start, timescale))
    return FilmTrack(
        is_sound=False,
        is_chapters=True,
        timescale=timescale,
        entry=_TEXT_ENTRY,
        durations=durations,
        compositions=[],
        sync=None,
        sizes=sizes,
        # Before the payload, whose own offsets they so leave alone.
        chunks=[Chunk(-sum(sizes), len(sizes))],
        media_start=0,
    )


def _text_sample(chapter: Chapter) -> bytes:
    text = chapter.title.encode()
    return len(text).to_bytes(2, "big") + text + _ENCODING


def _chpl(chapters: Sequence[Chapter]) -> bytes:
    """Give Nero's box; of a film with more chapters than it can count it holds the first."""
    listed = chapters[:_CHPL_MAX]
    rows = []
    for start, title in listed:
        # A title is cut between characters, never within one.
        text = title.encode()[:_CHPL_MAX].decode(errors="ignore").encode()
        rows.append(struct.pack(">QB", int(start * _CHPL_TIMESCALE), len(text)) + text)
    return full_box(b"chpl", 1, 0, struct.pack(">IB", 0, len(listed)), *rows)
