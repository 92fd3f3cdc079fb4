"""Whose fault it is when a fade cannot be rendered: each of its two clips is decoded alone."""

from __future__ import annotations

import re

from events.errors import BadMedia
from gpu_job.fades import FadeWork
from gpu_job.manifest import Manifest
from gpu_job.parallel import OnShare, Workshop
from gpu_job.tasks import ClipFailed, EncodeTask
from media.transition import Span, Window
from media.window_args import decode_args


def made_windows(work: FadeWork, shop: Workshop, on_share: OnShare) -> dict[str, Manifest]:
    """Make the windows of a film, and give them by the names of their tasks.

    Args:
        work: of that film.
        shop: makes them.
        on_share: hears how far it is.

    Raises:
        ClipFailed: one of the clips cannot be decoded.
        BadMedia: a window cannot be rendered, though each of its clips can be decoded alone.
        PipelineError: see `Workshop.make`.
    """
    tasks = work.tasks()
    try:
        return shop.make(tasks, on_share)
    except BadMedia as exc:
        for window, task in zip(work.film.windows, tasks, strict=True):
            if _is_about(exc, task):
                _blame(work, window, shop)
        raise


def _is_about(error: BadMedia, task: EncodeTask) -> bool:
    # "clips 1 and 2" is no part of "clips 1 and 20".
    return re.search(re.escape(task.label) + r"(?!\d)", error.message) is not None


def _blame(work: FadeWork, window: Window, shop: Workshop) -> None:
    """Raise ClipFailed for the first clip of a window that cannot be decoded alone; do nothing where both can."""
    work.write_excerpts(window)
    for span in (window.out, window.into):
        _try_alone(work, window, span, shop)


def _try_alone(work: FadeWork, window: Window, span: Span, shop: Workshop) -> None:
    clip = work.plan.clips[span.clip]
    name = f"clip {clip.segment_index + 1} ({clip.uri}) where it fades"
    args = decode_args(work.excerpt(window, span), has_sound=work.target.sound is not None)
    try:
        shop.ffmpeg.encode(args, name, on_frames=lambda _: None, stall_seconds=shop.stall_seconds)
    except BadMedia as exc:
        raise ClipFailed(clip.segment_index, exc) from exc
