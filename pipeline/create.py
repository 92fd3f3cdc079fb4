"""How a job begins: from a checked request to its first documents."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from events.requests import Kind, LongFormRequest, Request, Settings, segment_specs
from pipeline import limits
from pipeline.records import Cost, Job, Segment
from pipeline.work_ports import Quote

#: The generator of segments that are given clips.
CLIP_GENERATOR = "clip"


def generator_of(request: Request) -> str:
    """Give the name of the generator that makes every segment of the request."""
    return request.generator if isinstance(request, LongFormRequest) else CLIP_GENERATOR


def new_job(
    request: Request, *, job_id: str, user_id: str, now: datetime, quotes: Sequence[Quote] = ()
) -> tuple[Job, list[Segment]]:
    """Make the first documents of a job; nothing is written.

    Args:
        request: checked, what the caller asked for.
        job_id: the new job's id.
        user_id: who owns it.
        now: aware, UTC.
        quotes: what each segment's generator said, in order; none where clips are there already.
    """
    specs = segment_specs(request)
    prices = [quote.price_micro_usd for quote in quotes] or [0] * len(specs)
    chain = isinstance(request, LongFormRequest) and request.daisy_chain
    job = Job(
        job_id=job_id,
        kind=Kind(request.kind),
        project_id=request.project_id,
        user_id=user_id,
        generator=generator_of(request),
        settings=Settings.of(request).to_json(),
        segment_count=len(specs),
        width=1 if chain else min(request.max_parallel_segments, len(specs)),
        on_segment_failure=request.on_segment_failure,
        daisy_chain=chain,
        created_at=now,
        updated_at=now,
        deadline_at=now + limits.JOB_LONGEST,
        wake_at=now + limits.QUEUED_PATIENCE,
        warnings=_notes(quotes),
        cost=Cost(estimated_micro_usd=sum(prices)),
    )
    segments = [
        Segment(job_id=job_id, index=index, spec=spec.to_json(), updated_at=now, price_micro_usd=price)
        for index, (spec, price) in enumerate(zip(specs, prices, strict=True))
    ]
    return job, segments


def _notes(quotes: Sequence[Quote]) -> tuple[str, ...]:
    """Say each note once, with the scenes that it is about."""
    scenes: dict[str, list[int]] = {}
    for number, quote in enumerate(quotes, start=1):
        if quote.note is not None:
            scenes.setdefault(quote.note, []).append(number)
    return tuple(sorted(f"{_scenes(numbers, len(quotes))}: {note}" for note, numbers in scenes.items()))


def _scenes(numbers: list[int], count: int) -> str:
    if len(numbers) == 1:
        return f"Scene {numbers[0]}"
    if len(numbers) == count:
        return "Every scene"
    return f"Scenes {', '.join(map(str, numbers[:-1]))} and {numbers[-1]}"
