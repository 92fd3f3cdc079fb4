"""What the Transcoder API cannot make, told before it is asked: each objection names the clip. Pure.

Source: docstrings of google-cloud-video-transcoder 1.22.0; formats: cloud.google.com/transcoder/docs/concepts/overview.
Where nothing says what the API does with an oddity, the clip is refused: another engine's result is known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapters.transcoder_job import edges, target_of
from events.clip import ClipFacts
from events.names import parse_uri
from events.plan import Compression, Fit, PlannedClip, StitchPlan

if TYPE_CHECKING:
    from media.treatment import Picture

#: "Input files must be at least 5 seconds in duration."
INPUT_MIN_MS = 5_000

#: Containers and codecs that the API reads, in the words of our probe (FFmpeg's).
_CONTAINERS = frozenset({"mp4", "mov", "matroska", "avi", "mpegts", "asf"})
_PICTURE_CODECS = frozenset(
    {
        *("h261", "h263", "h264", "hevc", "mpeg1video", "mpeg2video", "mpeg4", "mp4v", "dnxhd", "dvvideo", "prores"),
        *("theora", "vc1", "vp8", "vp9"),
    }
)
_SOUND_CODECS = frozenset({"aac", "ac3", "ac-3", "eac3", "ec-3", "mp3", "opus", "vorbis", "wmav1", "wmav2"})

#: How obstacles to a splice begin that are none to an encoder: it decodes every frame, and makes a constant rate.
_HARMLESS = (
    "its frame rate varies",
    "its picture codec",
    "its sound codec",
    "its sound packets",
    "it is ",
)


def objection(plan: StitchPlan) -> str | None:
    """Give the first reason why the Transcoder API cannot make this film, in words; None when it can."""
    if plan.compression is Compression.LOSSLESS:
        return "it encodes everything anew, and nothing may be lost"
    if plan.fail_on_seams:
        return "bad joins are to be errors, and nobody looks at the joins of its films"
    from media.loudness import needs_sound_work

    if reason := needs_sound_work(plan):
        return f"{reason}, which the Transcoder API is not asked for"
    if plan.has_fades:
        return "it sets whole clips one behind the other, and fades were asked for"
    if parse_uri(plan.output_uri).name.count("/") == 0:
        return f"it writes into a folder only, and {plan.output_uri} lies in none"
    for clip in plan.clips:
        if (reason := _of_clip(clip.facts)) is not None:
            return f"{_named(clip)} {reason}"
    return _sound_objection(plan) or _shape_objection(plan)


def _named(clip: PlannedClip) -> str:
    return f"clip {clip.segment_index + 1}"


def _of_clip(clip: ClipFacts) -> str | None:
    if clip.duration_ms < INPUT_MIN_MS:
        return f"is {clip.duration_ms} ms long, and the Transcoder API takes none under {INPUT_MIN_MS} ms"
    return _format_objection(clip) or _picture_objection(clip) or _obstacle(clip)


def _format_objection(clip: ClipFacts) -> str | None:
    if clip.container not in _CONTAINERS:
        return f"is a {clip.container} file, which the Transcoder API does not read"
    if clip.video_codec not in _PICTURE_CODECS:
        return f"has a picture in {clip.video_codec}, which the Transcoder API does not read"
    sound = clip.audio_codec
    if sound is not None and sound not in _SOUND_CODECS and not sound.startswith("pcm_"):
        return f"has sound in {sound}, which the Transcoder API does not read"
    return None


def _picture_objection(clip: ClipFacts) -> str | None:
    from media.target import colour_of

    turned = clip.conform.get("rotation", "0")
    if turned != "0":
        # The API swaps width and height for such a clip, and one film cannot ask for both ways.
        return f"is stored turned ({turned} degrees), and the Transcoder API would turn the whole film"
    aspect = clip.conform.get("pixelAspect", "1:1")
    if aspect != "1:1":
        return f"has pixels of {aspect}, and nothing says what the Transcoder API makes of them"
    colour = colour_of(clip)
    if colour is not None and colour.is_high_dynamic_range:
        return "has a high dynamic range, which the Transcoder API converts for whole films only"
    return None


def _obstacle(clip: ClipFacts) -> str | None:
    bad = next((text for text in clip.obstacles if not text.startswith(_HARMLESS)), None)
    return None if bad is None else f"cannot be relied on: {bad}"


def _sound_objection(plan: StitchPlan) -> str | None:
    silent = [clip for clip in plan.clips if clip.facts.audio_codec is None]
    if not silent or len(silent) == len(plan.clips):
        return None
    return f"{_named(silent[0])} has no sound and others have, and every part of a film with sound must bring its own"


def _shape_objection(plan: StitchPlan) -> str | None:
    if plan.fit is not Fit.BLUR:
        return None
    picture = target_of(plan).picture
    odd = next((clip for clip in plan.clips if _is_odd(clip, picture)), None)
    if odd is None:
        return None
    size = f"{odd.facts.width_px}x{odd.facts.height_px}"
    return f"{_named(odd)} is {size} and is to lie over a blurred copy of itself, which the Transcoder API cannot draw"


def _is_odd(clip: PlannedClip, picture: Picture) -> bool:
    return any(edges(clip.facts, picture, Fit.PAD))
