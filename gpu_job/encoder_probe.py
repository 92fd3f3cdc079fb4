"""Whether an encoder works here: FFmpeg has it, the driver takes it, and a frame comes out as it went in.

Asked once a film, before anything is encoded. Whatever fails, libx264 makes the film, and people read why.
Source: the texts of FFmpeg's libavcodec/nvenc.c, as FFmpeg 5.1.9 and 9.0.2 print them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gpu_job.ffmpeg import FFmpeg, LookFailed
from media.encoder_trial import trial_args, trial_fault, trial_reading_args
from media.treatment import Target

#: How long a trial may take; a driver wakes its card for a few seconds at first.
TRIAL_SECONDS: Final = 30

_NO_CARD = "give it a machine with an NVIDIA card, or ask for the engine cpu, which costs less"
_OTHER_CARD = (
    "the card or its driver cannot make this film: run nvidia-smi there to see whether it is the card that you expect"
)


@dataclass(frozen=True, slots=True)
class Complaint:
    """One way in which FFmpeg refuses, and what to do."""

    said: re.Pattern[str]
    advice: str
    #: Whether there is a card, as far as FFmpeg came: it stands idle, which is news.
    has_card: bool = True


#: The first one that fits one of FFmpeg's lines.
COMPLAINTS: Final = (
    Complaint(
        re.compile(r"Cannot load (libcuda|nvcuda)\S*"),
        f"no NVIDIA driver is found here, nor by LD_LIBRARY_PATH: {_NO_CARD}",
        has_card=False,
    ),
    Complaint(
        re.compile(r"Cannot load (libnvidia-encode|nvEncodeAPI)\S*"),
        "the driver came without its encoder: set NVIDIA_DRIVER_CAPABILITIES=compute,video,utility for the container",
    ),
    Complaint(
        re.compile(r"Driver does not support the required nvenc API version.*"),
        "this FFmpeg is newer than the driver: update the driver, or name an older FFmpeg by LONGREEL_FFMPEG",
    ),
    Complaint(
        re.compile(r"cuInit\(0\) failed.*NO_DEVICE.*|No CUDA capable devices found"),
        f"there is a driver but no card: {_NO_CARD}",
        has_card=False,
    ),
    Complaint(
        re.compile(r"OpenEncodeSessionEx failed: (out of memory|incompatible client key).*"),
        "the card takes no more encoders at a time: let fewer programs share it",
    ),
    Complaint(re.compile(r"OpenEncodeSessionEx failed.*"), _OTHER_CARD),
    Complaint(re.compile(r"No capable devices found"), _OTHER_CARD),
    Complaint(re.compile(r"cuInit\(0\) failed.*"), "restart the machine, or its driver"),
)


@dataclass(frozen=True, slots=True)
class Problem:
    """Why an encoder is not used."""

    #: In FFmpeg's words where it has any.
    why: str
    #: What to do.
    advice: str
    #: Whether somebody may expect it to be used: there seems to be a card.
    has_card: bool = True


def find_problem(ffmpeg: FFmpeg, encoder: str, target: Target, limit_seconds: float = TRIAL_SECONDS) -> Problem | None:
    """Say why an encoder cannot make this film here; None if it can.

    Args:
        ffmpeg: the program.
        encoder: a key of `VIDEO_ENCODERS`.
        target: the film.
        limit_seconds: how long making the frame may take, and reading it back.
    """
    if encoder not in ffmpeg.encoders:
        why = f"FFmpeg {ffmpeg.version} was built without it"
        return Problem(why, "name an FFmpeg that has it by LONGREEL_FFMPEG", has_card=False)
    try:
        made = ffmpeg.look(trial_args(encoder, target), limit_seconds=limit_seconds)
    except LookFailed as exc:
        return _problem(exc.said)
    fault = _fault(ffmpeg, made, target, limit_seconds)
    return Problem(fault, _OTHER_CARD) if fault else None


def _fault(ffmpeg: FFmpeg, made: bytes, target: Target, limit_seconds: float) -> str | None:
    try:
        planes = ffmpeg.look(trial_reading_args(), made, limit_seconds=limit_seconds) if made else b""
    except LookFailed as exc:
        return f"what came out cannot be decoded: {_own_words(exc.said)}"
    return trial_fault(planes, target)


def _problem(said: Sequence[str]) -> Problem:
    for line in said:
        for complaint in COMPLAINTS:
            if found := complaint.said.search(line):
                return Problem(found[0].strip(), complaint.advice, complaint.has_card)
    return Problem(_own_words(said), _OTHER_CARD)


def _own_words(said: Sequence[str]) -> str:
    """Give what FFmpeg said first; which of its parts said so is not for people."""
    return said[0].rpartition("] ")[2]
