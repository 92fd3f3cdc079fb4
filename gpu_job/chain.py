"""Chained films: a clip was made from the last frame of the one before, so that this picture would be shown twice.

It is dropped where the clip before ends, since copying the clip cannot start behind its first frame. Where the clip
before cannot be cut there, its last few frames are encoded. What is dropped was looked at: a model may ignore the
picture that it is given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from pathlib import Path

from events.clip import Join, StitchReport
from events.errors import StitchFailed
from events.plan import StitchPlan
from gpu_job.tasks import EncodeTask, digest_of
from gpu_job.workspace import require_space
from media.clean_cuts import CleanCuts, idr_finder
from media.clip_file import DiskClip, TailedClip
from media.conform import milliseconds
from media.encoder import ClipEncode, chunk_args
from media.movie import Movie
from media.seam_choice import FRAMES
from media.seam_report import SeamLook
from media.size import encoded_bytes_max
from media.target import can_render
from media.treatment import Target
from media.window_args import window_quality
from media.write import FilmPart, write_pictures

#: Ends of clips that are on the disk a second time at once, so that they can be encoded.
_AT_A_TIME = 8
#: How much is decoded for one join, in pixels: some thirty seconds of one core, six times what 8 s of 4K take.
_LOOK_PIXELS_MAX = 10_000_000_000

#: Joins parts to a film.
Splice = Callable[[list[FilmPart]], StitchReport]
#: Makes tasks and gives what came of them, by their names.
Make = Callable[[Sequence[EncodeTask]], Mapping[str, DiskClip]]


@dataclass(frozen=True, slots=True)
class Twin:
    """A clip whose last frame is left out."""

    #: Its number in the plan.
    clip: int
    #: How many of its frames are shown then, and how many of those can be copied.
    frame_count: int
    copied_count: int
    #: Where decoding starts, and what must be decoded, for those that are encoded.
    decoded: range

    @property
    def name(self) -> str:
        """Name what is encoded of it."""
        return f"clip-{self.clip}-tail"

    @property
    def encoded_count(self) -> int:
        """How many of its frames are encoded."""
        return self.frame_count - self.copied_count


class Chain:
    """What a film's chained clips repeat.

    Args:
        plan: of a film; nothing is done where no clip continues another.
        target: what the clips become.
        folder: for what is looked at.
    """

    def __init__(self, plan: StitchPlan, target: Target, folder: Path) -> None:
        self._plan = plan
        self._target = target
        self._folder = folder
        self._warnings: list[str] = []
        self._found: list[Twin] | None = None

    def is_encoding(self, parts: Sequence[FilmPart]) -> bool:
        """Tell whether frames must be encoded so that none is shown twice."""
        return any(twin.encoded_count for twin in self.twins(parts))

    def twins(self, parts: Sequence[FilmPart]) -> list[Twin]:
        """Look at each join of a chain, once, and give the clips that lose their last frame.

        Args:
            parts: one for each clip of the plan; the same at every call.
        """
        if self._found is None:
            looked = (self._twin(parts, number) for number in self._plan.continued_clips)
            self._found = [twin for twin in looked if twin]
        return self._found

    def joined(self, parts: list[FilmPart], splice: Splice, make: Make | None = None) -> StitchReport:
        """Join the film.

        Args:
            parts: as in `twins`.
            splice: joins them.
            make: makes what is encoded; may be left out where `is_encoding` says that nothing is.

        Returns:
            The splice's report with what was dropped and encoded.

        Raises:
            StitchFailed: from `splice`.
        """
        twins = self.twins(parts)
        warnings = list(self._warnings)
        try:
            report = splice(self._without_twins(parts, twins, make))
        except StitchFailed as exc:
            if not any(twin.encoded_count for twin in twins):
                raise
            # An encoder with habits that headers do not show. A picture that is shown twice is better than no film.
            warnings.append(
                f"frames that chained clips repeat are shown twice, since they could not be left out: {exc}"
            )
            twins = []
            report = splice(parts)
        dropped = {twin.clip + 1 for twin in twins}
        joins = [self._marked(join, dropped) for join in report.joins]
        count = sum(twin.encoded_count for twin in twins)
        told = {"joins": joins, "warnings": [*report.warnings, *warnings], "encoded_frame_count": count or None}
        return report.model_copy(update=told)

    def _marked(self, join: Join, dropped: set[int]) -> Join:
        if join.clip_index not in self._plan.continued_clips:
            return join
        return join.model_copy(update={"dropped_frames": int(join.clip_index in dropped)})

    def _twin(self, parts: Sequence[FilmPart], number: int) -> Twin | None:
        """Give the clip before a chained one, if both show the same picture where they meet and it can be left out."""
        before, after = parts[number - 1], parts[number]
        end = before.source.shown.video.sample_count
        cuts = _cuts_of(before.clip)
        copied = cuts.cut_before(end - 1)
        if end < 2 or (copied < end - 1 and not can_render(self._plan, self._target)):
            return None
        if not self._is_repeated(number, before, after):
            return None
        decoded = range(cuts.start_before(copied), end)
        return Twin(number - 1, end - 1, copied, decoded)

    def _is_repeated(self, number: int, before: FilmPart, after: FilmPart) -> bool:
        # Imported only here: it loads PyAV.
        from media.seam_look import look_at_seams

        end = before.source.shown.video.sample_count
        first = _cuts_of(before.clip).start_before(max(0, end - FRAMES))
        count = _cuts_of(after.clip).cut_behind(min(FRAMES, after.source.shown.video.sample_count))
        if (end - first) * _pixels(before.clip.movie) > _LOOK_PIXELS_MAX:
            text = "it is too long to see whether the clip begins with a frame that the one before has shown"
            self._warnings.append(f"Join {number}: {text}.")
            return False
        join = Join(clip_index=1, at_ms=milliseconds((end - first) * _interval(before.clip)))
        ends = [FilmPart(before.clip, frames=(first, end - first)), FilmPart(after.clip, frames=(0, count))]
        with self._pictures(ends, f"join-{number}-look.mp4") as film:
            look = look_at_seams(film, [join], spare=False)[1]
        return isinstance(look, SeamLook) and look.repeated > 0

    @contextmanager
    def _pictures(self, parts: Sequence[FilmPart], name: str) -> Iterator[Path]:
        path = self._folder / name
        write_pictures(parts, path)
        try:
            yield path
        finally:
            path.unlink()

    def _without_twins(self, parts: list[FilmPart], twins: Sequence[Twin], make: Make | None) -> list[FilmPart]:
        found = list(parts)
        for twin in twins:
            found[twin.clip] = FilmPart(parts[twin.clip].clip, frames=(0, twin.frame_count))
        tailed = [twin for twin in twins if twin.encoded_count]
        for start in range(0, len(tailed), _AT_A_TIME):
            batch = tailed[start : start + _AT_A_TIME]
            assert make is not None
            made = self._made(parts, batch, make)
            for twin in batch:
                found[twin.clip] = FilmPart(TailedClip(parts[twin.clip].clip, twin.copied_count, made[twin.name]))
        return found

    def _made(self, parts: Sequence[FilmPart], twins: Sequence[Twin], make: Make) -> Mapping[str, DiskClip]:
        """Encode the ends of clips, a few at a time: each is a second time on the disk for it."""
        self._require_space(parts, twins)
        excerpts = [self._excerpt(twin) for twin in twins]
        try:
            for twin, excerpt in zip(twins, excerpts, strict=True):
                frames = (twin.decoded.start, len(twin.decoded))
                write_pictures([FilmPart(parts[twin.clip].clip, frames=frames)], excerpt)
            made = make([self._task(twin) for twin in twins])
        finally:
            for excerpt in excerpts:
                excerpt.unlink(missing_ok=True)
        for twin in twins:
            count = made[twin.name].movie.video.sample_count
            if count != twin.encoded_count:
                raise StitchFailed(f"render {twin.name}: it has {count} frames instead of {twin.encoded_count}")
        return made

    def _require_space(self, parts: Sequence[FilmPart], twins: Sequence[Twin]) -> None:
        target = replace(self._target, quality=window_quality(self._target))
        size_bytes = encoded_bytes_max(target, sum(twin.encoded_count for twin in twins))
        for twin in twins:
            sums = parts[twin.clip].clip.movie.video.size_sums
            size_bytes += sums[twin.decoded.stop] - sums[twin.decoded.start]
        require_space(self._folder, size_bytes, f"render the ends of {len(twins)} chained clips")

    def _excerpt(self, twin: Twin) -> Path:
        return self._folder / f"{twin.name}-excerpt.mp4"

    def _task(self, twin: Twin) -> EncodeTask:
        planned, target = self._plan.clips[twin.clip], self._target
        frames = range(twin.copied_count - twin.decoded.start, twin.frame_count - twin.decoded.start)
        size = {"width_px": target.picture.width_px, "height_px": target.picture.height_px}
        # Whatever the clip was, its excerpt is as the film is.
        facts = planned.facts.model_copy(update={"container": "mp4", **size})
        clip = ClipEncode(facts, self._excerpt(twin), frames.stop, target.picture.colour)
        treated = target.clips[twin.clip].treatment
        source = (planned.uri, planned.generation, planned.keep_ms, treated, twin.copied_count, twin.frame_count)
        return EncodeTask(
            name=twin.name,
            label=f"the end of clip {planned.segment_index + 1} ({planned.uri})",
            segment_index=planned.segment_index,
            frame_count=len(frames),
            args=partial(_args, clip, target, frames),
            digest=digest_of("tail", *source, target.picture, target.quality, target.fit.value),
            skipped_frames=frames.start,
        )


def _args(clip: ClipEncode, target: Target, frames: range, output: Path, encoder: str) -> list[str]:
    if encoder == "libx264":
        # As for fades: it stands beside the clip's own frames, and is short.
        target = replace(target, quality=window_quality(target))
    return chunk_args(clip, target, frames, output, encoder)


def _cuts_of(clip: DiskClip) -> CleanCuts:
    video = clip.movie.video
    has_units = b"avcC" in getattr(video.entry, "children", {})
    # Of other codings it is not known, so that they are decoded from their first frame.
    return CleanCuts(video, idr_finder(video, clip) if has_units else lambda _: False)


def _interval(clip: DiskClip) -> Fraction:
    interval = clip.movie.frame_interval
    assert interval is not None
    return interval


def _pixels(movie: Movie) -> int:
    entry = movie.video.entry
    return int(getattr(entry, "width_px", 0) * getattr(entry, "height_px", 0))
