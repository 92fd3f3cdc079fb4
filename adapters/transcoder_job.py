"""From a stitch plan to a job of the Transcoder API, as the JSON of its REST interface. Pure: nobody is asked.

Source: the messages of google-cloud-video-transcoder 1.22.0, whose docstrings state every rule that is kept here.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

from events.clip import ClipFacts
from events.plan import Compression, Fit, PlannedClip, StitchPlan
from pipeline.transcoder_failure import input_key

if TYPE_CHECKING:
    from media.treatment import Picture, Target

#: Labels by which a Transcoder job is found, and tells whose it is.
JOB_LABEL, ATTEMPT_LABEL = "longreel_job", "longreel_attempt"

#: How long Google keeps a Transcoder job that has ended, in days (1–90): no job of ours waits longer than one.
_TTL_DAYS = 7

#: Bits for each pixel of a frame: `optimized` looks the same to most people with x264's `veryfast`, `small` is small.
_BITS_PER_PIXEL = {Compression.OPTIMIZED: Fraction(15, 100), Compression.SMALL: Fraction(6, 100)}
#: Least and most that the API takes, in bits per second.
_BITRATE_MIN_BPS, _BITRATE_MAX_BPS = 1_000, 800_000_000

_SOUND_BITRATE_BPS = 192_000
_SOUND_RATE_HZ = 48_000

#: `left, right, top, bottom` in pixels of the clip.
Edges = tuple[int, int, int, int]


def target_of(plan: StitchPlan) -> Target:
    """Decide the film's size, rate and quality: all clips are encoded, because the Transcoder API copies none."""
    from media.target import choose_target

    return choose_target(plan, copy=False)


def shown_ms(clip: PlannedClip) -> int:
    """Give how much of a clip the film shows, in milliseconds."""
    whole = clip.facts.duration_ms
    return whole if clip.keep_ms is None else min(clip.keep_ms, whole)


def has_sound(plan: StitchPlan) -> bool:
    """Tell whether the film is to have sound."""
    return any(clip.facts.audio_codec for clip in plan.clips)


def output_folder(output_uri: str) -> str:
    """Give the folder of an object, as the API wants it: with a slash at its end.

    >>> output_folder("gs://films/jobs/job_abc123/output/1/film.mp4")
    'gs://films/jobs/job_abc123/output/1/'
    """
    return output_uri.rpartition("/")[0] + "/"


def edges(clip: ClipFacts, picture: Picture, fit: Fit) -> Edges:
    """Give how many pixels must be added (pad) or taken away (crop) so that a clip has the film's shape.

    All are even, as 4:2:0 wants them; a clip that is off by less than a pixel is only scaled.

    Raises:
        ValueError: `fit` is neither; the API has nothing like a blurred backdrop.
    """
    if fit not in (Fit.PAD, Fit.CROP):
        raise ValueError(f"no pixels make a clip fit by {fit}")
    wide_px = Fraction(clip.height_px * picture.width_px, picture.height_px)
    high_px = Fraction(clip.width_px * picture.height_px, picture.width_px)
    across, down = wide_px - clip.width_px, high_px - clip.height_px
    # Of the two ways to the film's shape, padding takes the one that adds, cropping the one that takes away.
    if (across > 0) == (fit is Fit.PAD):
        return (*_halves(abs(across)), 0, 0)
    return (0, 0, *_halves(abs(down)))


def _halves(pixels: Fraction) -> tuple[int, int]:
    even = 2 * round(pixels / 2)
    first = even // 4 * 2
    return first, even - first


def job_of(plan: StitchPlan, topic: str, *, batch: bool) -> dict[str, Any]:
    """Give the job that makes the film of a plan.

    Args:
        plan: one that `adapters.transcoder_rules` has no objection to.
        topic: `projects/…/topics/…` of the report.
        batch: whether it may wait in a queue; else it runs now or is refused.
    """
    target = target_of(plan)
    return {
        "labels": {JOB_LABEL: plan.job_id, ATTEMPT_LABEL: str(plan.attempt)},
        "mode": "PROCESSING_MODE_BATCH" if batch else "PROCESSING_MODE_INTERACTIVE",
        "ttlAfterCompletionDays": _TTL_DAYS,
        # A clip's sound may end some milliseconds before its picture: that must not shift what follows.
        "fillContentGaps": True,
        "config": {
            "inputs": _inputs(plan, target),
            "editList": _atoms(plan),
            "elementaryStreams": _streams(plan, target),
            "muxStreams": [_mux(plan)],
            "output": {"uri": output_folder(plan.output_uri)},
            "pubsubDestination": {"topic": topic},
        },
    }


