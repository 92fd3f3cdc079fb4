"""Chapters and what a film says of itself, as our reader, FFmpeg and ffprobe find them."""

from __future__ import annotations

import json
import subprocess
import tomllib
from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.clip import Clip, ClipFacts
from events.digital_source import DigitalSourceType
from events.plan import PlannedClip, StitchPlan
from events.version import VERSION
from media.boxes import find
from media.film_tags import ChapterTitle, FilmTags, creation_seconds, tags_of
from media.mp4_index import fetch_index, read_movie
from media.reader import BytesReader, SpanReader
from media.splice import Layout, Sound, Source, splice
from media.verify import read_back
from media.write import splice_files
from tests.media.clips import ClipSpec, expected_frames, read_frames
from tests.media.conftest import ClipMaker
from tests.media.synthetic import FakeClip, packets_for
from tests.media.test_splice import write

REPOSITORY = Path(__file__).parents[2]
CREATED = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
AI = DigitalSourceType.TRAINED_ALGORITHMIC_MEDIA
TAGS = FilmTags(
    title="The keeper",
    comment="Made by Longreel from 3 clips, job job_a.",
    created_at=CREATED,
    digital_source_type=AI,
    chapters=tuple(ChapterTitle(i, title) for i, title in enumerate(["A lighthouse at dusk", "Größe — 海", "The end"])),
)


@pytest.fixture
def film(clip: ClipMaker, tmp_path: Path) -> Path:
    output = tmp_path / "film.mp4"
    splice_files([clip(spec) for spec in SPECS], output, tags=TAGS)
    return output


SPECS = [ClipSpec(number) for number in (1, 2, 3)]


def probed(ffprobe: str, film: Path, *wanted: str) -> dict[str, object]:
    done = subprocess.run([ffprobe, "-v", "error", "-of", "json", *wanted, str(film)], capture_output=True, check=True)
    assert done.stderr == b""
    found: dict[str, object] = json.loads(done.stdout)
    return found


def test_every_part_of_a_film_is_a_chapter_that_begins_at_its_join(ffprobe: str, film: Path) -> None:
    found = probed(ffprobe, film, "-show_chapters")["chapters"]
    assert isinstance(found, list)

    rows = [(chapter["start_time"], chapter["end_time"], chapter["tags"]["title"]) for chapter in found]
    assert rows == [
        ("0.000000", "1.000000", "A lighthouse at dusk"),
        ("1.000000", "2.000000", "Größe — 海"),
        ("2.000000", "3.000000", "The end"),
    ]


@pytest.mark.parametrize("hidden", ["chpl", "tref"])
def test_players_that_know_only_one_form_of_chapters_find_them_all(hidden: str, film: Path) -> None:
    film.write_bytes(film.read_bytes().replace(hidden.encode(), b"free"))

    with av.open(str(film)) as opened:
        found = [chapter["metadata"]["title"] for chapter in opened.chapters()]
        starts = [chapter["start"] * (chapter["time_base"] or Fraction(0)) for chapter in opened.chapters()]

    assert found == [title for _, title in TAGS.chapters]
    assert starts == [0, 1, 2]


def test_a_film_says_who_made_it_of_what_and_when(ffprobe: str, film: Path) -> None:
    found = probed(ffprobe, film, "-show_format")["format"]
    assert isinstance(found, dict)

    assert found["tags"] == {
        "major_brand": "isom",
        "minor_version": "512",
        "compatible_brands": "isomiso2avc1mp41",
        "creation_time": "2026-11-22T09:30:00.000000Z",
        "title": "The keeper",
        "encoder": f"Longreel {VERSION}",
        "comment": "Made by Longreel from 3 clips, job job_a.",
        "date": "2026-11-22T09:30:00Z",
    }


def test_a_film_of_generated_clips_says_so_as_the_iptc_asks(film: Path) -> None:
    data = film.read_bytes()
    found = find(data, 0, len(data), b"uuid")

    assert found is not None
    assert data[found.body : found.body + 16].hex() == "be7acfcb97a942e89c71999491e3afac"
    xmp = data[found.body + 16 : found.end].decode()
    assert 'DigitalSourceType="http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"' in xmp


def test_nothing_is_said_of_where_pictures_came_from_that_is_not_known() -> None:
    _, data = faked(FilmTags(title="A reel"))

    assert find(data, 0, len(data), b"uuid") is None


def test_titles_change_no_frame_and_the_film_can_be_spliced_again(film: Path, clip: ClipMaker, tmp_path: Path) -> None:
    again = tmp_path / "again.mp4"

    splice_files([film, clip(SPECS[0])], again, tags=replace(TAGS, chapters=TAGS.chapters[:2]))

    assert read_frames(film) == expected_frames(SPECS)
    assert read_frames(again) == expected_frames([*SPECS, SPECS[0]])


