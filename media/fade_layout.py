"""A film with fades, laid out: what is copied and rendered, where each part's sound plays, what a window is made of.

Pure over the indexes of clips that conform to the film. Parts are laid on the grid of sound before any window is made,
so that a window is rendered with the very sound that the copied stretches beside it have there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import ceil
from pathlib import Path

from media.clean_cuts import CleanCuts
from media.movie import Movie
from media.splice_picture import PlacedClip
from media.splice_sound import SoundPlan, SoundTrack, lay_sound, sound_track_of
from media.transition import Fade, Part, Span, Stretch, Window, film_starts, lay_parts
from media.trim import trim
from media.window_args import PACKET_SAMPLES, WindowClip, WindowEncode, WindowSound

#: Samples that FFmpeg's AAC encoder puts before the sound and hides.
PRIMING_SAMPLES = 1024
#: Samples of sound that a window has before its first frame: an encoder needs a packet to settle.
LEAD_SAMPLES = 1024
#: And behind its last, or more: the sound beside it may begin half a packet late, and goes over within the next.
_TAIL_SAMPLES = 1536
#: Packets of sound that a part of the film needs at least to be joined to both sides without a seam.
_ROOM_PACKETS = 12
#: How much more of a clip an excerpt holds on each side, for the sound before and behind a window.
_MARGIN_SECONDS = Fraction(1, 5)


@dataclass(frozen=True)
class FadedFilm:
    """A film with fades.

    Args:
        movies: the clips, 2 or more, conforming; the picture of all is H.264.
        cuts: where each can be taken apart.
        shown: how many frames of each are shown; see `media.transition.lay_parts`.
        fade: what happens at each join.
        sample_rate_hz: of the sound; None for a film without.
    """

    movies: Sequence[Movie]
    cuts: Sequence[CleanCuts]
    shown: Sequence[int]
    fade: Fade
    sample_rate_hz: int | None

    @cached_property
    def interval(self) -> Fraction:
        """Seconds of a frame."""
        interval = self.movies[0].frame_interval
        assert interval is not None
        return interval

    @cached_property
    def starts(self) -> list[int]:
        """With which frame of the film each clip begins; then the number of its frames."""
        return film_starts(self.shown, self.fade)

    @cached_property
    def parts(self) -> list[Part]:
        """Give what is copied and what is rendered, in order."""
        room = 1
        if self.sample_rate_hz is not None:
            room = ceil(Fraction(_ROOM_PACKETS * PACKET_SAMPLES, self.sample_rate_hz) / self.interval)
        return lay_parts(self.cuts, self.shown, self.fade, room)

    @property
    def windows(self) -> list[Window]:
        """Give what is rendered."""
        return [part for part in self.parts if isinstance(part, Window)]

    def middle_of(self, clip: int) -> Fraction:
        """Give when a clip takes over from the one before, in seconds, on a whole frame; 0 for the first."""
        return (self.starts[clip] + self.fade.overlap_frames // 2 if clip else 0) * self.interval

    def stretch_of(self, clip: int) -> int | None:
        """Give which part of the film is copied from a clip; None where nothing is."""
        return next((n for n, p in enumerate(self.parts) if isinstance(p, Stretch) and p.clip == clip), None)

    @cached_property
    def _sound(self) -> SoundPlan | None:
        if self.sample_rate_hz is None:
            return None
        placed = [
            PlacedClip(
                part.film_frame,
                part.frame_count,
                part.film_frame * self.interval,
                (part.film_frame + part.frame_count) * self.interval,
            )
            for part in self.parts
        ]
        return lay_sound([self._sound_track(part) for part in self.parts], placed)

    def _sound_track(self, part: Part) -> SoundTrack:
        if isinstance(part, Stretch):
            return sound_track_of(trim(self.movies[part.clip], part.first_frame, part.frame_count))
        assert self.sample_rate_hz is not None
        begin = -Fraction(PRIMING_SAMPLES + LEAD_SAMPLES, self.sample_rate_hz)
        count = (PRIMING_SAMPLES + self._sample_count(part)) // PACKET_SAMPLES
        return SoundTrack(self.sample_rate_hz, PACKET_SAMPLES, count, begin)

    def _sample_count(self, window: Window) -> int:
        """Give how many samples a window's file has, in whole packets."""
        assert self.sample_rate_hz is not None
        needed = LEAD_SAMPLES + window.frame_count * self.interval * self.sample_rate_hz + _TAIL_SAMPLES
        return ceil(needed / PACKET_SAMPLES) * PACKET_SAMPLES

    def skew_of(self, clip: int) -> Fraction:
        """Give how much later than in the clip itself its sound plays in the film, in seconds."""
        part = self.stretch_of(clip)
        # What is rendered as a whole is laid to the sample.
        return Fraction(0) if part is None or self._sound is None else self._sound.clips[part].skew

    def excerpt_of(self, span: Span) -> tuple[int, int]:
        """Give the frames of a clip that must be decoded to render some: the first, and how many."""
        margin = 0 if self.sample_rate_hz is None else ceil(_MARGIN_SECONDS / self.interval)
        cuts = self.cuts[span.clip]
        first = cuts.start_before(max(0, span.first_frame - margin))
        return first, cuts.cut_behind(span.end_frame + margin) - first

    def encode_of(self, window: Window, excerpts: tuple[Path, Path]) -> WindowEncode:
        """Give what FFmpeg is to make of a window.

        Args:
            window: one of `windows`.
            excerpts: absolute paths of the frames that `excerpt_of` gives of its two clips.
        """
        clips = [self._window_clip(window, span, path) for span, path in self._spans(window, excerpts)]
        return WindowEncode(clips[0], clips[1], self.fade, window.frame_count, self._window_sound(window))

    def _spans(self, window: Window, excerpts: tuple[Path, Path]) -> list[tuple[Span, Path]]:
        return [(window.out, excerpts[0]), (window.into, excerpts[1])]

    def _window_clip(self, window: Window, span: Span, path: Path) -> WindowClip:
        first, _ = self.excerpt_of(span)
        begins = (self.starts[span.clip] + first) * self.interval + self.skew_of(span.clip)
        sound_at = 0 if self.sample_rate_hz is None else self._sample_of(window, begins)
        return WindowClip(path, span.first_frame - first, span.end_frame - first, sound_at)

    def _sample_of(self, window: Window, seconds: Fraction) -> int:
        """Give which sample of a window's file is heard at a time of the film."""
        assert self._sound is not None
        assert self.sample_rate_hz is not None
        skew = self._sound.clips[self.parts.index(window)].skew
        return round((seconds - window.film_frame * self.interval - skew) * self.sample_rate_hz) + LEAD_SAMPLES

    def _window_sound(self, window: Window) -> WindowSound | None:
        if self.sample_rate_hz is None:
            return None
        out, into, fade = window.out.clip, window.into.clip, self.fade
        ends = (self.starts[out] + self.shown[out]) * self.interval
        begins = self.starts[into] * self.interval
        frame = self.interval * self.sample_rate_hz
        return WindowSound(
            sample_count=self._sample_count(window),
            out_at=self._sample_of(window, ends - fade.out_frames * self.interval),
            out_samples=round(fade.out_frames * frame),
            into_at=self._sample_of(window, begins),
            into_samples=round(fade.in_frames * frame),
        )
