"""Films with fades: which windows are to be encoded, and how the film is joined from them and from copied stretches."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property, partial
from heapq import nlargest
from pathlib import Path
from threading import Lock

from events.clip import Join, StitchReport
from events.errors import StitchFailed
from events.plan import PlannedClip, StitchPlan
from gpu_job.tasks import ClipFailed, EncodeTask, digest_of
from media.clean_cuts import CleanCuts, idr_finder
from media.clip_file import DiskClip
from media.conform import milliseconds
from media.fade_layout import LEAD_SAMPLES, PRIMING_SAMPLES, FadedFilm
from media.parameter_sets import free_id, parse_avc_config, taken_ids
from media.sample_entry import VideoEntry
from media.size import encoded_bytes_max
from media.target import frames_kept
from media.transition import Span, Stretch, Window, fade_frames, fade_of
from media.treatment import ClipTreatment, Target, Treatment
from media.trim import nearest_cut
from media.window_args import WindowEncode, window_args, window_quality
from media.write import FilmPart, write_excerpt

#: Makes a film: its parts, and at which seconds its chapters' parts begin.
JoinParts = Callable[[Sequence[FilmPart], Sequence[Fraction]], StitchReport]


@dataclass(frozen=True)
class FadeWork:
    """What is to be done for the fades of a film whose clips all conform by now."""

    plan: StitchPlan
    target: Target
    clips: Sequence[DiskClip]
    film: FadedFilm
    #: For the excerpts.
    folder: Path
    #: Held while an excerpt is written: pieces are fetched to be read, and make room for each other.
    _reading: Lock = field(default_factory=Lock, repr=False, compare=False)

    @property
    def encoded_frame_count(self) -> int:
        """How many frames are rendered."""
        return sum(window.frame_count for window in self.film.windows)

    def room_bytes(self, processes: int, *, are_kept_here: bool) -> int:
        """Give the bytes that are there at most at a time, besides the clips: excerpts, windows, and the film.

        Args:
            processes: how many windows are rendered at a time.
            are_kept_here: whether windows that are done lie on the same disk.
        """
        windows = list(map(self._window_bytes, self.film.windows))
        excerpts = nlargest(processes, map(self._excerpts_bytes, self.film.windows))
        copied = sum(self._bytes_of(part.clip, part.first_frame, part.frame_count) for part in self._stretches)
        made = sum(windows)
        return copied + made + sum(excerpts) + (made if are_kept_here else 0) + sum(nlargest(processes + 1, windows))

    @cached_property
    def _own_id(self) -> int | None:
        """Give the id of parameter sets that only windows have; None where no id is free."""
        videos = [clip.movie.video.entry for clip in self.clips]
        bodies = {video.children[b"avcC"] for video in videos if isinstance(video, VideoEntry)}
        return free_id(set().union(*(taken_ids(parse_avc_config(body)) for body in bodies)))

    @property
    def _stretches(self) -> list[Stretch]:
        return [part for part in self.film.parts if isinstance(part, Stretch)]

    def _window_bytes(self, window: Window) -> int:
        shown = sum(self._bytes_of(s.clip, s.first_frame, s.frame_count) for s in (window.out, window.into))
        target = replace(self.target, quality=window_quality(self.target))
        return encoded_bytes_max(target, window.frame_count, like_bytes=shown)

    def _excerpts_bytes(self, window: Window) -> int:
        return sum(self._bytes_of(span.clip, *self.film.excerpt_of(span)) for span in (window.out, window.into))

    def _bytes_of(self, clip: int, first_frame: int, frame_count: int) -> int:
        """Give the bytes of some frames of a clip, with as large a share of what is not picture."""
        movie = self.film.movies[clip]
        sums = movie.video.size_sums
        rest = max(0, movie.size_bytes - sums[-1])
        return sums[first_frame + frame_count] - sums[first_frame] + rest * frame_count // movie.video.sample_count

    def write_excerpts(self, window: Window) -> None:
        """Write the files that a window's task reads; cheap, since bytes are only copied."""
        for span in (window.out, window.into):
            part = FilmPart(self.clips[span.clip], frames=self.film.excerpt_of(span))
            with self._reading:
                write_excerpt(part, self.excerpt(window, span))

    def _drop_excerpts(self, window: Window) -> None:
        for span in (window.out, window.into):
            self.excerpt(window, span).unlink(missing_ok=True)

    def tasks(self) -> list[EncodeTask]:
        """Give one task for each window, in the film's order."""
        return [self._task(window) for window in self.film.windows]

    def _task(self, window: Window) -> EncodeTask:
        excerpts = (self.excerpt(window, window.out), self.excerpt(window, window.into))
        encode = self.film.encode_of(window, excerpts)
        numbers = [self.plan.clips[span.clip].segment_index + 1 for span in (window.out, window.into)]
        return EncodeTask(
            name=_name(window),
            label=f"the fade between clips {numbers[0]} and {numbers[1]}",
            segment_index=None,
            frame_count=window.frame_count,
            args=partial(self._args, window, encode),
            digest=self._digest(window, encode),
            tidy=partial(self._drop_excerpts, window),
            skipped_frames=max(encode.out.first_frame, encode.into.first_frame),
        )

    def _args(self, window: Window, encode: WindowEncode, output: Path, encoder: str) -> list[str]:
        self.write_excerpts(window)
        return window_args(encode, self.target, output, encoder, self._own_id)

    def _digest(self, window: Window, encode: WindowEncode) -> str:
        target, clips = self.target, []
        for span in (window.out, window.into):
            clip = self.plan.clips[span.clip]
            clips += [clip.uri, clip.generation, clip.keep_ms, target.clips[span.clip].treatment, span]
        laid = (encode.out.sound_at, encode.into.sound_at, encode.sound)
        return digest_of(
            *clips, *laid, self.film.fade, self._own_id, target.picture, target.sound, target.quality, target.fit
        )

    def excerpt(self, window: Window, span: Span) -> Path:
        """Give the file with what a window shows of one of its clips."""
        side = "out" if span is window.out else "into"
        return self.folder / f"{_name(window)}-{side}.mp4"

    def parts(self, windows: Mapping[str, DiskClip]) -> list[FilmPart]:
        """Give what the film is spliced of.

        Args:
            windows: what the tasks made, by their names.

        Raises:
            StitchFailed: a window is not what was asked for.
        """
        return [
            FilmPart(self.clips[part.clip], frames=(part.first_frame, part.frame_count), goes_on=number > 0)
            if isinstance(part, Stretch)
            else self._window_part(part, windows[_name(part)], goes_on=number > 0)
            for number, part in enumerate(self.film.parts)
        ]

    def _window_part(self, window: Window, made: DiskClip, *, goes_on: bool) -> FilmPart:
        found = made.movie.video.sample_count
        if found != window.frame_count:
            raise StitchFailed(f"render {_name(window)}: it has {found} frames instead of {window.frame_count}")
        if self.target.sound is None:
            return FilmPart(made, goes_on=goes_on)
        if made.movie.sound is None or made.movie.sound.media_start != PRIMING_SAMPLES:
            raise StitchFailed(f"render {_name(window)}: the encoder put an unusual start before its sound")
        return FilmPart(made, goes_on=goes_on, sound_lead=LEAD_SAMPLES)

    def splice(
        self,
        windows: Mapping[str, DiskClip],
        join: JoinParts,
    ) -> StitchReport:
        """Join the film and read it back.

        Args:
            windows: what the tasks made, by their names.
            join: makes a film of parts; told as well when each clip begins, in seconds.

        Raises:
            StitchFailed: the parts do not go together, or the film read back is not what it should be.
            LimitExceeded: the disk has no room for the film.
        """
        starts = [self.film.middle_of(clip) for clip in range(len(self.clips))]
        report = join(self.parts(windows), starts)
        expected = self.film.starts[-1]
        if report.frame_count != expected:
            raise StitchFailed(f"read the film back: it has {report.frame_count} frames instead of {expected}")
        return report.model_copy(update={"joins": self._joins(report)})

    def _joins(self, report: StitchReport) -> list[Join]:
        """Give the joins of the clips; the report that was read back has those of the parts."""
        skews = {join.clip_index: join.skew_us for join in report.joins}
        joins = []
        for clip in range(1, len(self.clips)):
            part = self.film.stretch_of(clip)
            skew_us = 0 if part is None else skews[part]
            joins.append(Join(clip_index=clip, at_ms=milliseconds(self.film.middle_of(clip)), skew_us=skew_us))
        return joins