def faked(tags: FilmTags, count: int = 3, layout: Layout = Layout.INTERLEAVED) -> tuple[int, bytes]:
    """Give the number of frames and the bytes of a film of made-up clips."""
    clips = [FakeClip([5] * 24, number=i) for i in range(count)]
    for each in clips:
        each.packet_sizes = [5] * packets_for(each.seconds, each.priming)
    read = [each.movie() for each in clips]
    film = splice([Source(movie, reader) for movie, reader in read], Sound.GRID, layout=layout, tags=tags)
    data = write(film, [reader for _, reader in read])
    assert len(data) == film.size_bytes
    report = read_back(BytesReader(data), 24 * count, splice=film, with_ffmpeg=False)
    return report.frame_count, data


_CHAPTERS = st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=80), max_size=6)


@given(_CHAPTERS, st.sampled_from(list(Layout)), st.text(max_size=200), st.sampled_from([None, *DigitalSourceType]))
def test_a_film_is_whole_whatever_it_says_of_itself(
    titles: list[str], layout: Layout, title: str, source: DigitalSourceType | None
) -> None:
    chapters = tuple(ChapterTitle(i, text) for i, text in enumerate(titles))
    tags = FilmTags(title, "a comment", CREATED, source, chapters)

    frame_count, data = faked(tags, max(1, len(titles)), layout)

    assert frame_count == 24 * max(1, len(titles))
    assert (find(data, 0, len(data), b"moov", b"udta", b"chpl") is not None) == (len(titles) > 1)


def test_a_film_of_more_chapters_than_a_byte_can_count_has_them_all_in_its_track(tmp_path: Path) -> None:
    tags = FilmTags(chapters=tuple(ChapterTitle(i, f"Chapter {i + 1}") for i in range(300)))
    film = tmp_path / "film.mp4"
    film.write_bytes(faked(tags, 300)[1])

    with av.open(str(film)) as opened:
        assert [chapter["metadata"]["title"] for chapter in opened.chapters()][-1] == "Chapter 300"
        assert len(opened.chapters()) == 300


def test_the_index_is_found_by_the_same_two_requests_as_before() -> None:
    _, data = faked(TAGS)
    asked: list[tuple[int, int]] = []

    def fetch(offset: int, length: int) -> bytes:
        asked.append((offset, length))
        return data[offset : offset + length]

    reader = SpanReader(len(data), fetch)
    fetch_index(reader)
    read_movie(reader, "film")

    assert len(asked) <= 2


def a_plan(*titles: str | None) -> StitchPlan:
    facts = ClipFacts(container="mp4", size_bytes=1, duration_ms=1000, width_px=2, height_px=2, video_codec="h264")
    clip = Clip(uri="gs://b/c.mp4", generation=1, facts=facts)
    return StitchPlan(
        job_id="job_a",
        attempt=1,
        title="The keeper",
        clips=[PlannedClip(segment_index=3 * i, title=title, **dict(clip)) for i, title in enumerate(titles)],
        created_at=CREATED,
        digital_source_type=AI,
        output_uri="gs://b/film.mp4",
        report_uri="gs://b/report.json",
    )


def test_a_plan_tells_all_that_its_film_says_and_two_tries_say_the_same() -> None:
    plan = a_plan("Dusk", None)

    assert tags_of(plan) == tags_of(plan.model_copy(update={"attempt": 2}))
    assert tags_of(plan) == FilmTags(
        title="The keeper",
        comment="Made by Longreel from 2 clips, job job_a. Its pictures were generated by AI.",
        created_at=CREATED,
        digital_source_type=AI,
        chapters=(ChapterTitle(0, "Dusk"), ChapterTitle(1, "Clip 4")),
    )


def test_a_clip_of_several_parts_is_one_chapter() -> None:
    assert tags_of(a_plan("One", "Two"), first_parts=[0, 3]).chapters == (
        ChapterTitle(0, "One"),
        ChapterTitle(3, "Two"),
    )


def test_a_date_that_an_mp4_cannot_hold_is_left_out() -> None:
    assert creation_seconds(FilmTags(created_at=datetime(1903, 1, 1, tzinfo=UTC))) == 0
    assert creation_seconds(FilmTags(created_at=datetime(2050, 1, 1, tzinfo=UTC))) == 0
    assert creation_seconds(FilmTags(created_at=datetime(1904, 1, 2, tzinfo=UTC))) == 86400


def test_the_version_is_that_of_the_package() -> None:
    assert tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["version"] == VERSION
