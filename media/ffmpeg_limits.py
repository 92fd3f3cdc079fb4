"""How much FFmpeg's libraries and its program may take for one clip, whatever the clip says of itself."""

from __future__ import annotations

from typing import Final

#: Pixels of the largest picture: 8192 x 8192. A decoder keeps up to seventeen of them.
PICTURE_PX_MAX: Final = 8192 * 8192
#: Streams of one file; FFmpeg's own limit is 1000.
STREAMS_MAX: Final = 100
#: The largest single piece of memory: a plane of the largest picture in 32 bits a pixel has 256 MiB. An index that
#: claims billions of samples ends here.
PIECE_BYTES_MAX: Final = 512 * 1024 * 1024
