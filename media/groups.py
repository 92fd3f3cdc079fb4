"""Which clips of a plan conform to each other; picture and sound apart, since sound is cheap to encode.

Properties are those that `media/conform.py` names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from events.clip import ClipFacts
from media.conform import can_join
from media.shape import heaviest
from media.treatment import SoundFormat

#: Names of the conform properties that are about sound.
SOUND_PROPERTIES = frozenset({"sound", "soundPacket", "soundConfig"})

#: Channel counts that the encoder makes of those that come in; of any other it makes stereo.
_CHANNEL_COUNTS = {1: 1, 2: 2, 6: 6}

#: Sample rates that every player takes; of any other 48 kHz is made, the usual rate beside pictures.
_SAMPLE_RATES_HZ = {44100: 44100, 48000: 48000}


@dataclass
class Group:
    """Clips whose pictures can share a film as they are."""

    #: Indexes into the clips, rising.
    indexes: list[int] = field(default_factory=list)
    #: Each different set of picture properties among them.
    pictures: list[Mapping[str, str]] = field(default_factory=list)
    duration_ms: int = 0


def conforming_groups(clips: Sequence[ClipFacts]) -> list[Group]:
    """Sort the clips whose pictures can be copied into groups, the longest first, equals in order of the clips.

    Every clip conforms to every other of its group: two that each conform to a third may still clash.
    """
    groups: list[Group] = []
    for index, clip in enumerate(clips):
        if not clip.conform or any(not is_about_sound(obstacle) for obstacle in clip.obstacles):
            continue
        picture = picture_of(clip)
        group = next((g for g in groups if not any(can_join(other, picture) for other in g.pictures)), None)
        if group is None:
            groups.append(group := Group())
        group.indexes.append(index)
        group.duration_ms += clip.duration_ms
        if picture not in group.pictures:
            group.pictures.append(picture)
    return sorted(groups, key=lambda group: -group.duration_ms)


def is_about_sound(obstacle: str) -> bool:
    """Tell whether an obstacle is gone when the sound alone is encoded."""
    return "its sound" in obstacle or obstacle.endswith("sound tracks")


def picture_of(clip: ClipFacts) -> dict[str, str]:
    """Give the conform properties of the picture."""
    return {name: value for name, value in clip.conform.items() if name not in SOUND_PROPERTIES}


def sound_of(clip: ClipFacts) -> dict[str, str]:
    """Give the conform properties of the sound."""
    return {name: value for name, value in clip.conform.items() if name in SOUND_PROPERTIES}


@dataclass(frozen=True, slots=True)
class FilmSound:
    """The sound of a film, and which clips have it already."""

    #: What a clip gets whose sound is encoded; None for a film without sound, or where none needs it.
    encoded: SoundFormat | None
    #: `sound_of` the clips whose sound is copied; None where none is.
    copied: Mapping[str, str] | None

    def is_kept(self, clip: ClipFacts) -> bool:
        """Tell whether a clip's sound can be copied."""
        return sound_of(clip) == self.copied and not any(map(is_about_sound, clip.obstacles))


def film_sound(clips: Sequence[ClipFacts], group: Group | None, *, must_encode: bool = False) -> FilmSound:
    """Choose the film's sound: what most of the copied time has, else what most of the film's time comes near to.

    Args:
        clips: the film's.
        group: those whose pictures are copied.
        must_encode: whether sound that our encoder cannot make is of no use, as where fades are rendered.
    """
    heard = [clip for clip in clips if clip.audio_codec is not None]
    if not heard:
        return FilmSound(None, {"sound": "none"})
    members = [clips[index] for index in group.indexes] if group else []
    sounding = [clip for clip in members if clip.audio_codec and not any(map(is_about_sound, clip.obstacles))]
    if sounding:
        copied = dict(heaviest(sounding, lambda clip: tuple(sound_of(clip).items())))
        kept = FilmSound(_encodable(copied, sounding), copied)
        all_kept = len(members) == len(clips) and all(map(kept.is_kept, clips))
        if kept.encoded or (all_kept and not must_encode):
            return kept
    rate, channels = heaviest(heard, _usual_sound)
    return FilmSound(SoundFormat(rate, channels), None)


def _encodable(sound: Mapping[str, str], clips: Sequence[ClipFacts]) -> SoundFormat | None:
    """Give what the encoder must be asked for to make sound with these properties; None if it cannot."""
    clip = next(clip for clip in clips if sound_of(clip) == sound)
    if clip.channel_count not in _CHANNEL_COUNTS or clip.sample_rate_hz is None:
        return None
    made = {"sound": f"AAC-LC {clip.sample_rate_hz} Hz {clip.channel_count} ch", "soundPacket": "1024 samples"}
    return SoundFormat(clip.sample_rate_hz, clip.channel_count) if sound == made else None


def _usual_sound(clip: ClipFacts) -> tuple[int, int]:
    rate_hz = _SAMPLE_RATES_HZ.get(clip.sample_rate_hz or 0, 48000)
    return rate_hz, _CHANNEL_COUNTS.get(clip.channel_count or 0, 2)
