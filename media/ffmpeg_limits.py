"""How much FFmpeg's libraries and its program may take for one clip, whatever the clip says of itself.

All that Longreel tells an FFmpeg program begins with `PROGRAM_LIMITS`, and each file that it reads with `INPUT_LIMITS`.
"""

from __future__ import annotations

from typing import Final

#: Pixels of the largest picture: 8192 x 8192. A decoder keeps up to seventeen of them.
PICTURE_PX_MAX: Final = 8192 * 8192
#: Streams of one file; FFmpeg's own limit is 1000.
STREAMS_MAX: Final = 100
#: The largest single piece of memory: a plane of the largest picture in 32 bits a pixel has 256 MiB. An index that
#: claims billions of samples ends here.
PIECE_BYTES_MAX: Final = 512 * 1024 * 1024

#: What every run of the program begins with. It asks nothing, and no single piece of memory is larger than an honest
#: clip needs.
PROGRAM_LIMITS: Final = ("-nostdin", "-hide_banner", "-max_alloc", str(PIECE_BYTES_MAX))
#: What stands before every file that is read: it can name nothing but files, and its pictures may be larger than its
#: container says. One thread: many programs at a time share the processors better than many threads of one do.
INPUT_LIMITS: Final = (
    *("-protocol_whitelist", "file", "-max_streams", str(STREAMS_MAX)),
    *("-threads", "1", "-max_pixels", str(PICTURE_PX_MAX)),
)