@dataclass(frozen=True)
class MadeFades:
    """Fades whose windows are made."""

    work: FadeWork
    #: By the names of their tasks.
    windows: Mapping[str, DiskClip]

    @property
    def frame_count(self) -> int:
        """How many frames were rendered."""
        return self.work.encoded_frame_count

    def splice(self, join: JoinParts) -> StitchReport:
        """Join the film and read it back; see `FadeWork.splice`."""
        return self.work.splice(self.windows, join)


def fade_work(plan: StitchPlan, target: Target, clips: Sequence[DiskClip], folder: Path) -> FadeWork:
    """Lay out a film with fades.

    Args:
        plan: with `has_fades`.
        target: the film.
        clips: for each clip of the plan what conforms to the film: itself, or what was encoded of it.
        folder: for excerpts; absolute.

    Raises:
        ClipFailed: a clip is too short for its fades.
    """
    movies = [clip.movie for clip in clips]
    shown = [
        _shown_frames(planned, treated, clip, target.picture.frame_rate, is_last=number == len(clips) - 1)
        for number, (planned, treated, clip) in enumerate(zip(plan.clips, target.clips, clips, strict=True))
    ]
    fade = fade_of(plan.transition, _fade_frames(plan, target, shown))
    cuts = [CleanCuts(clip.movie.video, idr_finder(clip.movie.video, clip)) for clip in clips]
    rate_hz = target.sound.sample_rate_hz if target.sound else None
    return FadeWork(plan, target, clips, FadedFilm(movies, cuts, shown, fade, rate_hz), folder)


