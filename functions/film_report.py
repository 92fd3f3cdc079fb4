"""The report of a film whose maker writes none: made from what was ordered and what the film's headers say."""

from __future__ import annotations

from events.clip import ClipFacts, Join, StitchReport
from events.errors import StitchFailed
from events.plan import PlannedClip, StitchPlan

#: How far a film's length may be from its plan's, in milliseconds: a frame at 24 a second for each clip, because each
#: ends on a frame of the film, and this much more for the film as a whole.
LENGTH_TOLERANCE_MS = 100
_FRAME_MS = 42

#: What the report says of the sound: encoded as a whole, so there is nothing to say of each join.
ENCODED_SOUND = "encoded"


def report_from_plan(plan: StitchPlan, film: ClipFacts) -> StitchReport:
    """Make the report of a film that was encoded whole.

    Args:
        plan: what was ordered.
        film: what a probe read from the film.

    Raises:
        StitchFailed: the film's length or its sound is not what was ordered; another try may be right.
    """
    shown_ms = [_shown_ms(clip) for clip in plan.clips]
    _check_length(plan, film, sum(shown_ms))
    _check_sound(plan, film)
    joins = [Join(clip_index=index, at_ms=sum(shown_ms[:index])) for index in range(1, len(shown_ms))]
    return StitchReport(
        frame_count=film.frame_count or 0,
        duration_ms=film.duration_ms,
        width_px=film.width_px,
        height_px=film.height_px,
        size_bytes=film.size_bytes,
        sound="none" if film.audio_codec is None else ENCODED_SOUND,
        joins=joins,
        encoded_clips=list(range(len(plan.clips))),
        encoder=None if plan.engine is None else str(plan.engine),
    )


def _shown_ms(clip: PlannedClip) -> int:
    whole = clip.facts.duration_ms
    return whole if clip.keep_ms is None else min(clip.keep_ms, whole)


def _check_length(plan: StitchPlan, film: ClipFacts, ordered_ms: int) -> None:
    tolerance_ms = LENGTH_TOLERANCE_MS + _FRAME_MS * len(plan.clips)
    if abs(film.duration_ms - ordered_ms) > tolerance_ms:
        text = f"it is {film.duration_ms} ms long, its clips are {ordered_ms} ms (within {tolerance_ms} ms)"
        raise _wrong(plan, text)


def _check_sound(plan: StitchPlan, film: ClipFacts) -> None:
    ordered = any(clip.facts.audio_codec for clip in plan.clips)
    if ordered and film.audio_codec is None:
        raise _wrong(plan, "it has no sound, but its clips have")
    if film.audio_codec is not None and not ordered:
        raise _wrong(plan, f"it has sound in {film.audio_codec}, but its clips have none")


def _wrong(plan: StitchPlan, text: str) -> StitchFailed:
    return StitchFailed(f"read back the film of {plan.job_id}: {text}", code="film_is_wrong", retryable=True)
