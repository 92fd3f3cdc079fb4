"""Our splice alone, without job store and command line: one call of `media.write.splice_files` in a bare process."""

from __future__ import annotations

import sys
from pathlib import Path

from media.splice import Sound
from media.write import splice_files


def main() -> None:
    """Run `grid|smart OUTPUT CLIP...`."""
    sound, output, *clips = sys.argv[1:]
    splice_files([Path(clip) for clip in clips], Path(output), sound=Sound(sound))


if __name__ == "__main__":
    main()
