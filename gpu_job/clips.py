"""The film's clips on their way in: fetched, and the odd ones encoded.

One after another: an encoder uses all cores anyway, and memory stays bounded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import partial
from pathlib import Path

from events.errors import BadMedia, PipelineError, PreconditionFailed
from events.plan import StitchPlan
from gpu_job.ffmpeg import Encoded, FFmpeg
from gpu_job.objects import Objects
from media.encoder import ClipEncode, count_args, encode_args, encoders_for
from media.mp4_index import read_movie
from media.reader import FileReader
from media.target import colour_of, frames_kept, has_square_pixels
from media.treatment import Target, Treatment
from media.trim import nearest_cut

#: How much of its length a clip may lack whose container tells the length only roughly; all others may lack none.
_ROUGH_SHARE = Fraction(1, 10)

#: Containers whose index counts the frames.
_EXACT_CONTAINERS = frozenset({"mp4", "mov"})


#: Longest clip whose headers do not tell its length: a bound on what a file with broken time stamps costs.
UNKNOWN_LENGTH_MAX_SECONDS = 4 * 3600

#: Hears a share of the work, 0 to 1, and what is at work.
OnShare = Callable[[float, str], None]


class ClipFailed(Exception):
    """One clip is the reason why there is no film."""

    def __init__(self, segment_index: int, error: PipelineError) -> None:
        super().__init__(error.message)
        #: Of the plan's segment, so that the caller can skip it where the job allows.
        self.segment_index = segment_index
        self.error = error


@dataclass
class Pieces:
    """What the film is spliced of, in order."""

    paths: list[Path] = field(default_factory=list)
    #: How much of each is shown, to the nearest clean cut; None for all of it.
    keep_ms: list[int | None] = field(default_factory=list)
    #: How many frames each shows.
    frame_counts: list[int] = field(default_factory=list)
    #: Indexes of clips whose picture was encoded.
    encoded: list[int] = field(default_factory=list)
    #: What people should know: why clips were encoded, what was odd about them.
    warnings: list[str] = field(default_factory=list)
    #: The encoder that was used, if any.
    encoder: str | None = None


def fetch_clips(plan: StitchPlan, objects: Objects, folder: Path, on_share: OnShare) -> list[Path]:
    """Give a local file for every clip of the plan, in its order.

    Raises:
        ClipFailed: a clip is missing, or is not the one that was probed.
    """
    paths = []
    for index, clip in enumerate(plan.clips):
        on_share(index / len(plan.clips), "Fetching clips…")
        try:
            path = objects.fetch(clip.uri, clip.generation, folder)
            found = path.stat().st_size
            if found != clip.facts.size_bytes:
                raise PreconditionFailed(
                    f"fetch {clip.uri}: it has {found} bytes, not the {clip.facts.size_bytes} that were planned"
                )
        except PipelineError as exc:
            raise ClipFailed(clip.segment_index, exc) from exc
        paths.append(path)
    return paths


class ClipWork:
    """Encodes the odd clips of one plan.

    Args:
        plan: the clips.
        target: what they become.
        ffmpeg: gives the program when the first clip needs it; a film of copies needs none.
        stall_seconds: how long FFmpeg may make no progress.
        on_note: hears what operators may want to know, such as why a faster encoder is not used.
        expects_card: whether a card is paid for, so that people are told where it is of no use.
    """

    def __init__(
        self,
        plan: StitchPlan,
        target: Target,
        ffmpeg: Callable[[], FFmpeg],
        *,
        stall_seconds: float,
        on_note: Callable[[str], None],
        expects_card: bool = False,
    ) -> None:
        self._plan = plan
        self._target = target
        self._ffmpeg = ffmpeg
        self._stall_seconds = stall_seconds
        self._note = on_note
        self._expects_card = expects_card
        self._pieces = Pieces()

    def run(self, sources: Sequence[Path], folder: Path, on_share: OnShare) -> Pieces:
        """Give the pieces of the film, encoding into `folder` what needs it.

        Args:
            sources: a local file for each clip of the plan.
            folder: for the encoded clips.
            on_share: hears how much of the work is done, and what is at work.

        Raises:
            ClipFailed: a clip cannot be decoded.
            PipelineError: FFmpeg is missing, hangs or was killed, or the disk is full.
        """
        todo = sum(t.frame_count for t in self._target.clips if t.treatment is not Treatment.COPY)
        done = 0
        for index, (clip, treated, source) in enumerate(
            zip(self._plan.clips, self._target.clips, sources, strict=True)
        ):
            message = f"Encoding clip {index + 1} of {len(sources)}…"
            try:
                if treated.treatment is Treatment.COPY:
                    self._add(source, treated.frame_count, clip.keep_ms)
                    continue
                self._make(index, source, folder, partial(_shared, on_share, done, todo, message))
            except BadMedia as exc:
                raise ClipFailed(clip.segment_index, exc) from exc
            done += treated.frame_count
        return self._pieces

    def _make(self, index: int, source: Path, folder: Path, on_frames: Callable[[int], None]) -> None:
        """Make one clip anew and note what came out."""
        clip, treated = self._plan.clips[index], self._target.clips[index]
        name = f"clip {clip.segment_index + 1} ({clip.uri})"
        work = ClipEncode(
            facts=clip.facts,
            source=source.absolute(),
            output=folder / f"encoded-{index}.mp4",
            treatment=treated.treatment,
            frame_count=treated.frame_count,
            colour=colour_of(clip.facts),
            square_pixels=has_square_pixels(clip.facts),
        )
        if not clip.facts.duration_ms:
            work = self._counted(work, name, clip.keep_ms)
        made = self._run(encode_args(work, self._target, self._encoder()), name, on_frames)
        if _breaks_off(work, made.frame_count, name):
            work = replace(work, frame_count=made.frame_count)
            made = self._run(encode_args(work, self._target, self._encoder()), name, on_frames)
        self._record(index, work, made)

    def _counted(self, work: ClipEncode, name: str, keep_ms: int | None) -> ClipEncode:
        """Count the frames of a clip whose headers do not tell its length, as those of a live recording do not."""
        rate = self._target.picture.frame_rate
        most = int(rate * UNKNOWN_LENGTH_MAX_SECONDS)
        capped = replace(work, frame_count=frames_kept(most, keep_ms, rate))
        made = self._run(count_args(capped, rate), name, lambda _: None)
        if not made.frame_count:
            raise BadMedia(f"decode {name}: there is no picture in it")
        return replace(work, frame_count=made.frame_count)

    def _run(self, args: list[str], name: str, on_frames: Callable[[int], None]) -> Encoded:
        return self._ffmpeg().encode(args, name, on_frames=on_frames, stall_seconds=self._stall_seconds)

    def _encoder(self) -> str:
        """Give the fastest encoder that works here, chosen once; says why faster ones do not."""
        if self._pieces.encoder is None:
            *faster, last = encoders_for(self._target)
            self._pieces.encoder = next((encoder for encoder in faster if self._works(encoder)), last)
        return self._pieces.encoder

    def _works(self, encoder: str) -> bool:
        problem = self._ffmpeg().encoder_problem(encoder, self._target)
        if problem:
            self._note(f"{encoder} is not used: {problem}")
            if self._expects_card:
                # People need FFmpeg's own words; where the program lies is for the log.
                why = problem.rpartition("] ")[2]
                self._pieces.warnings.append(f"The film was encoded without its card ({encoder}: {why}).")
        return problem is None

    def _add(self, path: Path, frame_count: int, keep_ms: int | None) -> None:
        self._pieces.paths.append(path)
        self._pieces.keep_ms.append(keep_ms)
        self._pieces.frame_counts.append(frame_count if keep_ms is None else _shown_frames(path, keep_ms))

    def _record(self, index: int, work: ClipEncode, made: Encoded) -> None:
        clip, treated = self._plan.clips[index], self._target.clips[index]
        # An encoded picture was made no longer than it is shown; one that is copied is cut when it is joined.
        encoded = treated.treatment is Treatment.ENCODE
        self._add(work.output, made.frame_count, None if encoded else clip.keep_ms)
        what = "its sound" if treated.treatment is Treatment.SOUND else "it"
        if encoded:
            self._pieces.encoded.append(index)
        said = f"clip {clip.segment_index + 1}: {what} was encoded: {'; '.join(treated.reasons)}"
        self._pieces.warnings.append(said)
        if made.complaints:
            self._pieces.warnings.append(f"clip {clip.segment_index + 1}: parts are damaged: {made.complaints[-1]}")


def _shown_frames(path: Path, keep_ms: int) -> int:
    with FileReader(path) as reader:
        return nearest_cut(read_movie(reader, path.name).video, keep_ms).frame_count


def _shared(on_share: OnShare, done: int, todo: int, message: str, frames: int) -> None:
    on_share((done + frames) / max(1, todo), message)


def _breaks_off(work: ClipEncode, made_count: int, name: str) -> bool:
    """Tell whether a clip turned out shorter than its headers say, within reason.

    Raises:
        BadMedia: so much shorter that it must be broken.
    """
    missing = work.frame_count - made_count
    if missing <= 0:
        return False
    allowed = 0 if work.facts.container in _EXACT_CONTAINERS else work.frame_count * _ROUGH_SHARE
    if missing > allowed or not made_count:
        raise BadMedia(f"decode {name}: its picture breaks off after {made_count} of {work.frame_count} frames")
    return True
