"""How much a small MP4 may ask for: a few bytes of an index can stand for terabytes, for us and for FFmpeg.

Our own reader looks only where it expects something, FFmpeg takes a table, a track or a compressed index wherever one
stands. So what expands is searched for in the bytes themselves, whatever the boxes around it are; by chance the
four letters of a table are met once in thousands of the largest indexes.
"""

from __future__ import annotations

import re
import struct

from events.errors import BadMedia
from media.mp4_tables import SAMPLES_MAX

#: Samples of all tracks together; the picture of eighteen hours and its sound have this many.
ALL_SAMPLES_MAX = 2 * SAMPLES_MAX
#: Samples times the lines of an edit list: a line may show the whole track again, and FFmpeg lists what each shows.
SHOWN_SAMPLES_MAX = ALL_SAMPLES_MAX
#: Boxes beside the index: each may cost a request to a store. Half a dozen are usual.
TOP_BOXES_MAX = 256
#: Size of one sample description; the largest in use, with a colour profile, have some thousand bytes. It goes into
#: messages and papers, since it decides what can be joined.
DESCRIPTION_BYTES_MAX = 16 * 1024
#: Size of a box beside the index that FFmpeg reads as it reads the index.
NEIGHBOUR_BYTES_MAX = 1024 * 1024

#: Boxes that FFmpeg reads as a part of the index even beside it, and that honest files may have there.
#: Source: libavformat/mov.c, mov_default_parse_table: what is handed to mov_read_default, and tables.
READ_BESIDE_INDEX = frozenset({b"meta", b"udta"})
#: The same, but no honest file has them there.
NEVER_BESIDE_INDEX = frozenset(
    {
        *(b"cmov", b"trak", b"mdia", b"minf", b"stbl", b"dinf", b"edts", b"mvex", b"traf", b"tref", b"wave"),
        *(b"stsd", b"stsz", b"stz2", b"stts", b"ctts", b"stsc", b"stco", b"co64", b"elst", b"dref", b"trun"),
    }
)

_SAMPLE_COUNTS = re.compile(rb"(stsz|stz2)....(....)(....)", re.DOTALL)
_COMPRESSED = re.compile(rb"cmov....dcom", re.DOTALL)
_FRAGMENT = re.compile(rb"moof....(mfhd|traf)|traf....tfhd", re.DOTALL)


def refuse_what_expands(index: bytes) -> None:
    """Refuse an index, or a box beside it, that costs more to read than its length lets expect.

    Raises:
        BadMedia: it lists more samples than any film has, is compressed, or has fragments in it.
    """
    if _COMPRESSED.search(index):
        raise BadMedia("its index is compressed, which Longreel does not read")
    if _FRAGMENT.search(index):
        raise BadMedia("its index has fragments in it, which belong behind it")
    counts = [struct.unpack(">I", found[3])[0] for found in _SAMPLE_COUNTS.finditer(index)]
    for count, most in ((max(counts, default=0), SAMPLES_MAX), (sum(counts), ALL_SAMPLES_MAX)):
        if count > most:
            raise BadMedia(f"its index lists {count} samples; {most} are the most that Longreel reads")
