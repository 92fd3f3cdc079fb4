"""One stitch from plan to uploaded film: fetch, encode what is odd, splice, read back, upload.

The report is uploaded before the film, since the film's arrival is what tells the world that the stitch is done.
Run twice on the same plan, the second run finds both and does nothing. Run after a stop, it goes on where that was
(`gpu_job/manifest.py`). Run by several workers, each makes its share of the pieces, and the last one joins them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache, partial
from pathlib import Path

from adapters.film_report import report_of, written_report
from events.clip import StitchReport
from events.errors import StitchFailed, Unavailable
from events.plan import StitchPlan
from gpu_job.chain import Chain
from gpu_job.chunks import Share
from gpu_job.encode import Encoding
from gpu_job.fade_blame import made_windows
from gpu_job.fades import MadeFades, fade_work
from gpu_job.ffmpeg import FFmpeg
from gpu_job.film import PieceFile, Shelf, parts_of
from gpu_job.film_place import FilmPlace
from gpu_job.finish_sound import FinishedSound
from gpu_job.heartbeat import Beat, heartbeat
from gpu_job.inputs import Inputs
from gpu_job.leases import Holder
from gpu_job.manifest import checkpoint_folder, forget
from gpu_job.objects import Objects
from gpu_job.reporter import HEARTBEAT_SECONDS, Reporter
from gpu_job.tasks import EncodeTask
from gpu_job.workspace import workspace
from media.clip_file import ClipFile, DiskClip
from media.film_tags import tags_of
from media.loudness import needs_sound_work
from media.seam_report import with_seams
from media.target import choose_target
from media.treatment import Target, Treatment
from media.unwritten_film import UnwrittenFilm
from media.write import FilmPart, write_film

#: Where each part of the work stands in the whole, in percent. Encoding is nearly all of it where there is any.
_FETCHED, _ENCODED, _SPLICED, _UPLOADED = 4, 85, 97, 100


@dataclass(frozen=True, slots=True)
class Tools:
    """What a stitch works with."""

    objects: Objects
    reporter: Reporter
    #: Gives the FFmpeg to use; called only when a clip needs it.
    ffmpeg: Callable[[], FFmpeg]
    #: Folder for temporary files.
    work: Path
    #: How long FFmpeg may make no progress before it is stopped.
    stall_seconds: float
    #: Whether a card is paid for; a film that it could not encode says so in its warnings.
    expects_card: bool = False
    #: Which part of the encoding is ours.
    share: Share = field(default_factory=Share)
    #: Who we are among those that may want our lease.
    holder: Holder = field(default_factory=Holder)
    #: How long another worker may be silent before it counts as dead.
    lease_seconds: float = 30
    #: How many FFmpegs work at a time; None for what the machine can do.
    processes: int | None = None


def stitch(plan: StitchPlan, tools: Tools) -> StitchReport | None:
    """Make the plan's film and upload it with its report; says how far it is on the way.

    Returns:
        What came out; None where there is nothing more to do for us, since others are at it. The reporter says why.

    Raises:
        ClipFailed: one clip is the reason; carries the segment's index and the error.
        PipelineError: anything else, see `gpu_job/exits.py`.
    """
    if done := _done_before(plan, tools):
        # Whoever made it may have died before it had tidied up; or is just about to.
        with suppress(Unavailable), workspace(tools.work, plan.job_id):
            forget(tools.objects.store, checkpoint_folder(plan))
        return done
    with workspace(tools.work, plan.job_id) as folder:
        work = _Work(plan, tools, folder)
        if not work.is_encoding and tools.share.index:
            tools.reporter.note(f"worker {tools.share.index} has nothing to do: no clip is encoded")
            return None
        with heartbeat(work.beats, min(HEARTBEAT_SECONDS, tools.lease_seconds / 4)):
            return work.run()


def finished_report(plan: StitchPlan, objects: Objects) -> StitchReport | None:
    """Give the report of an earlier run of this very plan whose film is there; None if there was none."""
    uploaded, size_bytes = objects.read(plan.report_uri), objects.size_bytes(plan.output_uri)
    return None if uploaded is None or size_bytes is None else report_of(plan, uploaded, size_bytes)


def _done_before(plan: StitchPlan, tools: Tools) -> StitchReport | None:
    done = finished_report(plan, tools.objects)
    if done:
        tools.reporter.progress(_UPLOADED, "The film was there already.")
    return done


class _Work:
    """One worker's run on one plan."""

    def __init__(self, plan: StitchPlan, tools: Tools, folder: Path) -> None:
        self._plan = plan
        self._tools = tools
        self._folder = folder
        self._inputs = Inputs(plan, tools.objects, folder)
        self._target = choose_target(plan)
        is_odd = any(clip.treatment is not Treatment.COPY for clip in self._target.clips)
        self.is_encoding = is_odd or plan.has_fades
        self._chain = Chain(plan, self._target, folder)
        self._place = FilmPlace(plan, tools, folder, is_leased=False)
        #: The film, until its sound is made.
        self._unwritten: UnwrittenFilm | None = None
        #: What is done from time to time while we work.
        self.beats: list[Beat] = [self._beat]

    def run(self) -> StitchReport | None:
        """Do our share; whoever finds all of it done makes the film."""
        with self._inputs.blamed():
            if not self.is_encoding:
                parts = self._copies()
                if not self._chain.is_encoding(parts):
                    return self._published(self._chain.joined(parts, self._spliced))
            with self._leased(f"work-{self._tools.share.index}-of-{self._tools.share.count}") as is_ours:
                if not is_ours:
                    return None
                self._place = FilmPlace(self._plan, self._tools, self._folder, is_leased=True)
                # Whoever had the lease before us may have been as good as done.
                return _done_before(self._plan, self._tools) or self._encoded()

    def _encoded(self) -> StitchReport | None:
        if self._place.is_begun:
            # A run died whose film had bytes of pieces already; on a disk a lease that another has is an error.
            with self._leased("join"):
                self._place.undo()
        encoding = self._encoding(self._target)
        encoding.make_share()
        if not encoding.is_all_done():
            self._tools.reporter.note("our share is done; others are still at theirs, and the last one joins the film")
            return None
        with self._leased("join") as is_ours:
            if not is_ours:
                return None
            if done := _done_before(self._plan, self._tools):
                return done
            try:
                report = self._published(self._joined(encoding))
            except Exception:
                # What is encoded stays, whatever is wrong with the film.
                self._place.undo()
                raise
        forget(self._tools.objects.store, checkpoint_folder(self._plan))
        return report

    def _encoding(self, target: Target) -> Encoding:
        self._place.require_room(target, is_second=target is not self._target)
        return Encoding(self._plan, target, self._inputs, self._tools, self._folder, self._part(_FETCHED, _ENCODED))

    def _joined(self, encoding: Encoding) -> StitchReport:
        """Join the pieces; where copies and encoded clips do not go together, all is encoded."""
        try:
            return self._film(encoding)
        except StitchFailed as exc:
            target = encoding.target
            is_mixed = self._plan.has_fades or len({clip.treatment for clip in target.clips}) > 1
            if target.reference_index is None or not is_mixed:
                raise
            # An encoder with habits that headers do not show. All encoded alike always go together.
            whole = self._encoding(choose_target(self._plan, copy=False))
            report = self._film(whole)
            said = f"everything was encoded, since clips kept as they are could not be joined with encoded ones: {exc}"
            return report.model_copy(update={"warnings": [said, *report.warnings]})

    def _film(self, encoding: Encoding) -> StitchReport:
        tasks, done = encoding.tasks, encoding.finish()
        self._inputs.fetch(encoding.copied_indexes(), self._part(_ENCODED, _ENCODED))
        parts = parts_of(tasks, done, Shelf(self._tools.objects, self._folder))
        fades = self._fades(encoding, parts) if self._plan.has_fades else None
        report = fades.splice(self._spliced) if fades else self._chained(encoding, parts)
        around_joins = fades.frame_count if fades else report.encoded_frame_count or 0
        is_made = bool(around_joins) or any(clip.pictures for clip in tasks.clips.values())
        count, found = encoding.resumed()
        return report.model_copy(
            update={
                "encoded_clips": [index for index, clip in tasks.clips.items() if clip.pictures],
                "encoded_frame_count": encoding.encoded_frames(done) + around_joins,
                "encoder": encoding.encoder if is_made else None,
                "resumed_count": count or None,
                "resumed_from": found if count else None,
                "warnings": [*encoding.warnings(done), *report.warnings],
            }
        )

    def _fades(self, encoding: Encoding, parts: list[FilmPart]) -> MadeFades:
        """Render what lies around the joins."""
        work = fade_work(self._plan, encoding.target, [part.clip for part in parts], self._folder)
        self._place.require_fade_room(work, encoding.shop.processes)
        done = made_windows(work, encoding.shop, self._part(_FETCHED, _ENCODED))
        shelf = Shelf(self._tools.objects, self._folder)
        return MadeFades(work, {name: PieceFile(piece, shelf) for name, piece in done.items()})

    def _chained(self, encoding: Encoding, parts: list[FilmPart]) -> StitchReport:
        """Join the parts, and show once what a chained clip repeats."""
        target, shelf = encoding.target, Shelf(self._tools.objects, self._folder)
        chain = self._chain if target is self._target else Chain(self._plan, target, self._folder)

        def make(tasks: Sequence[EncodeTask]) -> dict[str, DiskClip]:
            done = encoding.shop.make(tasks, self._part(_ENCODED, _ENCODED))
            return {name: PieceFile(piece, shelf) for name, piece in done.items()}

        return chain.joined(parts, self._spliced, make)

    def _copies(self) -> list[FilmPart]:
        """Give the parts of a film of clips that are all kept as they are."""
        self._place.require_room(self._target, is_second=False)
        indexes = range(len(self._plan.clips))
        self._inputs.fetch(indexes, self._part(0, _FETCHED))
        files = {path: ClipFile(path) for path in dict.fromkeys(map(self._inputs.path, indexes))}
        clips = zip(indexes, self._plan.clips, strict=True)
        return [FilmPart(files[self._inputs.path(index)], clip.keep_ms) for index, clip in clips]

    def _spliced(self, parts: Sequence[FilmPart], starts: Sequence[Fraction] | None = None) -> StitchReport:
        """Join the parts, and make sure that the film holds every frame of every one; it may still need its sound."""
        tags = tags_of(self._plan)
        if needs_sound_work(self._plan):
            self._unwritten = UnwrittenFilm(parts, tags=tags, starts=starts)
            return self._unwritten.report
        # It reads the film back and compares it with the parts it was given; what those should hold was checked before.
        film, moving = self._place.film, self._place.moving(self._target)
        return write_film(parts, film, progress=self._on_bytes, tags=tags, starts=starts, moving=moving).to_report()

    def _on_bytes(self, written: int, total: int) -> None:
        self._tools.reporter.share(_ENCODED, _SPLICED, written / max(1, total), "Joining clips…")

    def _published(self, report: StitchReport) -> StitchReport:
        report = with_seams(self._sounding(report), self._plan, self._place.film)
        reporter, objects = self._tools.reporter, self._tools.objects
        reporter.progress(_SPLICED, "Uploading the film…")
        paper = self._folder / "report.json"
        paper.write_bytes(written_report(self._plan, report))
        # Report first: whoever sees the film arrive finds its report there.
        objects.publish(paper, self._plan.report_uri)
        objects.publish(self._place.film, self._plan.output_uri)
        reporter.progress(_UPLOADED, "The film is there.")
        return report

    def _sounding(self, report: StitchReport) -> StitchReport:
        """Make the sound of the whole film what the plan wishes, where it wishes anything."""
        if self._unwritten is None:
            return report
        tools = self._tools
        sound = FinishedSound(
            self._plan,
            self._place.film,
            self._folder,
            tools.objects,
            cache(tools.ffmpeg),
            moving=self._place.moving(self._target),
            stall_seconds=tools.stall_seconds,
            on_step=lambda text: tools.reporter.progress(_SPLICED, text),
        )
        return sound.finish(report, self._unwritten)

    @contextmanager
    def _leased(self, name: str) -> Iterator[bool]:
        """Hold a lease during the block, renewed by the heartbeat; False where another worker has it."""
        uri = f"{checkpoint_folder(self._plan)}{name}.lease"
        lease = self._tools.objects.lease(uri, self._tools.holder, self._tools.lease_seconds)
        if lease is None:
            self._tools.reporter.note(f"another worker is at it and alive ({uri}), so that there is nothing to do")
            yield False
            return
        # Who makes the film deletes the leases of all that are done; a container that ends itself is begun anew.
        is_made = partial(finished_report, self._plan, self._tools.objects)
        beat = lease.renew if name == "join" else lambda: lease.renew() or is_made() is not None
        with ExitStack() as stack:
            stack.callback(lease.release)
            self.beats.append(beat)
            stack.callback(self.beats.remove, beat)
            yield True

    def _beat(self) -> bool:
        self._tools.reporter.beat()
        return True

    def _part(self, first: int, last: int) -> Callable[[float, str], None]:
        return lambda share, message: self._tools.reporter.share(first, last, share, message)
