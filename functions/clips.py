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


def keep_last_frame(
    services: Services, job_id: str, segment_index: int, attempt: int, clip: Clip, keep_ms: int | None
) -> str:
    """Store the last frame that is shown of a clip, for the segment that is chained to it; safe to repeat.

    Args:
        services: the outside.
        job_id: whose clip it is.
        segment_index: 0-based.
        attempt: 1-based; the frame is stored under its prefix.
        clip: what landed.
        keep_ms: how much of it is shown, in milliseconds; None for all of it.

    Returns:
        `gs://bucket/object` of the PNG.

    Raises:
        BadMedia: it cannot be decoded.
        NotFound: this version of the clip is gone.
    """
    from media.last_frame import last_frame_png

    uri = f"gs://{services.bucket}/{segment_prefix(job_id, segment_index, attempt)}{LAST_FRAME}"
    if services.objects.stat(uri) is None:
        info = ObjectInfo(clip.uri, clip.generation, clip.facts.size_bytes)
        png = last_frame_png(ObjectReader(services.objects, info), clip.uri.rsplit("/", 1)[-1], keep_ms)
        try:
            services.objects.write(uri, png, if_generation=0)
        except PreconditionFailed:
            return uri  # somebody else stored the same frame first
    return uri
