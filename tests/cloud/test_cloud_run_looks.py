"""What Cloud Run's estimate says of the looks at joins, held against the rule of who looks (`media/seam_choice.py`)."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.cloud_run_estimate import CPU_MACHINE, estimate, look_seconds
from events.clip import ClipFacts, StitchReport
from events.plan import Transition
from media.mp4_index import read_movie
from media.probe import probe
from media.reader import FileReader
from media.seam_choice import LOOK_US_MAX, look_cost_us
from media.write import splice_files
from tests.cloud.test_cloud_run_offers import plan
from tests.media.clips import ClipSpec, make_clip
from tests.media.test_target import facts as conforming

MADE = "trainedAlgorithmicMedia"


def film_of(folder: Path, *, group: int) -> tuple[StitchReport, list[int], list[ClipFacts]]:
    """Splice four clips; give its report, what the rule says that each look costs, and what is known of the clips."""
    x264 = ("-c:v", "libx264", "-preset", "veryfast", "-crf", "10", "-g", str(group), "-pix_fmt", "yuv420p")
    paths = [make_clip(ClipSpec(number, frames=48, video=x264), folder / f"{number}.mp4") for number in range(1, 5)]
    seen = []
    for path in paths:
        with FileReader(path) as reader:
            seen.append(probe(reader, path.name))
    report = splice_files(paths, folder / "film.mp4")
    with FileReader(folder / "film.mp4") as reader:
        movie = read_movie(reader, "film")
    return report, [look_cost_us(movie, join) for join in report.joins], seen


@pytest.mark.parametrize("group", [12, 48])
def test_looks_at_clips_that_were_made_are_all_counted_and_never_too_low(tmp_path: Path, group: int) -> None:
    report, costs_us, clips = film_of(tmp_path, group=group)

    counted = look_seconds(plan(*clips, digital_source_type=MADE), CPU_MACHINE)

    assert len(report.joins) == len(costs_us) == 3
    assert sum(costs_us) / 1e6 <= counted
    # Of shorter groups nothing is known before the clips are there.
    assert counted <= sum(costs_us) / 1e6 * 48 / group * 2


@pytest.mark.parametrize("wish", [{"digital_source_type": MADE}, {"fail_on_seams": True}])
def test_every_further_join_that_must_be_seen_costs_as_much_as_the_first(wish: dict[str, object]) -> None:
    """Sixty clips of 8 s in 720p with 5 Mb/s take one core 43 s; 2 s were counted, however many there were."""
    clips = [conforming(duration_ms=8000, size_bytes=5_000_000) for _ in range(60)]

    two, sixty = (look_seconds(plan(*clips[:count], **wish), CPU_MACHINE) for count in (2, 60))

    assert 59 * two == pytest.approx(sixty)
    assert 35 < sixty < 50
    assert estimate(plan(*clips, **wish), CPU_MACHINE).join_seconds > sixty


def test_of_a_film_of_clips_that_were_there_no_more_is_counted_than_is_looked_at() -> None:
    clips = [conforming(duration_ms=8000, size_bytes=5_000_000) for _ in range(60)]

    assert LOOK_US_MAX / 1e6 <= look_seconds(plan(*clips), CPU_MACHINE) < LOOK_US_MAX / 1e6 + 1


def test_fades_are_not_looked_at() -> None:
    clips = [conforming() for _ in range(10)]

    film = plan(*clips, transition=Transition.CROSSFADE, fail_on_seams=True)

    assert look_seconds(film, CPU_MACHINE) == 0


def test_looks_at_clips_that_are_encoded_count_as_their_own_groups() -> None:
    kept = [conforming(duration_ms=8000) for _ in range(10)]
    small = plan(*kept, compression="small", digital_source_type=MADE)

    assert 0 < look_seconds(small, CPU_MACHINE) < look_seconds(plan(*kept, digital_source_type=MADE), CPU_MACHINE)
