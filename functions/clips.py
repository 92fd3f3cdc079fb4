"""Finding and looking at the clips that landed in the object store."""

from __future__ import annotations

from dataclasses import dataclass

from events.clip import Clip
from events.errors import PreconditionFailed
from events.names import LAST_FRAME, SegmentObject, parse_object_name, parse_uri, segment_prefix
from functions.services import Services
from pipeline.object_port import ObjectInfo
from pipeline.object_reader import ObjectReader


@dataclass(frozen=True, slots=True)
class Landed:
    """A clip that lies under its segment's own prefix."""

    info: ObjectInfo
    place: SegmentObject


def is_clip(place: SegmentObject) -> bool:
    """Tell whether an object under a segment's prefix is a clip and no paper of ours."""
    return place.filename.lower().endswith(".mp4")


def find_landed(services: Services, job_id: str, segment_index: int, latest: int) -> list[Landed]:
    """Give every clip of a segment's attempts up to `latest`: the latest attempt first, then by name."""
    of_all_attempts = segment_prefix(job_id, segment_index, 1).removesuffix("1/")
    found = []
    for info in services.objects.list(f"gs://{services.bucket}/{of_all_attempts}"):
        place = parse_object_name(parse_uri(info.uri).name)
        if isinstance(place, SegmentObject) and is_clip(place) and place.attempt <= latest:
            found.append(Landed(info, place))
    return sorted(found, key=lambda landed: (-landed.place.attempt, landed.place.filename))


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
