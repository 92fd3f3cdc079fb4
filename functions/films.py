"""Finding finished films and reading them back: a job is completed by what lies there, not by what was said."""

from __future__ import annotations

import logging
from typing import TypeGuard

from events.clip import ClipFacts, StitchReport
from events.errors import BadMedia, NotFound, PreconditionFailed, StitchFailed, Unavailable
from events.log_lines import fields
from events.names import FILM, OutputObject, output_name, parse_object_name, parse_uri, stitch_name
from events.plan import Engine, StitchPlan
from events.requests import Settings
from functions import clips
from functions.film_report import report_from_plan
from functions.services import Services
from pipeline import facts
from pipeline.object_port import ObjectInfo
from pipeline.records import Job, JobState

log = logging.getLogger("longreel.films")


def is_film(place: OutputObject) -> bool:
    """Tell whether an object under a job's output prefix is the film, and nothing that somebody put beside it."""
    return place.filename == FILM


def find_film(services: Services, job: Job) -> facts.StitchDone | None:
    """Look for a film of any attempt, the latest first; None if there is none that can be taken.

    Raises:
        StitchFailed, BadMedia: the film of the present attempt is wrong; an earlier one's is only passed over.
    """
    for place, info in _landed(services, job):
        try:
            return film_done(services, job, place.attempt, info)
        except (StitchFailed, BadMedia, NotFound) as exc:
            if place.attempt == job.stitch.attempt:
                raise
            log.warning("%s", exc, extra=fields(action="film_passed_over", job_id=job.job_id))
    return None


def film_done(services: Services, job: Job, attempt: int, info: ObjectInfo) -> facts.StitchDone:
    """Read a finished film back, and hold it against its stitcher's report and the job's segments.

    Raises:
        StitchFailed: the film is not what the report says, there is no report, or it does not hold every clip once.
        BadMedia: the film is no playable video.
        NotFound: this version of the film is gone.
    """
    seen = clips.look_at(services, info).facts
    report = _report(services, job.job_id, attempt, seen)
    same = (seen.frame_count, seen.width_px, seen.height_px, seen.size_bytes)
    said = (report.frame_count, report.width_px, report.height_px, report.size_bytes)
    if same != said:
        raise _wrong(job.job_id, f"frames, width, height and bytes are {same}, reported were {said}")
    held = len(report.joins) + 1
    if held != job.done_count:
        # Such as a film that was made before one of its clips was left out.
        raise _wrong(job.job_id, f"it holds {held} clips, but {job.done_count} segments are done")
    kept = at_output_path(services, job, info)
    return facts.StitchDone(attempt=attempt, uri=kept.uri, generation=kept.generation, report=report)


def _landed(services: Services, job: Job) -> list[tuple[OutputObject, ObjectInfo]]:
    of_all_attempts = output_name(job.job_id, 1).removesuffix(f"1/{FILM}")
    found = []
    for info in services.objects.list(f"gs://{services.bucket}/{of_all_attempts}"):
        place = parse_object_name(parse_uri(info.uri).name)
        if isinstance(place, OutputObject) and is_film(place) and place.attempt <= job.stitch.attempt:
            found.append((place, info))
    return sorted(found, key=lambda each: -each[0].attempt)


def at_output_path(services: Services, job: Job, film: ObjectInfo) -> ObjectInfo:
    """Put the film where its request wants it, within the store; without such a wish it stays where it is.

    Safe to repeat, also at the same time: whoever tells of a film names the same version.

    Raises:
        NotFound: the film is gone.
        Unavailable: somebody else wrote there in between.
    """
    wanted = Settings.from_json(job.settings).output_path
    # Nobody waits for the film of a job that was cancelled, and its successor's may lie there already.
    if wanted is None or job.state in (JobState.COMPLETED, JobState.CANCELLED):
        return film
    # An event does not tell the checksum.
    film = services.objects.stat(film.uri) or film
    present = services.objects.stat(wanted)
    if _is_copy(present, film):
        return present
    try:
        return services.objects.compose(wanted, [film.uri], present.generation if present else 0)
    except PreconditionFailed as exc:
        if _is_copy(present := services.objects.stat(wanted), film):
            return present
        raise Unavailable(f"put the film of {job.job_id} at {wanted}: somebody else wrote there just now") from exc


def _is_copy(present: ObjectInfo | None, film: ObjectInfo) -> TypeGuard[ObjectInfo]:
    """Tell whether an object is the film by its checksum; never where the store keeps none."""
    if present is None or film.crc32c is None:
        return False
    return (present.size_bytes, present.crc32c) == (film.size_bytes, film.crc32c)


def _report(services: Services, job_id: str, attempt: int, film: ClipFacts) -> StitchReport:
    if (report := _paper(services, job_id, attempt, "report.json")) is not None:
        return StitchReport.from_json(report)
    plan = _paper(services, job_id, attempt, "plan.json")
    if plan is not None and (ordered := StitchPlan.from_json(plan)).engine is Engine.TRANSCODER:
        # The Transcoder API writes no report, so the plan that its engine left vouches for its films.
        return report_from_plan(ordered, film)
    raise _wrong(job_id, f"its report {stitch_name(job_id, attempt, 'report.json')} is missing")


def _paper(services: Services, job_id: str, attempt: int, filename: str) -> bytes | None:
    try:
        return services.objects.read(f"gs://{services.bucket}/{stitch_name(job_id, attempt, filename)}")
    except NotFound:
        return None


def _wrong(job_id: str, text: str) -> StitchFailed:
    return StitchFailed(f"read back the film of {job_id}: {text}", code="film_is_wrong", retryable=True)
