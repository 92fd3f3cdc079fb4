"""Jobs and segments in words, for a terminal."""

from __future__ import annotations

from datetime import datetime, timedelta

from adapters.given_clip import clip_name
from embedded.terminal import plain
from events.requests import SegmentSpec, Settings
from pipeline.records import Job, Route, Segment, SegmentState
from pipeline.view import segment_noun

_STATE_MARKS = {
    SegmentState.PENDING: "·",
    SegmentState.CLAIMED: "○",
    SegmentState.GENERATING: "◐",
    SegmentState.DONE: "●",
    SegmentState.FAILED: "✗",
    SegmentState.SKIPPED: "−",
    SegmentState.CANCELLED: "✗",
}


def counted(count: int, job: Job) -> str:
    """Give a number of the job's segments, such as `1 scene` or `3 clips`."""
    return f"{count} {segment_noun(job).lower()}{'' if count == 1 else 's'}"


def segment_title(segment: Segment) -> str:
    """Give a segment's prompt, or its clip's file name, on one line that steers no terminal."""
    spec = SegmentSpec.from_json(segment.spec)
    if spec.scene is not None:
        return " ".join(plain(spec.scene.prompt).split())
    assert spec.clip is not None
    return plain(clip_name(spec.clip.clip))


def job_title(job: Job) -> str:
    """Give what the user calls a job: its title, else its project."""
    return plain(Settings.from_json(job.settings).title) or job.project_id


def segment_mark(segment: Segment) -> str:
    """Give one character for a segment's state."""
    return _STATE_MARKS[segment.state]


def segment_note(segment: Segment, now: datetime) -> str:
    """Give what is going on with a segment, in a few words."""
    if segment.waiting_quota and segment.not_before:
        return f"waits for quota, next try in {in_words(segment.not_before - now)}"
    if segment.state is SegmentState.PENDING and segment.not_before:
        return f"next try in {in_words(segment.not_before - now)}"
    if segment.state in {SegmentState.FAILED, SegmentState.SKIPPED} and segment.error:
        return plain(segment.error.message)
    if segment.state is SegmentState.DONE and segment.clip:
        facts = segment.clip.facts
        return f"{facts.duration_ms / 1000:g} s, {facts.width_px}x{facts.height_px}"
    return str(segment.state)


def left_in_words(span: timedelta) -> str:
    """Give an estimate of the time that is left, no finer than it can be.

    >>> left_in_words(timedelta(seconds=179)), left_in_words(timedelta(seconds=40)), left_in_words(timedelta())
    ('about 3 min left', 'about 40 s left', 'less than 1 s left')
    """
    seconds = max(0, round(span.total_seconds()))
    if seconds == 0:
        return f"{in_words(span)} left"
    whole = timedelta(seconds=seconds) if seconds < 60 or seconds >= 3600 else timedelta(minutes=round(seconds / 60))
    return f"about {in_words(whole).removesuffix(' 0 s')} left"


def in_words(span: timedelta) -> str:
    """Give a span of time as people say it.

    >>> in_words(timedelta(seconds=75))
    '1 min 15 s'
    """
    seconds = max(0, round(span.total_seconds()))
    if seconds == 0:
        return "less than 1 s"
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60} s"
    if seconds < 2 * 86400:
        return f"{seconds // 3600} h {seconds % 3600 // 60} min"
    return f"{seconds // 86400} days"


def film_in_words(job: Job) -> str:
    """Give what a finished film is."""
    assert job.film is not None
    report = job.film.report
    length = in_words(timedelta(milliseconds=report.duration_ms))
    size = f"{report.width_px}x{report.height_px}, {size_in_words(report.size_bytes)}"
    return f"{counted(job.done_count, job)}, {length}, {size}"


def engine_in_words(route: Route) -> str:
    """Give how the film is made, as the end of "made by …"."""
    return {"splice": "a splice", "cpu": "encoding"}.get(route.stitcher, route.stitcher)


def size_in_words(size_bytes: int) -> str:
    """Give a file's size as people say it.

    >>> size_in_words(117_100_000)
    '117.1 MB'
    """
    if size_bytes < 1_000_000:
        return f"{size_bytes / 1e3:.1f} kB"
    return f"{size_bytes / 1e6:.1f} MB" if size_bytes < 1e9 else f"{size_bytes / 1e9:.2f} GB"
