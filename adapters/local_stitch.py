"""The embedded stitcher: a splice in this process where every clip conforms, else `gpu_job` as a child process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from adapters.disk import DiskObjectStore
from adapters.given_clip import clip_name
from adapters.local_process import run_stitch_program
from adapters.local_queue import LocalQueue
from events.errors import StitchFailed
from events.messages import LocalStitch, Topic
from events.names import parse_uri, stitch_name
from events.plan import Engine, StitchPlan
from pipeline.commands import Outgoing
from pipeline.records import Route
from pipeline.routing import chain_drawback
from pipeline.work_ports import Gone, Running, Started, Stopped

SPLICE, CPU = Engine.SPLICE, Engine.CPU

#: Called with percent, 0–100, while the film is made; raises to stop.
OnProgress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class LocalStitcher:
    """Orders films through the queue, so that a stitch survives the process that ordered it."""

    queue: LocalQueue
    objects: DiskObjectStore
    #: A system ffmpeg that the user named; None for the one that came with pip.
    ffmpeg: str | None = None

    def route(self, plan: StitchPlan) -> Route:
        """Splice what conforms; encode what does not, and what lies around the joins of a chain.

        Raises:
            StitchFailed: the request asks for a splice, and a clip does not conform.
        """
        from media.target import everything_conforms

        reasons = everything_conforms(plan)
        drawback = chain_drawback(plan)
        more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
        if plan.engine is SPLICE and reasons:
            raise StitchFailed(f"splice the film, as the request asks: {reasons[0]}{more}", code="engine_refused")
        if not reasons and (plan.engine is SPLICE or not (plan.engine is CPU or drawback)):
            warnings = (f"The film is made by {SPLICE}: {drawback}.",) if drawback else ()
            why = "every clip conforms, so no frame is encoded"
            return Route(SPLICE, why, losers=(f"{CPU}: not needed",), warnings=warnings)
        why = f"{reasons[0]}{more}" if reasons else drawback or "the request asks for it"
        return Route(CPU, why, losers=(f"{SPLICE}: {why}",))

    def start(self, plan: StitchPlan, route: Route) -> Started:
        """Write the plan and queue the work; safe to repeat for the same attempt."""
        plan_uri = f"gs://{parse_uri(plan.output_uri).bucket}/{stitch_name(plan.job_id, plan.attempt, 'plan.json')}"
        self.objects.write(plan_uri, plan.to_json().encode())
        if not self.queue.holds(Topic.LOCAL_STITCH, plan.job_id, plan.attempt):
            message = LocalStitch(job_id=plan.job_id, attempt=plan.attempt, plan_uri=plan_uri)
            self.queue.publish([Outgoing(message)])
        return Started(f"{route.stitcher}/{plan.job_id}/{plan.attempt}")

    def poll(self, operation: str) -> Running | Stopped | Gone:
        """Ask whether the work is still queued or being done."""
        _, job_id, attempt = operation.split("/")
        return Running() if self.queue.holds(Topic.LOCAL_STITCH, job_id, int(attempt)) else Gone()

    def cancel(self, operation: str) -> None:
        """Do nothing: whoever makes the film asks from time to time whether somebody waits for it."""

    def make(self, message: LocalStitch, on_progress: OnProgress) -> None:
        """Make one film and store it with its report; called by a worker thread.

        Raises:
            StitchFailed: the film cannot be made; names the clip to blame where there is one.
            DiskFull: the disk is full.
            Unavailable: the child process died; another try may succeed.
        """
        plan = StitchPlan.from_json(self.objects.read(message.plan_uri))
        if self.objects.announce(plan.output_uri):
            return
        on_progress(0)
        self._refuse_changed(plan)
        if self.route(plan).stitcher == SPLICE:
            self._splice(plan, on_progress)
        else:
            run_stitch_program(self.objects, message.plan_uri, self.ffmpeg, on_progress, larger=plan.larger)
            self.objects.announce(plan.output_uri)

    def _refuse_changed(self, plan: StitchPlan) -> None:
        """Refuse clips that are not what was looked at; a clip that came in by a link may be edited by its owner."""
        for clip in plan.clips:
            info = self.objects.stat(clip.uri)
            if info is None or info.generation != clip.generation:
                what = "is gone" if info is None else "was changed"
                text = f"{clip_name(clip.uri)} {what} after it was looked at"
                raise StitchFailed(text, code="clip_changed", segment_index=clip.segment_index)

    def _splice(self, plan: StitchPlan, on_progress: OnProgress) -> None:
        from media.film_tags import tags_of
        from media.seam_report import with_seams
        from media.write import splice_files

        paths = [self.objects.path(clip.uri) for clip in plan.clips]

        def on_bytes(done: int, total: int) -> None:
            on_progress(100 * done // total if total else 100)

        with self.objects.part(plan.output_uri) as part:
            keep_ms = [clip.keep_ms for clip in plan.clips]
            report = splice_files(paths, part, keep_ms=keep_ms, progress=on_bytes, tags=tags_of(plan))
            report = with_seams(report, plan, part)
            # The report first: the film's own finalize event means that everything is there.
            self.objects.write(plan.report_uri, report.to_json().encode())
            self.objects.finish(part, plan.output_uri)
