"""What is known of one clip or film after looking at its headers, and what a stitch reports about its joins."""

from __future__ import annotations

from pydantic import Field

from events.wire import WireModel


class ClipFacts(WireModel):
    """What a probe read from a clip's headers; no frame was decoded."""

    #: The kind of file found by its content, never by its name: `mp4`, `matroska`, `avi`, `mpegts`, …
    container: str
    size_bytes: int = Field(ge=0)
    #: Length of the picture as shown, in milliseconds, rounded to nearest.
    duration_ms: int = Field(ge=0)
    #: Video frames; None where the container does not say.
    frame_count: int | None = None
    #: How many microseconds after its sound its picture begins, negative where the sound begins later; None for both at
    #: once, and for a clip without sound.
    picture_late_us: int | None = None
    #: As shown, after rotation.
    width_px: int = Field(ge=1)
    height_px: int = Field(ge=1)
    #: Constant frame rate as a fraction, such as `24000/1001`; None when it varies.
    frame_rate: str | None = None
    video_codec: str
    #: None for a clip without sound.
    audio_codec: str | None = None
    sample_rate_hz: int | None = None
    channel_count: int | None = None
    #: Everything that must be equal for two clips to be joined without encoding: property name → value.
    conform: dict[str, str] = Field(default_factory=dict)
    #: Why this clip cannot be joined as it is with any other, in words; empty when it can.
    obstacles: list[str] = Field(default_factory=list)


class Clip(WireModel):
    """A clip that exists: where it is, which version of it was looked at, and what was seen."""

    #: `gs://bucket/object`.
    uri: str
    #: Generation of the object that was probed.
    generation: int
    facts: ClipFacts


class Join(WireModel):
    """One place where two clips meet in the film."""

    #: Index of the clip that starts here; 1 or more.
    clip_index: int = Field(ge=1)
    #: Where the clip's first frame is shown, or the middle of the fade to it; milliseconds from the film's start,
    #: rounded to nearest.
    at_ms: int = Field(ge=0)
    #: How much later (positive) or earlier its sound plays than in the clip itself, in microseconds; None if unknown.
    skew_us: int | None = None
    #: How many frames right next to it are black, on both sides together; None, here and below, where nobody looked.
    black_frames: int | None = Field(default=None, ge=0)
    #: How many frames right next to it do not move, on both sides together.
    frozen_frames: int | None = Field(default=None, ge=0)
    #: How many of the clip's first frames show once more what the last frame before them showed.
    repeated_frames: int | None = Field(default=None, ge=0)
    #: How many frames at the end of the clip before are left out, since this clip begins with the same picture.
    dropped_frames: int | None = Field(default=None, ge=0)
    #: By how much the mean colour changes, in levels of 255.
    colour_jump: int | None = Field(default=None, ge=0, le=255)
    #: By how much the sound becomes louder, or quieter where negative, in hundredths of a decibel.
    loudness_step_centi_db: int | None = None


class StitchReport(WireModel):
    """What was read back from the finished film."""

    frame_count: int = Field(ge=0)
    duration_ms: int = Field(ge=0)
    width_px: int = Field(ge=1)
    height_px: int = Field(ge=1)
    size_bytes: int = Field(ge=0)
    #: `none` for a film without sound, else how joins were made: `grid`, `smart`; or that all of it is `encoded`.
    sound: str
    #: How loud the film is as EBU R128 measures it, in hundredths of LUFS, and its true peak in hundredths of dBTP;
    #: None where nobody measured it, or where all is silent.
    loudness_centi_lufs: int | None = None
    true_peak_centi_db: int | None = None
    joins: list[Join] = Field(default_factory=list)
    #: Indexes of clips that had to be encoded.
    encoded_clips: list[int] = Field(default_factory=list)
    #: How many frames were encoded, those of whole clips and those around joins; None where nobody counted.
    encoded_frame_count: int | None = Field(default=None, ge=0)
    #: The encoder that made them, such as `libx264`; None when nothing was encoded.
    encoder: str | None = None
    #: How many times the work was stopped and taken up again; None where it never was.
    resumed_count: int | None = Field(default=None, ge=1)
    #: How many of the frames to be encoded were found done when it was taken up the last time.
    resumed_from: int | None = Field(default=None, ge=0)
    warnings: list[str] = Field(default_factory=list)
