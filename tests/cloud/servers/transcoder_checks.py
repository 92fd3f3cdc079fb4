"""What the Transcoder API refuses when a job is created: only the first thing that is wrong is told.

Source: the docstrings of google-cloud-video-transcoder 1.22.0.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from google.cloud.video.transcoder_v1.types import ElementaryStream, Job, JobConfig, MuxStream, VideoStream

_LABEL_KEY = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_LABEL_VALUE = re.compile(r"[a-z0-9_-]{0,63}")
_OBJECT = re.compile(r"gs://[a-z0-9._-]+/.+")
_FOLDER = re.compile(r"gs://[a-z0-9._-]+/.+/")
_TOPIC = re.compile(r"projects/[^/]+/topics/[^/]+")


def first_fault(job: Job) -> str | None:
    """Give the first thing that is wrong with a job that somebody wants to create."""
    return next(_faults(job), None)


def _faults(job: Job) -> Iterator[str]:
    config = job.config
    yield from _job_faults(job)
    yield from _input_faults(config)
    yield from _atom_faults(config)
    for stream in config.elementary_streams:
        yield from _stream_faults(stream)
    for mux in config.mux_streams:
        yield from _mux_faults(mux, config)
    if not config.elementary_streams or not config.mux_streams:
        yield "config should have elementary streams and mux streams"
    if not _FOLDER.fullmatch(config.output.uri):
        yield f"output.uri must be a directory and not a top-level bucket: {config.output.uri!r}"
    if config.pubsub_destination.topic and not _TOPIC.fullmatch(config.pubsub_destination.topic):
        yield f"pubsubDestination.topic is malformed: {config.pubsub_destination.topic!r}"


def _job_faults(job: Job) -> Iterator[str]:
    if not 0 <= job.ttl_after_completion_days <= 90:
        yield "ttlAfterCompletionDays must be between 1 and 90"
    if job.batch_mode_priority and job.mode != Job.ProcessingMode.PROCESSING_MODE_BATCH:
        yield "batchModePriority can only be set for batch mode jobs"
    for key, value in job.labels.items():
        if not _LABEL_KEY.fullmatch(key) or not _LABEL_VALUE.fullmatch(value):
            yield f"label {key}={value} is malformed"


def _input_faults(config: JobConfig) -> Iterator[str]:
    if not config.inputs:
        yield "config.inputs must not be empty"
    yield from _unique([source.key for source in config.inputs], "input")
    for source in config.inputs:
        if not _OBJECT.fullmatch(source.uri):
            yield f"input {source.key}: uri {source.uri!r} is no Cloud Storage object"
        for sides in (source.preprocessing_config.crop, source.preprocessing_config.pad):
            if min(sides.top_pixels, sides.bottom_pixels, sides.left_pixels, sides.right_pixels) < 0:
                yield f"input {source.key}: pixels must not be negative"


def _atom_faults(config: JobConfig) -> Iterator[str]:
    known = {source.key for source in config.inputs}
    yield from _unique([atom.key for atom in config.edit_list], "edit atom")
    for atom in config.edit_list:
        if len(atom.inputs) != 1 or atom.inputs[0] not in known:
            yield f"edit atom {atom.key}: inputs {list(atom.inputs)} are not defined"
        if "end_time_offset" in atom and atom.end_time_offset <= atom.start_time_offset:
            yield f"edit atom {atom.key}: it ends before it starts"


def _stream_faults(stream: ElementaryStream) -> Iterator[str]:
    if "video_stream" in stream:
        yield from _picture_faults(stream.key, stream.video_stream.h264)
    elif "audio_stream" in stream:
        sound = stream.audio_stream
        if not 1 <= sound.bitrate_bps <= 10_000_000:
            yield f"{stream.key}: audio bitrateBps is required, between 1 and 10,000,000"
        if not 0 <= sound.channel_count <= 6:
            yield f"{stream.key}: channelCount must be between 1 and 6"
    else:
        yield f"{stream.key}: no stream is defined"


def _picture_faults(key: str, picture: VideoStream.H264CodecSettings) -> Iterator[str]:
    if not 0 < picture.frame_rate <= 120:
        yield f"{key}: frameRate is required, at most 120"
    if not 1_000 <= picture.bitrate_bps <= 800_000_000:
        yield f"{key}: bitrateBps is required, between 1,000 and 800,000,000"
    if picture.width_pixels % 2 or picture.height_pixels % 2:
        yield f"{key}: width and height must be even: {picture.width_pixels}x{picture.height_pixels}"


def _mux_faults(mux: MuxStream, config: JobConfig) -> Iterator[str]:
    if unknown := set(mux.elementary_streams) - {stream.key for stream in config.elementary_streams}:
        yield f"mux stream {mux.key}: elementary streams {sorted(unknown)} are not defined"
    if mux.container not in ("", "mp4"):
        yield f"mux stream {mux.key}: container {mux.container!r} is not supported"


def _unique(keys: Sequence[str], what: str) -> Iterator[str]:
    if len(set(keys)) != len(keys) or "" in keys:
        yield f"{what} keys must be unique and not empty: {keys}"
