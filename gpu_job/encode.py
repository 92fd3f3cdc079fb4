"""Everything that is encoded for one film: the tasks, who makes them with what, and what is done of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from events.errors import BadMedia
from events.plan import StitchPlan
from gpu_job.clips import FilmTasks, warnings_of
from gpu_job.encoder_probe import Problem, find_problem
from gpu_job.inputs import Inputs
from gpu_job.manifest import Checkpoints, Manifest, checkpoint_folder
from gpu_job.memory import require_memory
from gpu_job.parallel import Workshop, frames_of, process_count
from gpu_job.room import are_kept_here, largest_px
from gpu_job.tasks import ClipFailed, EncodeTask, digest_of
from media.encoder import ClipEncode, count_args
from media.treatment import Target
from media.video_encoders import encoders_for

if TYPE_CHECKING:
    from gpu_job.stitch import Tools


class Encoding:
    """The encoding of one film by one worker.

    Args:
        plan: the clips.
        target: what they become.
        inputs: their files.
        tools: the worker's.
        folder: for what is under way.
        on_share: hears how much of the work is done.

    Raises:
        LimitExceeded, OutOfMemory: this machine has too little memory for pictures of that size.
        StitchFailed: there is no FFmpeg that can be used.
    """

    def __init__(
        self,
        plan: StitchPlan,
        target: Target,
        inputs: Inputs,
        tools: Tools,
        folder: Path,
        on_share: Callable[[float, str], None],
    ) -> None:
        # On one machine there is no larger one.
        require_memory(plan, target, may_grow=not are_kept_here(plan, tools.objects))
        self.target = target
        self._plan = plan
        self._inputs = inputs
        self._tools = tools
        self._on_share = on_share
        self._warnings: list[str] = []
        self._ffmpeg = tools.ffmpeg()
        #: What makes the pictures.
        self.encoder = self._chosen_encoder()
        made_by = f"{self.encoder} {self._ffmpeg.version}"
        self._checkpoints = Checkpoints(tools.objects, checkpoint_folder(plan), made_by)
        self.shop = Workshop(
            ffmpeg=self._ffmpeg,
            encoder=self.encoder,
            checkpoints=self._checkpoints,
            folder=folder,
            processes=tools.processes or process_count(target, largest_px(plan)),
            stall_seconds=tools.stall_seconds,
            note=tools.reporter.note,
        )

    @cached_property
    def tasks(self) -> FilmTasks:
        """Give all that is to be encoded, whoever does it."""
        return FilmTasks(self._plan, self.target, self._inputs, self._counted)

    def make_share(self) -> None:
        """Make what this worker has to make and is not done.

        Raises:
            ClipFailed: a clip is missing or cannot be decoded.
            PipelineError: see `Workshop.make`.
        """
        share = self._tools.share
        if share.count == 1:
            # All of them are needed here, and one that is missing is known before anything was encoded in vain.
            self._inputs.fetch(range(len(self._plan.clips)), lambda _, said: self._tools.reporter.progress(0, said))
        mine = share.of(self.tasks.tasks)
        self._checkpoints.note_run(share, frames_of(self._checkpoints.find(mine)))
        self.shop.make(mine, self._on_share)

    def is_all_done(self) -> bool:
        """Tell whether everybody's share is done."""
        return len(self._checkpoints.find(self.tasks.tasks)) == len(self.tasks.tasks)

    def finish(self) -> dict[str, Manifest]:
        """Give all pieces by name, making what is still missing: all of it, and new sound for shorter pictures.

        Raises:
            ClipFailed: a clip's picture breaks off.
        """
        done = self.shop.make(self.tasks.tasks, self._on_share)
        missing = (self.tasks.missing_sound(index, done) for index in self.tasks.clips)
        return done | self.shop.make([task for task in missing if task], self._on_share)

    def copied_indexes(self) -> list[int]:
        """Give the numbers of the clips whose picture goes into the film as it is."""
        made = {index for index, clip in self.tasks.clips.items() if clip.pictures}
        return [index for index in range(len(self._plan.clips)) if index not in made]

    def encoded_frames(self, done: Mapping[str, Manifest]) -> int:
        """Give how many frames were encoded."""
        pictures: list[EncodeTask] = [task for clip in self.tasks.clips.values() for task in clip.pictures]
        return sum(done[task.name].frame_count for task in pictures)

    def resumed(self) -> tuple[int, int]:
        """Give how many times the work was taken up again, and how many frames were found done the last time."""
        return self._checkpoints.resumed()

    def warnings(self, done: Mapping[str, Manifest]) -> list[str]:
        """Say what people should know about what was encoded."""
        return [*self._warnings, *warnings_of(self.tasks, done)]

    def _chosen_encoder(self) -> str:
        """Give the fastest encoder that works here; says why faster ones do not."""
        *faster, last = encoders_for(self.target)
        return next((encoder for encoder in faster if self._works(encoder)), last)

    def _works(self, encoder: str) -> bool:
        problem = find_problem(self._ffmpeg, encoder, self.target)
        if problem:
            self._tools.reporter.note(f"{encoder} is not used: {problem.why}; {problem.advice}")
            self._warnings.append(self._missed(encoder, problem))
        return problem is None

    def _missed(self, encoder: str, problem: Problem) -> str:
        if self._tools.expects_card or problem.has_card:
            return f"The film was encoded without its card ({encoder}: {problem.why}); {problem.advice}."
        # No card was ordered and none is there: nothing is amiss.
        return f"The film was encoded by this machine's processor, without a card ({encoder}: {problem.why})."

    def _counted(self, index: int, work: ClipEncode, label: str) -> int:
        """Count the frames of a clip whose headers do not tell its length, as those of a live recording do not."""
        clip, rate = self._plan.clips[index], self.target.picture.frame_rate
        name = f"count-{digest_of(clip.uri, clip.generation, rate, work.frame_count)[:16]}"
        count = self._checkpoints.remembered(name).get("frameCount")
        if isinstance(count, int) and 0 < count <= work.frame_count:
            return count
        args = count_args(ClipEncode(work.facts, self._inputs.path(index), work.frame_count, work.colour), rate)
        try:
            made = self._ffmpeg.encode(args, label, on_frames=lambda _: None, stall_seconds=self._tools.stall_seconds)
        except BadMedia as exc:
            raise ClipFailed(clip.segment_index, exc) from exc
        if not made.frame_count:
            raise ClipFailed(clip.segment_index, BadMedia(f"decode {label}: there is no picture in it"))
        self._checkpoints.remember(name, {"frameCount": made.frame_count})
        return made.frame_count
