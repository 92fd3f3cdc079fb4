"""What the film is to be, and what each clip needs for it: pure, decided from headers alone.

The clips that conform to each other are kept bit for bit and are the measure (the *reference*); the odd ones are
encoded alone so that they can be spliced with them. Where no clip can be the measure, all are encoded alike.
`media/groups.py` says who conforms, `media/shape.py` what size a film without a reference has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

from events.clip import ClipFacts
from events.errors import BadMedia
from events.plan import Compression, Orientation, StitchPlan
from media.colour import Colour, read_colour
from media.conform import can_join
from media.groups import FilmSound, Group, conforming_groups, film_sound
from media.loudness import needs_sound_work
from media.parameter_sets import free_id, parse_avc_config, taken_ids
from media.shape import film_frame_rate, film_orientation, film_size, frames_shown, lies_as
from media.treatment import ClipTreatment, Picture, Quality, SoundFormat, Target, Treatment
from media.words import misfit_in_words, picture_in_words, readable, sound_in_words

#: How each compression encodes. `veryfast` because a stitch is waited for: measured on 30 clips of 1280x720 it takes
#: 291 s where x264's own default takes 639 s. A small file is what `small` is asked for, so it takes its time.
QUALITIES: Mapping[Compression, Quality] = {
    Compression.LOSSLESS: Quality(crf=14, preset="veryfast"),
    Compression.OPTIMIZED: Quality(crf=20, preset="veryfast"),
    Compression.SMALL: Quality(crf=28, preset="medium"),
}

#: x264's word for each profile whose pictures are always 8 bit; what it makes then has the same profile number.
_PROFILES = {"Constrained Baseline": "baseline", "Baseline": "baseline", "Main": "main", "High": "high"}

#: Depths of reordering that x264 can be told to have, as `media/conform.py` writes them.
_REORDER_DEPTHS = {"0 frames": 0, "1 frames": 1, "2 frames": 2}

#: Frames a second, at least and at most, that clips are encoded to since another one has them.
FRAME_RATE_MIN, FRAME_RATE_MAX = Fraction(5), Fraction(240)

#: What ends the configuration of an encoded clip: 4:2:0, 8 bit; only the profiles from High on say it.
_TAILS = {"baseline": b"", "main": b"", "high": b"\xfd\xf8\xf8\x00"}

#: The picture of a film that is encoded whole.
_PROFILE, _REORDER_DEPTH = "high", 2

#: Share of the film's time from which on small clips may make the film small.
_MAJORITY = Fraction(1, 2)

#: Groups of so large a share of the longest one's length are as long as it: a clip of 8 s has 8.000 s at 24 frames a
#: second and 8.008 s at 29.97, which is no reason to make a fourth more frames of all the others.
_AS_LONG = Fraction(99, 100)


def everything_conforms(plan: StitchPlan) -> list[str]:
    """Say why the clips cannot be spliced as they are, a sentence for each odd clip; nothing when they can.

    Cheap: headers suffice.
    """
    if plan.compression is Compression.SMALL:
        return ["a small file was asked for, so everything is encoded"]
    if reason := needs_sound_work(plan):
        return [reason]
    if plan.has_fades:
        return ["fades are rendered, so the frames around each join are encoded"]
    orientation = film_orientation([clip.facts for clip in plan.clips], plan.orientation)
    accepted: list[Mapping[str, str]] = []
    found = []
    for clip in plan.clips:
        said = _own_reasons(clip.facts, orientation)
        if not said:
            said = next((why for other in accepted if (why := can_join(other, clip.facts.conform))), [])
        if not said and clip.facts.conform not in accepted:
            accepted.append(clip.facts.conform)
        if said:
            found.append(f"clip {clip.segment_index + 1}: {'; '.join(readable(said))}")
    return found


def _own_reasons(facts: ClipFacts, orientation: Orientation) -> list[str]:
    if facts.obstacles:
        return list(facts.obstacles)
    if not facts.conform:
        return ["nothing is known of its coding"]
    return [] if lies_as(facts, orientation) else [_lies_otherwise(facts, orientation)]


def _lies_otherwise(facts: ClipFacts, orientation: Orientation) -> str:
    return f"it is {facts.width_px}x{facts.height_px} and the film is to be {orientation.value}"


def choose_target(plan: StitchPlan, *, copy: bool = True) -> Target:
    """Decide what the film is and what happens to each clip.

    Args:
        plan: the clips and the wishes.
        copy: False to encode everything, where splicing encoded clips with copied ones has failed.
    """
    clips = [clip.facts for clip in plan.clips]
    orientation = film_orientation(clips, plan.orientation)
    wanted = copy and plan.compression is not Compression.SMALL
    group = _reference_group(clips, orientation, must_encode=plan.has_fades) if wanted else None
    sound = film_sound(clips, group, must_encode=plan.has_fades)
    quality = QUALITIES[plan.compression]
    if group is None:
        return _whole_target(plan, orientation, sound.encoded, quality)
    picture = _measured_picture(clips[group.indexes[0]], group) or _nominal_picture(clips[group.indexes[0]])
    treated = tuple(
        _as_kept(_treat(index, clip.facts, group, sound, picture, orientation), clip.keep_ms, picture.frame_rate)
        for index, clip in enumerate(plan.clips)
    )
    return Target(picture, sound.encoded, quality, plan.fit, treated, group.indexes[0])


def _whole_target(
    plan: StitchPlan,
    orientation: Orientation,
    sound: SoundFormat | None,
    quality: Quality,
) -> Target:
    clips = [clip.facts for clip in plan.clips]
    width, height = film_size(clips, orientation)
    colour = Colour(1, 1, 1)
    picture = Picture(width, height, film_frame_rate(clips), _PROFILE, _REORDER_DEPTH, 0, colour)
    small = plan.compression is Compression.SMALL
    treated = tuple(
        ClipTreatment(
            Treatment.ENCODE,
            ("a small file was asked for",) if small else tuple(misfit_in_words(picture, clip.facts)),
            frames_kept(frames_shown(clip.facts, picture.frame_rate), clip.keep_ms, picture.frame_rate),
        )
        for clip in plan.clips
    )
    return Target(picture, sound, quality, plan.fit, treated, None)


def frames_kept(frame_count: int, keep_ms: int | None, frame_rate: Fraction) -> int:
    """Give how many frames of an encoded clip are shown, 1 or more, where only so many milliseconds are wanted.

    >>> frames_kept(144, 5000, Fraction(24)), frames_kept(144, None, Fraction(24))
    (120, 144)
    """
    return frame_count if keep_ms is None else min(frame_count, max(1, round(Fraction(keep_ms, 1000) * frame_rate)))


def _as_kept(treated: ClipTreatment, keep_ms: int | None, frame_rate: Fraction) -> ClipTreatment:
    """Encode only what is kept; a picture that is copied is cut when it is joined, where it can be cut."""
    if treated.treatment is not Treatment.ENCODE:
        return treated
    return replace(treated, frame_count=frames_kept(treated.frame_count, keep_ms, frame_rate))


def _treat(
    index: int, clip: ClipFacts, group: Group, sound: FilmSound, picture: Picture, orientation: Orientation
) -> ClipTreatment:
    if index not in group.indexes:
        reasons = _encode_reasons(clip, group, sound, orientation)
        return ClipTreatment(Treatment.ENCODE, reasons, frames_shown(clip, picture.frame_rate))
    frame_count = clip.frame_count or frames_shown(clip, picture.frame_rate)
    if sound.is_kept(clip):
        return ClipTreatment(Treatment.COPY, (), frame_count)
    return ClipTreatment(Treatment.SOUND, tuple(sound_in_words(sound.copied, clip)), frame_count)


def _encode_reasons(clip: ClipFacts, group: Group, sound: FilmSound, orientation: Orientation) -> tuple[str, ...]:
    reasons = picture_in_words(group.pictures[0], clip)
    if not reasons:
        # It conforms to the first of the group but not to another.
        reasons = ["its parameter sets clash with those of another clip"]
    if not lies_as(clip, orientation):
        reasons = [
            _lies_otherwise(clip, orientation),
            *(reason for reason in reasons if not reason.startswith("size ")),
        ]
    if sound.encoded and clip.audio_codec is None:
        reasons.append("no sound")
    return tuple(reasons)


def _reference_group(clips: Sequence[ClipFacts], orientation: Orientation, *, must_encode: bool) -> Group | None:
    """Choose the group that is kept: the longest one that lies right and that the others can be fitted to.

    Of several that are about as long it is the one whose first clip comes first.
    Where something must be encoded whatever the clips are, as for fades, even a group of all clips must allow that.
    """
    total_ms = sum(clip.duration_ms for clip in clips)
    width, height = film_size(clips, orientation)
    for group in _longest_first(conforming_groups(clips)):
        first = clips[group.indexes[0]]
        if not lies_as(first, orientation):
            continue
        if len(group.indexes) == len(clips) and not must_encode:
            return group
        # The longest of many short groups must not make the whole film as small as it is.
        smaller = min(first.width_px, first.height_px) < min(width, height)
        if smaller and group.duration_ms < total_ms * _MAJORITY:
            continue
        if _measured_picture(first, group):
            return group
    return None


def _longest_first(groups: Sequence[Group]) -> list[Group]:
    """Order groups by length; those that are about as long as the longest come as their first clips do."""
    enough_ms = max((group.duration_ms for group in groups), default=0) * _AS_LONG
    return sorted(groups, key=lambda group: (-min(Fraction(group.duration_ms), enough_ms), group.indexes[0]))


def _measured_picture(clip: ClipFacts, group: Group) -> Picture | None:
    """Give what an encoded clip must be to be spliced with a group; None where our encoders cannot make that."""
    properties = clip.conform
    profile = _PROFILES.get(properties.get("profile", ""))
    reorder_depth = _REORDER_DEPTHS.get(properties.get("reorder", ""))
    colour = colour_of(clip)
    plain = (
        properties.get("video") == "avc1"
        and properties.get("rotation") == "0"
        and properties.get("pixelAspect") == "1:1"
        and properties.get("display") == properties.get("size") == f"{clip.width_px}x{clip.height_px}"
        and clip.width_px % 2 == clip.height_px % 2 == 0
        and not any(name.startswith("box ") for name in properties)
    )
    if not plain or profile is None or reorder_depth is None or colour is None or clip.frame_rate is None:
        return None
    if not colour.can_be_written:
        return None
    # Its rate would be that of the others: ten thousand frames a second, or one an hour, is none that they can have.
    if not FRAME_RATE_MIN <= Fraction(clip.frame_rate) <= FRAME_RATE_MAX:
        return None
    sps_id = _free_id(group, _TAILS[profile])
    if sps_id is None:
        return None
    rate = Fraction(clip.frame_rate)
    return Picture(clip.width_px, clip.height_px, rate, profile, reorder_depth, sps_id, colour)


def can_render(plan: StitchPlan, target: Target) -> bool:
    """Tell whether our encoders can make frames that go between those of the film: a copied one may be in any coding.

    Args:
        plan: the clips.
        target: `choose_target` of it.
    """
    if target.reference_index is None:
        return True
    clips = [clip.facts for clip in plan.clips]
    group = next(each for each in conforming_groups(clips) if each.indexes[0] == target.reference_index)
    return _measured_picture(clips[target.reference_index], group) is not None


def _nominal_picture(clip: ClipFacts) -> Picture:
    """Describe a picture that is only copied, so that nothing need be made like it."""
    rate = Fraction(clip.frame_rate or 0) or film_frame_rate([clip])
    return Picture(clip.width_px, clip.height_px, rate, _PROFILE, _REORDER_DEPTH, 0, Colour())


def _free_id(group: Group, tail: bytes) -> int | None:
    """Give the lowest id that no parameter set of the group has; None where an encoded clip cannot join it at all."""
    taken: set[int] = set()
    for picture in group.pictures:
        try:
            config = parse_avc_config(bytes.fromhex(picture.get("parameterSets", "")))
            taken |= taken_ids(config)
        except (BadMedia, ValueError):
            return None  # Damage that `can_join` will name when it comes to it.
        if config.length_size != 4 or config.tail != tail:
            return None
    return free_id(taken)


def colour_of(clip: ClipFacts) -> Colour | None:
    """Give a clip's colours as its headers say them; None where that is not known, is a colour profile, or changes.

    >>> colour_of(ClipFacts(container="mp4", size_bytes=1, duration_ms=1, width_px=2, height_px=2,
    ...     video_codec="h264", conform={"color": "9/18/9 tv"}))
    Colour(primaries=9, transfer=18, matrix=9, full_range=False)
    """
    return read_colour(clip.conform.get("color", ""))


def has_square_pixels(clip: ClipFacts) -> bool:
    """Tell whether a clip's pixels are known to be square."""
    return clip.conform.get("pixelAspect") == "1:1"
