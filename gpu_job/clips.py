"""What of a plan's clips is encoded, as tasks; and the film's parts, made of what the tasks have made.

The picture of an odd clip is cut into chunks, its sound is one piece of its own: nothing but the index joins them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import partial
from pathlib import Path

from events.errors import BadMedia
from events.plan import PlannedClip, StitchPlan
from gpu_job.chunks import chunks_of, cut_of
from gpu_job.inputs import Inputs
from gpu_job.manifest import Manifest
from gpu_job.tasks import ClipFailed, EncodeTask, digest_of
from media.encoder import ClipEncode, chunk_args, sound_args
from media.target import colour_of, frames_kept, has_square_pixels
from media.treatment import Target, Treatment

#: How much of its length a clip may lack whose container tells the length only roughly; all others may lack none.
_ROUGH_SHARE = Fraction(1, 10)

#: Containers whose index counts the frames.
_EXACT_CONTAINERS = frozenset({"mp4", "mov"})

#: Containers whose index leads to a key frame before any time, so that a chunk need not be read from the clip's start.
_SEEKABLE_CONTAINERS = frozenset({"mp4", "mov", "matroska", "webm"})

#: Longest clip whose headers do not tell its length: a bound on what a file with broken time stamps costs.
UNKNOWN_LENGTH_MAX_SECONDS = 4 * 3600

#: Counts the frames of a clip: its number in the plan, what is known of it, what to call it.
Count = Callable[[int, ClipEncode, str], int]


@dataclass(frozen=True, slots=True)
class ClipTasks:
    """How one clip is made anew."""

    index: int
    #: How many frames it should get.
    frame_count: int
    #: Its chunks in order; none where the picture is copied.
    pictures: tuple[EncodeTask, ...]
    #: None for a film without sound.
    sound: EncodeTask | None

    @property
    def tasks(self) -> tuple[EncodeTask, ...]:
        """Give its tasks in order."""
        return (*self.pictures, self.sound) if self.sound else self.pictures


@dataclass
class FilmTasks:
    """All that is encoded for a film.

    Args:
        plan: the clips.
        target: what they become.
        inputs: their files, asked for only when something is made of them.
        count: for clips whose headers tell no length.

    Raises:
        ClipFailed: there is no picture in a clip.
    """

    plan: StitchPlan
    target: Target
    inputs: Inputs
    count: Count
    #: One for each clip that is not copied, by its number in the plan.
    clips: dict[int, ClipTasks] = field(init=False)

    def __post_init__(self) -> None:
        works = {
            index: self._work(index)
            for index, treated in enumerate(self.target.clips)
            if treated.treatment is not Treatment.COPY
        }
        encoded = {index: work for index, work in works.items() if self._is_encoded(index)}
        later = sum(work.frame_count for work in encoded.values())
        self.clips = {}
        for index, work in works.items():
            later -= work.frame_count if index in encoded else 0
            self.clips[index] = self._tasks(index, work, later)

    @property
    def tasks(self) -> list[EncodeTask]:
        """Give every task, in the film's order."""
        return [task for clip in self.clips.values() for task in clip.tasks]

    def missing_sound(self, index: int, done: Mapping[str, Manifest]) -> EncodeTask | None:
        """Give the task of a sound as long as a clip's picture really is; None where its sound fits.

        Raises:
            ClipFailed: the picture is so much shorter than its headers say that the clip must be broken.
        """
        clip = self.clips[index]
        made = self.made_frames(index, done)
        if not clip.pictures or not clip.sound or made == clip.frame_count:
            return None
        return self._sound_task(index, replace(self._bare(index), frame_count=made))

    def made_frames(self, index: int, done: Mapping[str, Manifest]) -> int:
        """Give how many frames of a clip's picture were made.

        Raises:
            ClipFailed: as `missing_sound`.
        """
        clip, planned = self.clips[index], self.plan.clips[index]
        counts = [done[task.name].frame_count for task in clip.pictures]
        short = next((number for number, task in enumerate(clip.pictures) if counts[number] < task.frame_count), None)
        if short is None:
            return sum(counts)
        made = sum(counts[: short + 1])
        missing = clip.frame_count - made
        allowed = 0 if planned.facts.container in _EXACT_CONTAINERS else clip.frame_count * _ROUGH_SHARE
        if missing > allowed or not made or any(counts[short + 1 :]):
            text = f"decode {self.label(index)}: its picture breaks off after {made} of {clip.frame_count} frames"
            raise ClipFailed(planned.segment_index, BadMedia(text))
        return made

    def label(self, index: int) -> str:
        """Give what people call a clip."""
        clip = self.plan.clips[index]
        return f"clip {clip.segment_index + 1} ({clip.uri})"

    def _is_encoded(self, index: int) -> bool:
        return self.target.clips[index].treatment is Treatment.ENCODE

    def _bare(self, index: int) -> ClipEncode:
        """Say what is known of a clip without its file."""
        facts = self.plan.clips[index].facts
        frame_count = self.target.clips[index].frame_count
        return ClipEncode(facts, Path("/"), frame_count, colour_of(facts), has_square_pixels(facts))

    def _work(self, index: int) -> ClipEncode:
        clip, work = self.plan.clips[index], self._bare(index)
        if clip.facts.duration_ms or not self._is_encoded(index):
            return work
        rate = self.target.picture.frame_rate
        capped = replace(work, frame_count=frames_kept(int(rate * UNKNOWN_LENGTH_MAX_SECONDS), clip.keep_ms, rate))
        return replace(work, frame_count=self.count(index, capped, self.label(index)))

    def _tasks(self, index: int, work: ClipEncode, later_count: int) -> ClipTasks:
        pictures: tuple[EncodeTask, ...] = ()
        if self._is_encoded(index):
            chunks = self._chunks(index, work, later_count)
            pictures = tuple(self._chunk_task(index, work, number, frames) for number, frames in enumerate(chunks))
        sound = self._sound_task(index, work) if self.target.sound else None
        return ClipTasks(index, work.frame_count, pictures, sound)

    def _chunks(self, index: int, work: ClipEncode, later_count: int) -> list[range]:
        has_index = _has_index(self.plan.clips[index])
        cut = cut_of(self.target)
        *chunks, last = chunks_of(work.frame_count, cut, later_count=later_count, has_index=has_index)
        if index + 1 in self.plan.continued_clips and has_index and len(last) > 1:
            # The last frame alone: where the next clip repeats it, it is left out.
            return [*chunks, last[:-1], last[-1:]]
        return [*chunks, last]

    def _chunk_task(self, index: int, work: ClipEncode, number: int, frames: range) -> EncodeTask:
        clip = self.plan.clips[index]
        seek = _has_index(clip) and number > 0

        def args(output: Path, encoder: str, *, seek: bool) -> list[str]:
            there = replace(work, source=self.inputs.path(index))
            return chunk_args(there, self.target, frames, output, encoder, seek=seek)

        return EncodeTask(
            name=f"clip-{index}-chunk-{number:05}",
            label=self.label(index),
            segment_index=clip.segment_index,
            frame_count=len(frames),
            args=partial(args, seek=seek),
            digest=self._digest(index, work, "picture", frames.start, frames.stop),
            careful_args=partial(args, seek=False) if seek else None,
            skipped_frames=frames.start,
        )

    def _sound_task(self, index: int, work: ClipEncode) -> EncodeTask:
        def args(output: Path, encoder: str) -> list[str]:
            del encoder
            return sound_args(replace(work, source=self.inputs.path(index)), self.target, output)

        return EncodeTask(
            name=f"clip-{index}-sound-{work.frame_count}",
            label=f"the sound of {self.label(index)}",
            segment_index=self.plan.clips[index].segment_index,
            frame_count=0,
            args=args,
            digest=self._digest(index, work, "sound", 0, work.frame_count),
        )

    def _digest(self, index: int, work: ClipEncode, what: str, start: int, end: int) -> str:
        clip, target = self.plan.clips[index], self.target
        source = (clip.uri, clip.generation, clip.facts.to_json(), work.colour, work.square_pixels)
        return digest_of(what, *source, target.picture, target.sound, target.quality, target.fit.value, start, end)


def _has_index(clip: PlannedClip) -> bool:
    in_fragments = any("fragmented" in obstacle for obstacle in clip.facts.obstacles)
    return clip.facts.container in _SEEKABLE_CONTAINERS and clip.facts.duration_ms > 0 and not in_fragments


def warnings_of(tasks: FilmTasks, done: Mapping[str, Manifest]) -> list[str]:
    """Say what people should know: why clips were encoded, and what was odd about them."""
    said = []
    for index, clip in tasks.clips.items():
        number, treated = tasks.plan.clips[index].segment_index + 1, tasks.target.clips[index]
        what = "it" if clip.pictures else "its sound"
        said.append(f"clip {number}: {what} was encoded: {'; '.join(treated.reasons)}")
        complaints = _complaints(clip, done)
        if complaints:
            said.append(f"clip {number}: parts are damaged: {complaints[-1]}")
    return said


def _complaints(clip: ClipTasks, done: Mapping[str, Manifest]) -> Sequence[str]:
    return [complaint for task in clip.tasks if task.name in done for complaint in done[task.name].complaints]
