"""MoviePy joining clips, as its documentation shows; run by the Python that MoviePy is installed in."""

from __future__ import annotations

import sys

from moviepy import VideoFileClip, concatenate_videoclips


def main() -> None:
    """Run `OUTPUT CLIP...`."""
    output, *paths = sys.argv[1:]
    clips = [VideoFileClip(path) for path in paths]
    film = concatenate_videoclips(clips)
    film.write_videofile(output, codec="libx264", preset="veryfast", audio_codec="aac", logger=None)
    film.close()
    for clip in clips:
        clip.close()


if __name__ == "__main__":
    main()
