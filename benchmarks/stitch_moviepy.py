"""MoviePy joining clips, as its documentation shows; run by the Python that MoviePy is installed in."""

from __future__ import annotations

import argparse

from moviepy import VideoFileClip, concatenate_videoclips
from moviepy.audio.fx import AudioFadeIn, AudioFadeOut
from moviepy.video.fx import CrossFadeIn


def main() -> None:
    """Join the clips."""
    parser = argparse.ArgumentParser()
    parser.add_argument("output")
    parser.add_argument("clips", nargs="+")
    parser.add_argument("--size", type=int, nargs=2, required=True)
    parser.add_argument("--fps", type=float, required=True)
    parser.add_argument("--preset", required=True)
    parser.add_argument("--crf", required=True)
    parser.add_argument("--fade", type=float, default=0.0)
    options = parser.parse_args()
    size = tuple(options.size)
    opened = [VideoFileClip(path) for path in options.clips]
    clips = [clip if tuple(clip.size) == size else clip.resized(size) for clip in opened]
    if fade := options.fade:
        heard = [AudioFadeIn(fade), AudioFadeOut(fade)]
        clips = [clip.with_effects([*([CrossFadeIn(fade)] if n else []), *heard]) for n, clip in enumerate(clips)]
        film = concatenate_videoclips(clips, method="compose", padding=-fade)
    else:
        film = concatenate_videoclips(clips)
    coded = {"codec": "libx264", "preset": options.preset, "audio_codec": "aac", "logger": None}
    film.write_videofile(options.output, fps=options.fps, ffmpeg_params=["-crf", options.crf], **coded)
    film.close()
    for clip in opened:
        clip.close()


if __name__ == "__main__":
    main()
