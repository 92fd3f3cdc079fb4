"""How much disk a stitch needs, known before it begins."""

from __future__ import annotations

from events.plan import StitchPlan
from gpu_job.chunks import chunk_frames
from gpu_job.objects import Objects
from gpu_job.parallel import process_count
from media.size import encoded_bytes_max
from media.treatment import Target, Treatment


def disk_bytes(plan: StitchPlan, target: Target, objects: Objects, processes: int | None = None) -> int:
    """Give the bytes that are there at most at a time: the clips, the film, and what is being made.

    Args:
        plan: the clips.
        target: what they become.
        objects: says which clips are copied here; where none is, finished pieces are kept on this very disk as well.
        processes: how many FFmpegs work at a time; None for what the machine can do.
    """
    fetched = sum(objects.copy_bytes(clip.uri, clip.facts.size_bytes) for clip in plan.clips)
    kept_here = objects.copy_bytes(plan.report_uri, 1) == 0
    made, copied = film_bytes(plan, target)
    under_way = processes or process_count(target, largest_px(plan))
    # One more: a finished piece is fetched again to be joined.
    in_hand = min(made, (under_way + 1) * chunk_bytes(target)) if made else 0
    return fetched + made + copied + in_hand + (made if kept_here else 0)


def film_bytes(plan: StitchPlan, target: Target) -> tuple[int, int]:
    """Give the bytes of a film, from above: those that are made for it, and those of clips that are copied."""
    made = copied = 0
    for clip, treated in zip(plan.clips, target.clips, strict=True):
        if treated.treatment is Treatment.ENCODE:
            made += encoded_bytes_max(target, treated.frame_count)
        else:
            copied += clip.facts.size_bytes
        if treated.treatment is Treatment.SOUND:
            made += encoded_bytes_max(target, 0)
    return made, copied


def chunk_bytes(target: Target) -> int:
    """Give the bytes of a chunk, from above."""
    encoded = (clip.frame_count for clip in target.clips if clip.treatment is Treatment.ENCODE)
    return encoded_bytes_max(target, chunk_frames(target, sum(encoded)))


def largest_px(plan: StitchPlan) -> int:
    """Give the pixels of the largest clip's picture."""
    return max(clip.facts.width_px * clip.facts.height_px for clip in plan.clips)
