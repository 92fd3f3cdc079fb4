"""Finding and looking at the clips and films that landed in the object store."""

from __future__ import annotations

from dataclasses import dataclass

from events.clip import Clip, StitchReport
from events.errors import NotFound, PreconditionFailed, StitchFailed
from events.names import LAST_FRAME, SegmentObject, parse_object_name, parse_uri, segment_prefix, stitch_name
from events.requests import Settings
from functions.object_reader import ObjectReader
from functions.services import Services
from pipeline import facts
from pipeline.object_port import ObjectInfo


@dataclass(frozen=True, slots=True)
class Landed:
    """A clip that lies under its segment's own prefix."""

    info: ObjectInfo
    place: SegmentObject


def is_clip(place: SegmentObject) -> bool:
    """Tell whether an object under a segment's prefix is a clip and no paper of ours."""
    return place.filename.lower().endswith(".mp4")


def find_landed(services: Services, job_id: str, segment_index: int, attempt: int) -> Landed | None:
    """Look for the clip of one attempt; None if nothing has landed."""
    prefix = f"gs://{services.bucket}/{segment_prefix(job_id, segment_index, attempt)}"
    for info in services.objects.list(prefix):
        place = parse_object_name(parse_uri(info.uri).name)
        if isinstance(place, SegmentObject) and is_clip(place):
            return Landed(info, place)
    return None


def look_at(services: Services, info: ObjectInfo) -> Clip:
    """Probe a clip by ranged reads.

    Raises:
        BadMedia: it is no usable clip; the text says what it is instead.
        NotFound: it is gone.
    """
    from media.probe import probe

    facts_read = probe(ObjectReader(services.objects, info), parse_uri(info.uri).name.rsplit("/", 1)[-1])
    return Clip(uri=info.uri, generation=info.generation, facts=facts_read)


def keep_last_frame(services: Services, landed: Landed) -> str:
    """Store a clip's last frame beside it, for the segment that is chained to it; safe to repeat.

    Returns:
        `gs://bucket/object` of the PNG.
    """
    from media.last_frame import last_frame_png

    place = landed.place
    prefix = segment_prefix(place.job_id, place.segment_index, place.attempt)
    uri = f"gs://{services.bucket}/{prefix}{LAST_FRAME}"
    if services.objects.stat(uri) is None:
        png = last_frame_png(ObjectReader(services.objects, landed.info), place.filename)
        try:
            services.objects.write(uri, png, if_generation=0)
        except PreconditionFailed:
            return uri  # somebody else stored the same frame first
    return uri


def film_done(services: Services, job_id: str, attempt: int, info: ObjectInfo) -> facts.StitchDone:
    """Read a finished film back and hold it against its stitcher's report.

    Raises:
        StitchFailed: the film is not what the report says, or there is no report.
        BadMedia: the film is no playable video.
    """
    report = _report(services, job_id, attempt)
    seen = look_at(services, info).facts
    same = (seen.frame_count, seen.width_px, seen.height_px, seen.size_bytes)
    said = (report.frame_count, report.width_px, report.height_px, report.size_bytes)
    if same != said:
        text = f"frames, width, height and bytes are {same}, reported were {said}"
        raise StitchFailed(f"read back the film of {job_id}: {text}", code="film_is_wrong", retryable=True)
    kept = _at_output_path(services, job_id, info)
    return facts.StitchDone(attempt=attempt, uri=kept.uri, generation=kept.generation, report=report)


def _at_output_path(services: Services, job_id: str, film: ObjectInfo) -> ObjectInfo:
    """Put the film where its request wants it, within the store; without such a wish it stays where it is."""
    wanted = Settings.from_json(services.jobs.load(job_id).settings).output_path
    return film if wanted is None else services.objects.compose(wanted, [film.uri])


def _report(services: Services, job_id: str, attempt: int) -> StitchReport:
    uri = f"gs://{services.bucket}/{stitch_name(job_id, attempt, 'report.json')}"
    try:
        return StitchReport.from_json(services.objects.read(uri))
    except NotFound as exc:
        text = f"read back the film of {job_id}: its report {uri} is missing"
        raise StitchFailed(text, code="film_is_wrong", retryable=True) from exc
