"""Whether clips can be joined without encoding: what must be equal, and what stands in the way of each alone.

Names and values are shown to people ("clip 3 differs in frameRate: 30/1 instead of 24/1"). What must not matter
(timescales, bitrates, dates) is left out; what is in was measured to break a player or a decoder where it differs.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import TYPE_CHECKING

from events.errors import BadMedia
from media.movie import Edit, Movie, Track
from media.parameter_sets import clashes, parse_avc_config
from media.sample_entry import SoundEntry, VideoEntry

if TYPE_CHECKING:
    from events.clip import ClipFacts

#: Picture codecs whose samples can be spliced, by sample entry, with the box that configures them.
VIDEO_CONFIG_BOXES = {
    "avc1": b"avcC",
    "avc3": b"avcC",
    "hvc1": b"hvcC",
    "hev1": b"hvcC",
    "av01": b"av1C",
    "vp09": b"vpcC",
}
#: Sound codecs whose packets can be spliced: each of constant length and decodable soon after any other.
SOUND_CODECS = ("aac", "mp3", "Opus", "ac-3", "ec-3")
#: How much longer or shorter than the picture the sound may be.
SOUND_LENGTH_TOLERANCE = Fraction(1, 20)
#: How late sound or picture may start.
START_TOLERANCE = Fraction(1, 50)
#: A join can be wrong by half a packet, so that packets must be short.
PACKET_SECONDS_MAX = Fraction(1, 20)
#: Properties whose values are of no use to a reader.
_OPAQUE = ("parameterSets", "soundConfig")
#: How properties begin whose values are the contents of a box that is not looked into.
_BOX = "box "
#: Fewest frames of which the depth of reordering can be told: one that others refer to, and one between them.
_REORDERED_FRAMES_MIN = 3
#: The depth of a clip that has fewer: it goes with every other.
_ANY_ORDER = "any"
#: Properties that may differ where clips share one sample entry that lists the parameter sets of all.
_SHARED_BY_MERGING = ("parameterSets", "level")
_ROTATIONS: dict[tuple[float, ...], str] = {
    (1, 0, 0, 1): "0",
    (0, 1, -1, 0): "90",
    (-1, 0, 0, -1): "180",
    (0, -1, 1, 0): "270",
}


def conform(movie: Movie) -> dict[str, str]:
    """Give everything that must be equal for two clips to be joined without encoding: property name → value.

    Raises:
        BadMedia: the configuration of the picture is damaged.
    """
    found = _picture(movie)
    if movie.sound:
        found |= _sound(movie.sound)
    else:
        found["sound"] = "none"
    return found


def _picture(movie: Movie) -> dict[str, str]:
    video, entry = movie.video, movie.video.entry
    assert isinstance(entry, VideoEntry)
    interval = movie.frame_interval if video.is_even else None
    found = {
        # Names of three letters end in a space.
        "video": entry.kind.strip(),
        "size": f"{entry.width_px}x{entry.height_px}",
        "pixelAspect": ratio(entry.pixel_aspect, ":"),
        "color": entry.color,
        "display": "x".join(f"{number / 65536:g}" for number in video.display_size),
        "rotation": rotation(video.matrix),
        "frameRate": ratio(1 / interval) if interval else "variable",
        # Pictures out of order: a player told of one depth and given another shows them in the wrong order.
        "reorder": _reorder(video),
    }
    config_box = VIDEO_CONFIG_BOXES.get(entry.kind, b"")
    for kind, body in entry.children.items():
        if kind == b"avcC":
            config = parse_avc_config(body)
            found |= {"profile": config.profile_name, "level": f"{config.level / 10:g}"}
        if kind == config_box:
            found["parameterSets"] = body.hex()
        elif kind not in (b"pasp", b"colr") and not (kind == b"fiel" and body[:1] == b"\1"):
            found[_BOX + kind.decode("latin-1")] = body.hex()
    return found


def _reorder(video: Track) -> str:
    if not video.interval:
        return "variable"
    # So few frames stand in no order that would tell; a decoder is told by the parameter sets.
    if video.sample_count < _REORDERED_FRAMES_MIN:
        return _ANY_ORDER
    return f"{Fraction(video.composition_delay, video.interval)} frames"


def _sound(sound: Track) -> dict[str, str]:
    entry = sound.entry
    assert isinstance(entry, SoundEntry)
    name = entry.aac.profile if entry.aac else entry.codec
    found = {"sound": f"{name} {entry.sample_rate_hz} Hz {entry.channel_count} ch"}
    if sound.interval:
        samples = Fraction(sound.interval, sound.timescale) * entry.sample_rate_hz
        found["soundPacket"] = f"{samples} samples"
    unread = entry.aac.rest if entry.aac else entry.config
    if unread:
        found["soundConfig"] = unread.hex()
    return found


def ratio(value: Fraction, mark: str = "/") -> str:
    """Write a fraction with both of its parts.

    >>> ratio(Fraction(24)), ratio(Fraction(4, 3), ":")
    ('24/1', '4:3')
    """
    return f"{value.numerator}{mark}{value.denominator}"


def rotation(matrix: tuple[int, ...]) -> str:
    """Name how the picture is turned: degrees clockwise, or the matrix where it is no plain turn."""
    turn = _ROTATIONS.get(tuple(round(matrix[i] / 0x10000, 3) for i in (0, 1, 3, 4)))
    return turn or "matrix " + ",".join(map(str, matrix[:6]))


def obstacles(movie: Movie) -> list[str]:
    """Say why this clip cannot be joined as it is with any other; nothing when it can."""
    if movie.is_fragmented:
        return ["its index is spread over the file (fragmented MP4)"]
    found = _picture_obstacles(movie)
    if len(movie.sound_tracks) > 1:
        found.append(f"it has {len(movie.sound_tracks)} sound tracks")
    elif movie.sound:
        found += _sound_obstacles(movie, movie.sound)
    return found


def _picture_obstacles(movie: Movie) -> list[str]:
    video = movie.video
    found = []
    if len(movie.video_tracks) > 1:
        found.append(f"it has {len(movie.video_tracks)} video tracks")
    if video.entry.kind not in VIDEO_CONFIG_BOXES:
        found.append(f"its picture codec {video.entry.kind.strip()} cannot be spliced")
    elif not (isinstance(video.entry, VideoEntry) and VIDEO_CONFIG_BOXES[video.entry.kind] in video.entry.children):
        found.append("the configuration of its picture is missing")
    if video.entry_count > 1:
        found.append("its picture changes its coding on the way")
    if video.interval is None:
        found.append("its frame rate varies")
    elif not video.is_even:
        found.append("two of its frames are shown at the same time, or one too late")
    if video.sync is not None and (not video.sync or video.sync[0] != 1):
        found.append("its first frame is no sync sample")
    if video.sizes and not video.sizes[0]:
        found.append("its first frame has no bytes")
    return found + _edit_obstacles(video.edits, "picture") + _picture_edit_obstacles(movie)


def _edit_obstacles(edits: list[Edit], what: str) -> list[str]:
    shown = [edit for edit in edits if edit.media_time >= 0]
    found = []
    if len(shown) > 1:
        found.append(f"the edit list of its {what} has {len(shown)} parts")
    if any(edit.rate != 1 for edit in shown):
        found.append(f"the edit list of its {what} changes the speed")
    return found


def _picture_edit_obstacles(movie: Movie) -> list[str]:
    video = movie.video
    half = Fraction(video.interval or 0, 2 * video.timescale)
    found = []
    if movie.picture_start < -half:
        found.append(f"its edit list hides the first {milliseconds(-movie.picture_start)} ms of its picture")
    elif movie.picture_start > START_TOLERANCE and movie.sound:
        found.append(f"its picture starts {milliseconds(movie.picture_start)} ms late")
    hidden = Fraction(video.duration, video.timescale) - movie.picture_duration - max(Fraction(0), -movie.picture_start)
    # Players round the end of an edit to the clock of the movie, which is often no finer than a millisecond.
    if hidden > half + Fraction(1, movie.timescale):
        found.append(f"its edit list hides the last {milliseconds(hidden)} ms of its picture")
    return found


def _sound_obstacles(movie: Movie, sound: Track) -> list[str]:
    entry = sound.entry
    assert isinstance(entry, SoundEntry)
    if entry.codec not in SOUND_CODECS:
        return [f"its sound codec {entry.codec} cannot be spliced"]
    if not sound.sample_count:
        return ["its sound track is empty"]
    if sound.interval is None:
        return ["its sound packets are of different lengths"]
    found = _edit_obstacles(sound.edits, "sound")
    packet = Fraction(sound.interval, sound.timescale)
    if packet > PACKET_SECONDS_MAX:
        found.append(f"its sound packets are {milliseconds(packet)} ms long")
    if sound.entry_count > 1:
        found.append("its sound changes its coding on the way")
    late = sound.pause(movie.timescale) - max(Fraction(0), movie.picture_start)
    if late > START_TOLERANCE:
        found.append(f"its sound starts {milliseconds(late)} ms late")
    # Sound is told from the first frame on, which an edit list may hide.
    longer = movie.sound_end + min(Fraction(0), movie.picture_start) - movie.picture_duration
    if abs(longer) > SOUND_LENGTH_TOLERANCE:
        word = "longer" if longer > 0 else "shorter"
        found.append(f"its sound is {milliseconds(abs(longer))} ms {word} than its picture")
    return found


def milliseconds(seconds: Fraction) -> int:
    """Round to whole milliseconds."""
    return round(seconds * 1000)


def differences(expected: Mapping[str, str], found: Mapping[str, str]) -> list[str]:
    """Say in which properties a clip differs from another that was chosen as the measure.

    >>> differences({"frameRate": "24/1", "sound": "none"}, {"frameRate": "30/1", "sound": "none"})
    ['frameRate: 30/1 instead of 24/1']
    """
    said = []
    for name in dict.fromkeys((*expected, *found)):
        ours, theirs = expected.get(name, "none"), found.get(name, "none")
        if ours != theirs and not (name == "reorder" and _ANY_ORDER in (ours, theirs)):
            opaque = name in _OPAQUE or name.startswith(_BOX)
            said.append(f"{name}: not the same" if opaque else f"{name}: {theirs} instead of {ours}")
    return said


def can_join(expected: Mapping[str, str], found: Mapping[str, str]) -> list[str]:
    """Say why two clips with these conform properties cannot be joined; nothing when they can.

    H.264 parameter sets may differ if none clash: the film's sample entry then lists those of both.
    """
    if expected == found:
        return []
    ours, theirs = expected.get("parameterSets", ""), found.get("parameterSets", "")
    if ours == theirs or not str(expected.get("video")).startswith("avc"):
        return differences(expected, found)
    said = differences(_without_sets(expected), _without_sets(found))
    try:
        return said + clashes(parse_avc_config(bytes.fromhex(ours)), parse_avc_config(bytes.fromhex(theirs)))
    except (BadMedia, ValueError) as exc:
        return [*said, f"parameterSets: {exc}"]


def mergeable(expected: ClipFacts, found: ClipFacts) -> list[str]:
    """Say why two clips cannot be joined without encoding, what each has against it counted; nothing when they can."""
    return [*expected.obstacles, *found.obstacles, *can_join(expected.conform, found.conform)]


def _without_sets(properties: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in properties.items() if name not in (*_SHARED_BY_MERGING, "profile")}
