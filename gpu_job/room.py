"""How much disk a stitch needs, known before it begins."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from events.clip import ClipFacts
from events.plan import StitchPlan
from gpu_job.chunks import cut_of
from gpu_job.objects import Objects
from gpu_job.parallel import process_count
from media.loudness import needs_sound_work
from media.moved_bytes import keeps_holes
from media.size import encoded_bytes_max, sound_bytes_max
from media.treatment import Target, Treatment
from media.window_args import window_quality

#: A clip whose headers do not tell how long it is becomes so many times as large at most, once it is encoded.
_UNKNOWN_GROWTH = 3


def disk_bytes(
    plan: StitchPlan, target: Target, objects: Objects, processes: int | None = None, *, is_moved: bool | None = None
) -> int:
    """Give the bytes that are there at most at a time: the clips, the film, and what is being made.

    Args:
        plan: the clips.
        target: what they become.
        objects: says which clips are copied here; where none is, finished pieces are kept on this very disk as well.
        processes: how many FFmpegs work at a time; None for what the machine can do.
        is_moved: whether the bytes of pieces that are kept here are moved into the film; None for `are_moved`.
    """
    if are_moved(plan, objects) if is_moved is None else is_moved:
        return _moving_bytes(plan, target, objects, processes)
    fetched = sum(objects.copy_bytes(clip.uri, clip.facts.size_bytes) for clip in plan.clips)
    made, copied = film_bytes(plan, target)
    windows = windows_bytes(plan, target)
    under_way = processes or process_count(target, largest_px(plan))
    # One more: a finished piece is fetched again to be joined.
    in_hand = min(made, (under_way + 1) * chunk_bytes(plan, target))
    if windows:
        # A frame of a clip is in two excerpts at most, and in one window.
        all_of_them = windows + 2 * (made + copied)
        in_hand = max(in_hand, min(all_of_them, (under_way + 1) * _window_bytes(plan, target)))
    kept = made + windows if are_kept_here(plan, objects) else 0
    film = made + copied + windows
    return fetched + kept + film + max(in_hand, _finishing_bytes(plan, target, objects))


def _moving_bytes(plan: StitchPlan, target: Target, objects: Objects, processes: int | None) -> int:
    """Give what is there where pieces move into the film: while they are made it is not there yet, and then they go."""
    made, copied = film_bytes(plan, target)
    windows = windows_bytes(plan, target)
    under_way = processes or process_count(target, largest_px(plan))
    # Of a window that is being rendered there are excerpts as well.
    in_hand = min(windows + 2 * (made + copied), under_way * _window_bytes(plan, target)) if windows else 0
    twice = twice_bytes(plan, target)
    return made + copied + windows + max(twice + _finishing_bytes(plan, target, objects), in_hand)


def twice_bytes(plan: StitchPlan, target: Target) -> int:
    """Give how many bytes of pieces may lie on the disk a second time, in the film, from above: those of one piece.

    That is a chunk, with the sound of its clip, which is a piece of its own; or what is rendered of a fade.
    """
    made, _ = film_bytes(plan, target)
    windows = windows_bytes(plan, target)
    sounds = [clip.frame_count for clip in target.clips if target.sound and clip.treatment is not Treatment.COPY]
    chunk = chunk_bytes(plan, target) + max((sound_bytes_max(target, count) for count in sounds), default=0)
    return min(made + windows, max(chunk, _window_bytes(plan, target) if windows else 0))


def are_moved(plan: StitchPlan, objects: Objects) -> bool:
    """Tell whether bytes of finished pieces can be moved into the film: they lie here, and may have holes."""
    place = objects.own_file(plan.report_uri)
    return place is not None and keeps_holes(place.parent)


def are_kept_here(plan: StitchPlan, objects: Objects) -> bool:
    """Tell whether finished pieces lie on the disk that we work on: where objects are read in place."""
    return objects.copy_bytes(plan.report_uri, 1) == 0


def film_bytes(plan: StitchPlan, target: Target) -> tuple[int, int]:
    """Give the bytes of a film, from above: those that are made for it, and those of clips that are copied."""
    made = copied = 0
    for clip, treated in zip(plan.clips, target.clips, strict=True):
        if treated.treatment is Treatment.ENCODE:
            made += _encoded_bytes(clip.facts, treated.frame_count, target)
        else:
            copied += clip.facts.size_bytes
        if treated.treatment is Treatment.SOUND:
            made += sound_bytes_max(target, treated.frame_count)
    return made, copied


def chunk_bytes(plan: StitchPlan, target: Target) -> int:
    """Give the bytes of a chunk, from above."""
    encoded = [index for index, clip in enumerate(target.clips) if clip.treatment is Treatment.ENCODE]
    most = cut_of(target).most
    return max(
        (_chunk_bytes(plan.clips[i].facts, target.clips[i].frame_count, most, target) for i in encoded), default=0
    )


def windows_bytes(plan: StitchPlan, target: Target) -> int:
    """Give the bytes of what is rendered around fades, from above: all frames, since a clip may have one key frame."""
    if not plan.has_fades:
        return 0
    target = replace(target, quality=window_quality(target))
    treated = zip(plan.clips, target.clips, strict=True)
    return sum(_encoded_bytes(clip.facts, each.frame_count, target) for clip, each in treated)


def largest_px(plan: StitchPlan) -> int:
    """Give the pixels of the largest clip's picture."""
    return max(clip.facts.width_px * clip.facts.height_px for clip in plan.clips)


def _window_bytes(plan: StitchPlan, target: Target) -> int:
    """Give the bytes of a window that is being rendered, from above: excerpts of two clips, and what comes of them."""
    target = replace(target, quality=window_quality(target))
    return 2 * max(
        clip.facts.size_bytes + _encoded_bytes(clip.facts, treated.frame_count, target)
        for clip, treated in zip(plan.clips, target.clips, strict=True)
    )


def _encoded_bytes(facts: ClipFacts, frame_count: int, target: Target) -> int:
    """Give the bytes of a clip that is encoded, from above."""
    if not facts.duration_ms:
        return max(encoded_bytes_max(target, frame_count), _UNKNOWN_GROWTH * facts.size_bytes)
    seconds = frame_count / target.picture.frame_rate
    growth = Fraction(target.picture.width_px * target.picture.height_px, facts.width_px * facts.height_px)
    like = facts.size_bytes * max(Fraction(1), seconds * 1000 / facts.duration_ms) * max(Fraction(1), growth)
    return encoded_bytes_max(target, frame_count, like_bytes=int(like))


def _chunk_bytes(facts: ClipFacts, clip_frames: int, most: int, target: Target) -> int:
    """Give the bytes of the largest chunk of a clip: its pictures may differ."""
    whole = _encoded_bytes(facts, clip_frames, target)
    return min(whole, 2 * whole * most // max(1, clip_frames))


def _finishing_bytes(plan: StitchPlan, target: Target, objects: Objects) -> int:
    """Give what is there besides the film's clips while it gets its sound: the old sound alone, the new one, the music.

    The film has the new sound, which may be the larger one.
    """
    if needs_sound_work(plan) is None:
        return 0
    music = objects.size_bytes(plan.music) if plan.music and objects.copy_bytes(plan.music, 1) else None
    sound = sound_bytes_max(target, sum(clip.frame_count for clip in target.clips))
    return 3 * sound + (music or 0)
