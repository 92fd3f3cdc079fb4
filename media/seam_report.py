"""What is worth a warning about a join: thresholds, and the sentences that people read.

`media/seam_look.py` measures; nothing here decodes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from events.clip import Join, StitchReport
from events.errors import StitchFailed
from events.plan import StitchPlan

#: How far sound and picture may be apart before people notice, in microseconds: sound that is early, and late.
#: Source: ITU-R BT.1359-1, thresholds of detectability: +45 ms and -125 ms.
SKEW_EARLY_US_MAX, SKEW_LATE_US_MAX = 45_000, 125_000
#: Ten decibels are heard as twice, or half, as loud (the sone of ISO 532); shots of one scene differ by less.
LOUDNESS_STEP_CENTI_DB_MAX = 1000
#: A level of sound, in hundredths of a decibel of full scale, below which it is a pause: a pause next to speech is no
#: jump of its loudness.
PAUSE_CENTI_DB = -5000
#: Levels of 255 by which the mean colour of one and the same scene may change: about three just noticeable
#: differences. Another scene has other colours, which is no fault, so only a join within a scene is judged.
COLOUR_JUMP_MAX = 8


@dataclass(frozen=True, slots=True)
class SeamLook:
    """What was seen and heard around a join."""

    #: How many frames were looked at on each side; none where it was only listened to, for what looking costs.
    frames_before: int
    frames_after: int
    #: How many of them next to the join are black.
    black_before: int = 0
    black_after: int = 0
    #: How many of them next to the join do not move.
    still_before: int = 0
    still_after: int = 0
    #: How many of the first frames behind the join show what the last before it shows, while both sides move.
    repeated: int = 0
    #: 0-255.
    colour_jump: int = 0
    #: Whether both sides show one scene, but for its colours.
    is_one_scene: bool = False
    #: Level of the sound on each side, in hundredths of a decibel of full scale; None without sound.
    level_before_centi_db: int | None = None
    level_after_centi_db: int | None = None

    @property
    def has_pictures(self) -> bool:
        """Whether frames were looked at, and not only sound listened to."""
        return self.frames_after > 0

    @property
    def loudness_step_centi_db(self) -> int | None:
        """By how much it becomes louder; None without sound."""
        if self.level_before_centi_db is None or self.level_after_centi_db is None:
            return None
        return self.level_after_centi_db - self.level_before_centi_db


#: What was seen at each join, by the index of the clip that starts there; a sentence where it cannot be decoded.
Looks = Mapping[int, "SeamLook | str"]


def with_seams(report: StitchReport, plan: StitchPlan, film: Path) -> StitchReport:
    """Look at every join of a finished film and give its report with what was seen, and warnings.

    Fades are not looked at: they are drawn on purpose, and black or still as they should be.

    Args:
        report: of this very film.
        plan: whether a join that is worth a warning is an error, or its clips were made for it; then none goes unseen
            for what looking costs.
        film: the file.

    Raises:
        StitchFailed: `bad_seam`: there is such a join.
    """
    if not report.joins or plan.has_fades:
        return report
    fail = plan.fail_on_seams
    # Imported only here: it loads PyAV.
    from media.seam_look import look_at_seams

    # Looking costs nothing beside clips that a model made, and much beside a splice of clips that were there.
    is_made = plan.digital_source_type is not None
    looks = look_at_seams(film, report.joins, spare=not fail and not is_made)
    joins = [_with_look(join, looks.get(join.clip_index)) for join in report.joins]
    warnings = list(seam_warnings(report.joins, looks))
    if fail and warnings:
        more = f" (and {len(warnings) - 1} more)" if len(warnings) > 1 else ""
        raise StitchFailed(f"check the joins, as the request asks: {warnings[0]}{more}", code="bad_seam")
    return report.model_copy(update={"joins": joins, "warnings": [*report.warnings, *warnings]})


def _with_look(join: Join, look: SeamLook | str | None) -> Join:
    if not isinstance(look, SeamLook):
        return join
    told: dict[str, int | None] = {"loudness_step_centi_db": look.loudness_step_centi_db}
    if look.has_pictures:
        told |= {
            "black_frames": look.black_before + look.black_after,
            "frozen_frames": look.still_before + look.still_after,
            "repeated_frames": look.repeated,
            "colour_jump": look.colour_jump,
        }
    return join.model_copy(update=told)


def seam_warnings(joins: Sequence[Join], looks: Looks) -> Iterator[str]:
    """Give a sentence for every fault of a join; joins are counted from 1, as people do."""
    for join in joins:
        look = looks.get(join.clip_index)
        found = [*_skew_fault(join), *([look] if isinstance(look, str) else _faults(look) if look else [])]
        for fault in found:
            yield f"Join {join.clip_index} (at {join.at_ms / 1000:.1f} s): {fault}."


def _skew_fault(join: Join) -> Iterator[str]:
    skew_us = join.skew_us or 0
    if skew_us > SKEW_LATE_US_MAX or skew_us < -SKEW_EARLY_US_MAX:
        yield f"the sound is {abs(skew_us) // 1000} ms {'late' if skew_us > 0 else 'early'}"


def _faults(look: SeamLook) -> Iterator[str]:
    if look.has_pictures:
        yield from _picture_faults(look)
    step = look.loudness_step_centi_db
    if step is not None and abs(step) > LOUDNESS_STEP_CENTI_DB_MAX and not _is_at_pause(look):
        yield f"the sound becomes {abs(step) / 100:.0f} dB {'louder' if step > 0 else 'quieter'}"


def _picture_faults(look: SeamLook) -> Iterator[str]:
    if black := _flash(look):
        yield f"{_count(black, 'black frame')} next to it"
    if look.repeated:
        yield f"the clip begins with {_count(look.repeated, 'frame')} that the one before has shown already"
    # A picture that hardly moves on either side is a quiet scene, or a card; only a stop or a start is noticed.
    if look.still_before == look.frames_before and not look.still_after:
        yield "the picture stands still before it"
    if look.still_after == look.frames_after and not look.still_before:
        yield "the picture stands still after it"
    if look.is_one_scene and look.colour_jump > COLOUR_JUMP_MAX:
        yield f"the colours jump by {look.colour_jump} of 255 levels within one scene"


def _flash(look: SeamLook) -> int:
    """Count the black frames that come and go next to a join; a scene that is black all along is no fault."""
    is_dark = look.black_before == look.frames_before and look.black_after == look.frames_after
    return 0 if is_dark else look.black_before + look.black_after


def _is_at_pause(look: SeamLook) -> bool:
    levels = look.level_before_centi_db, look.level_after_centi_db
    return any(level is not None and level < PAUSE_CENTI_DB for level in levels)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
