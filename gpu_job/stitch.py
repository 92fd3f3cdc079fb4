"""One stitch from plan to uploaded film: fetch, encode what is odd, splice, read back, upload.

The report is uploaded before the film, since the film's arrival is what tells the world that the stitch is done.
Run twice on the same plan, the second run finds both and does nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from adapters.film_report import report_of, written_report
from events.clip import StitchReport
from events.errors import StitchFailed
from events.plan import StitchPlan
from gpu_job.clips import ClipWork, Pieces, fetch_clips
from gpu_job.ffmpeg import FFmpeg
from gpu_job.objects import Objects
from gpu_job.reporter import Reporter
from gpu_job.workspace import require_space, workspace
from media.film_tags import tags_of
from media.size import encoded_bytes_max
from media.target import choose_target
from media.treatment import Target, Treatment
from media.write import splice_files

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


def stitch(plan: StitchPlan, tools: Tools) -> StitchReport:
    """Make the plan's film and upload it with its report; says how far it is on the way.

    Raises:
        ClipFailed: one clip is the reason; carries the segment's index and the error.
        PipelineError: anything else, see `gpu_job/exits.py`.
    """
    if done := finished_report(plan, tools.objects):
        tools.reporter.progress(_UPLOADED, "The film was there already.")
        return done
    with workspace(tools.work, plan.job_id) as folder:
        target = choose_target(plan)
        report = _made(plan, target, tools, folder)
        tools.reporter.progress(_SPLICED, "Uploading the film…")
        _publish(plan, report, tools.objects, folder)
    tools.reporter.progress(_UPLOADED, "The film is there.")
    return report


def finished_report(plan: StitchPlan, objects: Objects) -> StitchReport | None:
    """Give the report of an earlier run of this very plan whose film is there; None if there was none."""
    uploaded, size_bytes = objects.read(plan.report_uri), objects.size_bytes(plan.output_uri)
    return None if uploaded is None or size_bytes is None else report_of(plan, uploaded, size_bytes)


def _made(plan: StitchPlan, target: Target, tools: Tools, folder: Path) -> StitchReport:
    """Make the film at `film_path(folder)` and give its report."""
    _require_room(plan, target, tools, folder)
    sources = fetch_clips(plan, tools.objects, folder, _part(tools, 0, _FETCHED))
    pieces = _encoded(plan, target, tools, sources, folder)
    try:
        return _spliced(plan, pieces, tools, folder)
    except StitchFailed as exc:
        if target.reference_index is None or not _is_mixed(target):
            raise
        # Copies and encoded clips would not go together after all: an encoder with habits that headers do not show.
        # All encoded alike always go together.
        whole = choose_target(plan, copy=False)
        _require_room(plan, whole, tools, folder)
        report = _spliced(plan, _encoded(plan, whole, tools, sources, folder), tools, folder)
        said = f"everything was encoded, since clips kept as they are could not be joined with encoded ones: {exc}"
        return report.model_copy(update={"warnings": [said, *report.warnings]})


def _is_mixed(target: Target) -> bool:
    return len({clip.treatment for clip in target.clips}) > 1


def _require_room(plan: StitchPlan, target: Target, tools: Tools, folder: Path) -> None:
    fetched = sum(tools.objects.copy_bytes(clip.uri, clip.facts.size_bytes) for clip in plan.clips)
    encoded = copied = 0
    for clip, treated in zip(plan.clips, target.clips, strict=True):
        if treated.treatment is Treatment.ENCODE:
            encoded += encoded_bytes_max(target, treated.frame_count)
        elif treated.treatment is Treatment.SOUND:
            encoded += clip.facts.size_bytes
        else:
            copied += clip.facts.size_bytes
    # What was encoded is there twice for a while: as clips, and in the film.
    require_space(folder, fetched + copied + 2 * encoded, f"stitch {len(plan.clips)} clips of job {plan.job_id}")


def _encoded(plan: StitchPlan, target: Target, tools: Tools, sources: list[Path], folder: Path) -> Pieces:
    note = tools.reporter.note
    work = ClipWork(
        plan,
        target,
        cache(tools.ffmpeg),
        stall_seconds=tools.stall_seconds,
        on_note=note,
        expects_card=tools.expects_card,
    )
    return work.run(sources, folder, _part(tools, _FETCHED, _ENCODED))


def _spliced(plan: StitchPlan, pieces: Pieces, tools: Tools, folder: Path) -> StitchReport:
    """Join the pieces, and make sure that the film holds every frame of every one."""

    def on_bytes(written: int, total: int) -> None:
        tools.reporter.share(_ENCODED, _SPLICED, written / max(1, total), "Joining clips…")

    # It reads the film back and compares it with the clips it was given; what those should hold is known only here.
    tags = tags_of(plan)
    report = splice_files(pieces.paths, film_path(folder), keep_ms=pieces.keep_ms, progress=on_bytes, tags=tags)
    expected = sum(pieces.frame_counts)
    if report.frame_count != expected:
        raise StitchFailed(f"read the film back: it has {report.frame_count} frames, its clips have {expected}")
    return report.model_copy(
        update={
            "encoded_clips": pieces.encoded,
            "encoder": pieces.encoder if pieces.encoded else None,
            "warnings": [*pieces.warnings, *report.warnings],
        }
    )


def film_path(folder: Path) -> Path:
    """Give where the film lies before it is uploaded."""
    return folder / "film.mp4"


def _publish(plan: StitchPlan, report: StitchReport, objects: Objects, folder: Path) -> None:
    paper = folder / "report.json"
    paper.write_bytes(written_report(plan, report))
    # Report first: whoever sees the film arrive finds its report there.
    objects.publish(paper, plan.report_uri)
    objects.publish(film_path(folder), plan.output_uri)


def _part(tools: Tools, first: int, last: int) -> Callable[[float, str], None]:
    return lambda share, message: tools.reporter.share(first, last, share, message)