def _keys(plan: StitchPlan) -> dict[str, str]:
    """Give each distinct object its key; a clip that is shown twice is one input."""
    keys: dict[str, str] = {}
    for clip in plan.clips:
        keys.setdefault(clip.uri, input_key(clip.segment_index))
    return keys


def _inputs(plan: StitchPlan, target: Target) -> list[dict[str, Any]]:
    facts = {clip.uri: clip.facts for clip in plan.clips}
    return [
        {"key": key, "uri": uri} | _preprocessing(facts[uri], target.picture, plan.fit)
        for uri, key in _keys(plan).items()
    ]


def _preprocessing(clip: ClipFacts, picture: Picture, fit: Fit) -> dict[str, Any]:
    # Whoever wants a blurred backdrop gets here only with clips that have the film's shape.
    left, right, top, bottom = edges(clip, picture, Fit.PAD if fit is Fit.BLUR else fit)
    if not (left or right or top or bottom):
        return {}
    sides = {"topPixels": top, "bottomPixels": bottom, "leftPixels": left, "rightPixels": right}
    return {"preprocessingConfig": {"crop" if fit is Fit.CROP else "pad": sides}}


def _atoms(plan: StitchPlan) -> list[dict[str, Any]]:
    keys = _keys(plan)
    atoms = []
    for number, clip in enumerate(plan.clips):
        atom: dict[str, Any] = {"key": f"atom-{number}", "inputs": [keys[clip.uri]]}
        # Without an end the whole clip is used; one that lies behind the clip's own end may be refused.
        if shown_ms(clip) < clip.facts.duration_ms:
            atom["endTimeOffset"] = _seconds(shown_ms(clip))
        atoms.append(atom)
    return atoms


def _seconds(duration_ms: int) -> str:
    return f"{duration_ms // 1000}.{duration_ms % 1000:03d}s"


def _streams(plan: StitchPlan, target: Target) -> list[dict[str, Any]]:
    streams = [{"key": "picture", "videoStream": {"h264": _h264(plan, target)}}]
    if has_sound(plan):
        sound = {
            "codec": "aac",
            "bitrateBps": _SOUND_BITRATE_BPS,
            "channelCount": 2,
            "channelLayout": ["fl", "fr"],
            "sampleRateHertz": _SOUND_RATE_HZ,
        }
        streams.append({"key": "sound", "audioStream": sound})
    return streams


def _h264(plan: StitchPlan, target: Target) -> dict[str, Any]:
    picture = target.picture
    return {
        "widthPixels": picture.width_px,
        "heightPixels": picture.height_px,
        # The API wants a decimal number; every rate that we choose comes back exactly from one.
        "frameRate": float(picture.frame_rate),
        # By its own choice the API only ever leaves frames out, and the film would have the rate that comes of it.
        "frameRateConversionStrategy": "DROP_DUPLICATE",
        "bitrateBps": bitrate_bps(picture, plan.compression),
        "pixelFormat": "yuv420p",
        "rateControlMode": "vbr",
        "profile": "high",
        "preset": target.quality.preset,
    }


def bitrate_bps(picture: Picture, compression: Compression) -> int:
    """Give the bits per second that the picture gets, within what the API takes."""
    wanted = picture.width_px * picture.height_px * picture.frame_rate * _BITS_PER_PIXEL[compression]
    return min(max(_BITRATE_MIN_BPS, round(wanted)), _BITRATE_MAX_BPS)


def _mux(plan: StitchPlan) -> dict[str, Any]:
    return {
        "key": "film",
        "fileName": plan.output_uri.rpartition("/")[2],
        "container": "mp4",
        "elementaryStreams": ["picture", "sound"] if has_sound(plan) else ["picture"],
    }
