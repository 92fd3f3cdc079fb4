"""The splice in an object store: a new index over the old bytes, composed with them; no media byte is moved.

A film is made within the call that orders it: each clip's index and the sound around each join are read by ranges,
a header object is written, and the store composes header and clips. It takes about as long as a few requests.
"""

from __future__ import annotations

import logging
from concurrent.futures import Executor, ThreadPoolExecutor
from math import ceil

from adapters.film_report import report_of
from events.errors import NotFound, PipelineError, PreconditionFailed, Unavailable
from events.log_lines import fields
from events.names import parse_uri, stitch_name
from events.plan import Engine, StitchPlan
from pipeline.object_port import ObjectStore
from pipeline.prices import (
    FUNCTION_VCPU_SECOND_MICRO_USD,
    GIB_SECOND_MICRO_USD,
    READ_REQUEST_NANO_USD,
    WRITE_REQUEST_NANO_USD,
)
from pipeline.routing import Offer, Refusal, chain_drawback
from pipeline.work_ports import FilmReady, Gone

log = logging.getLogger("longreel.splice")

#: Requests that read, as counted on clips of 8 seconds: a look at each clip, two ranges for its index, a glance at its
#: first frame in the film; and the packets of sound around a join, which lie between pictures.
_READS_PER_CLIP, _READS_PER_JOIN = 4, 5
#: Requests that write besides one compose for every 31 clips: header, report, the film's own name, and the clearing up.
_WRITES_PER_FILM, _CLIPS_PER_COMPOSE = 4, 31
#: How long a film takes, of which most is the time of requests that wait for each other; and more for every clip.
_FILM_MS, _CLIP_MS = 1500, 40


class ComposeSplice:
    """The engine `splice` where clips and film lie in one bucket of an object store.

    Args:
        objects: the store.
        workers: how many requests are made at the same time.
    """

    def __init__(self, objects: ObjectStore, workers: int = 16) -> None:
        self._objects = objects
        self._workers = workers

    @property
    def name(self) -> Engine:
        """Tell that it is the splice."""
        return Engine.SPLICE

    def offer(self, plan: StitchPlan) -> Offer | Refusal:
        """Offer to splice clips that conform and lie where the film is to lie."""
        # Imported only here, where a film is about to be made.
        from media.target import everything_conforms

        if reason := _other_bucket(plan):
            return Refusal(reason)
        if plan.fail_on_seams:
            return Refusal("bad joins are to be errors, and nothing is decoded here that could tell")
        if reasons := everything_conforms(plan):
            more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
            return Refusal(f"{reasons[0]}{more}")
        duration_ms = _FILM_MS + _CLIP_MS * len(plan.clips)
        return Offer(
            price_micro_usd=_price_micro_usd(len(plan.clips), duration_ms),
            duration_ms=duration_ms,
            reason="every clip conforms, so no frame is encoded and no media byte is moved",
            # Whether a frame is repeated only its picture tells, and nothing is decoded here.
            drawback=chain_drawback(plan),
        )

    def start(self, plan: StitchPlan) -> FilmReady:
        """Make the film, or find it made; whatever was needed on the way is gone afterwards.

        Raises:
            StitchFailed: a clip is gone, was changed or is unusable; or (retryable) the film is not what it should be.
            Unavailable: the store did not answer, or another call is making the same film.
        """
        with ThreadPoolExecutor(self._workers, thread_name_prefix="splice") as pool:
            try:
                return self._finished(plan) or self._made(plan, pool)
            finally:
                self._clear_up(plan, pool)

    def poll(self, operation: str) -> Gone:
        """Say that nothing goes on: a film is made within the call that orders it."""
        return Gone()

    def cancel(self, operation: str) -> None:
        """Do nothing, as nothing goes on."""

    def _finished(self, plan: StitchPlan) -> FilmReady | None:
        """Give the film of this very plan, if it is there."""
        film = self._objects.stat(plan.output_uri)
        if film is None:
            return None
        try:
            report = report_of(plan, self._objects.read(plan.report_uri), film.size_bytes)
        except NotFound:
            return None
        return FilmReady(plan.output_uri, film.generation, report) if report is not None else None

    def _made(self, plan: StitchPlan, pool: Executor) -> FilmReady:
        # Imported only here: whoever never splices does not pay for it.
        from adapters.compose_film import FilmInTheMaking

        try:
            film, report = FilmInTheMaking(self._objects, plan, _prefix_uri(plan), pool).make()
        except (NotFound, PreconditionFailed) as exc:
            # Another call for the same attempt was quicker, and has cleared up behind itself.
            if (finished := self._finished(plan)) is not None:
                return finished
            text = f"make the film of {plan.job_id}: another call seems to be making it too ({exc.message})"
            raise Unavailable(text) from exc
        return FilmReady(plan.output_uri, film.generation, report)

    def _clear_up(self, plan: StitchPlan, pool: Executor) -> None:
        """Delete what this and earlier calls for this attempt have left; what cannot be deleted is only logged."""
        try:
            left = [info.uri for info in self._objects.list(_prefix_uri(plan))]
            for _ in pool.map(self._objects.delete, left):
                pass
        except PipelineError as exc:
            log.warning("%s", exc, extra=fields(action="splice_not_cleared_up", job_id=plan.job_id))


def _prefix_uri(plan: StitchPlan) -> str:
    """Give where everything lies that this attempt makes on the way."""
    return f"gs://{parse_uri(plan.output_uri).bucket}/{stitch_name(plan.job_id, plan.attempt, 'splice/')}"


def _other_bucket(plan: StitchPlan) -> str | None:
    """Say which clip lies in another bucket than the film: a store composes only within one."""
    wanted = parse_uri(plan.output_uri).bucket
    for clip in plan.clips:
        bucket = parse_uri(clip.uri).bucket
        if bucket != wanted:
            return (
                f"clip {clip.segment_index + 1} lies in bucket {bucket} and the film is to lie in {wanted}; "
                "objects are composed only within one bucket"
            )
    return None


def _price_micro_usd(clip_count: int, duration_ms: int) -> int:
    reads = _READS_PER_CLIP * clip_count + _READS_PER_JOIN * (clip_count - 1)
    writes = _WRITES_PER_FILM + ceil(clip_count / _CLIPS_PER_COMPOSE)
    requests_nano = reads * READ_REQUEST_NANO_USD + writes * WRITE_REQUEST_NANO_USD
    # One processor and at most a gibibyte, for as long as it takes.
    running_nano = duration_ms * (FUNCTION_VCPU_SECOND_MICRO_USD + GIB_SECOND_MICRO_USD)
    return ceil((requests_nano + running_nano) / 1000)