def _shown_frames(
    planned: PlannedClip, treated: ClipTreatment, clip: DiskClip, frame_rate: Fraction, *, is_last: bool
) -> int:
    """Give how many frames of a clip are shown: to the frame where its end is rendered, else to a clean cut."""
    count = clip.movie.video.sample_count
    if planned.keep_ms is None or treated.treatment is Treatment.ENCODE:
        return count
    if is_last:
        return nearest_cut(clip.movie.video, planned.keep_ms).frame_count
    return frames_kept(count, planned.keep_ms, frame_rate)


def _fade_frames(plan: StitchPlan, target: Target, shown: Sequence[int]) -> int:
    """Give the frames of a fade; one fewer than asked for where only rounding makes it too long."""
    wanted = fade_frames(plan.transition_ms, target.picture.frame_rate)
    shortest = min(range(len(shown)), key=shown.__getitem__)
    most = shown[shortest] // 2
    if most < 2 or wanted > most + 1:
        clip = plan.clips[shortest]
        shown_ms = milliseconds(shown[shortest] / target.picture.frame_rate)
        text = (
            f"fade from or to clip {clip.segment_index + 1} ({clip.uri}): {shown_ms} ms of it are shown, and a fade of "
            f"{plan.transition_ms} ms is longer than half of that; ask for a shorter one (transitionMs)"
        )
        raise ClipFailed(clip.segment_index, StitchFailed(text, code="fade_too_long"))
    return min(wanted, most)


def _name(window: Window) -> str:
    return f"join-{window.into.clip}"
