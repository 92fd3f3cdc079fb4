"""Our splice alone, without job store and command line: one call of `media.write.write_film` in a bare process."""

from __future__ import annotations

import sys
from pathlib import Path

from media.clip_file import ClipFile
from media.splice import Sound
from media.write import FilmPart, write_film


def main() -> None:
    """Run `grid|smart OUTPUT CLIP...`."""
    sound, output, *clips = sys.argv[1:]
    write_film([FilmPart(ClipFile(Path(clip))) for clip in clips], Path(output), sound=Sound(sound))


if __name__ == "__main__":
    main()
