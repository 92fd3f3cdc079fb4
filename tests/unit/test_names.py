"""Names ↔ ids, both ways, and never for a name that is not ours."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from events.errors import BadMessage
from events.names import (
    FILM,
    JOB_ID,
    LAST_FRAME,
    ObjectUri,
    OutputObject,
    SegmentObject,
    job_id_of_request,
    output_name,
    parse_object_name,
    parse_uri,
    segment_prefix,
    stitch_name,
)

job_ids = st.from_regex(r"job_[a-z0-9]{6,40}", fullmatch=True)
indexes = st.integers(0, 999_999)
attempts = st.integers(1, 999_999)
parts = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp"), exclude_characters="/"), min_size=1).filter(
    lambda part: part not in {".", ".."}
)
paths = st.lists(parts, min_size=1, max_size=4).map("/".join)
#: Names that look nearly like ours.
nearly = st.from_regex(r"/?jobs/job_\w{5,8}/(segments|output|stitch)/\d{1,3}/\d{1,3}(/[^a]*.?){0,2}", fullmatch=True)


@given(job_ids, indexes, attempts, paths)
def test_a_segments_object_is_known_by_its_name_alone(job_id: str, index: int, attempt: int, path: str) -> None:
    name = segment_prefix(job_id, index, attempt) + path

    assert parse_object_name(name) == SegmentObject(job_id, index, attempt, path)


@given(job_ids, attempts)
def test_an_output_is_known_by_its_name_alone(job_id: str, attempt: int) -> None:
    assert parse_object_name(output_name(job_id, attempt)) == OutputObject(job_id, attempt, FILM)


@given(job_ids, attempts, st.sampled_from(["plan.json", "report.json"]))
def test_the_papers_of_a_stitch_are_neither_clip_nor_output(job_id: str, attempt: int, filename: str) -> None:
    assert parse_object_name(stitch_name(job_id, attempt, filename)) is None


@given(st.one_of(st.text(), nearly))
@example("jobs/job_abc123/segments/1٣/1/x.mp4")
@example("jobs/job_abc123/segments/1/1٣/x.mp4")
@example("jobs/job_abc123/output/1١/film.mp4")
def test_whatever_is_known_has_exactly_one_name(name: str) -> None:
    found = parse_object_name(name)

    if isinstance(found, SegmentObject):
        assert segment_prefix(found.job_id, found.segment_index, found.attempt) + found.filename == name
    elif isinstance(found, OutputObject):
        assert output_name(found.job_id, found.attempt).removesuffix(FILM) + found.filename == name
    if found is not None:
        assert JOB_ID.fullmatch(found.job_id)
        assert not {"", ".", ".."} & set(name.split("/"))


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/",
        "/jobs/job_abc123/segments/0/1/a.mp4",
        "jobs/job_abc123/segments/0/1/",
        "jobs/job_abc123/segments/0/1",
        "jobs/job_abc123/segments/0/0/a.mp4",
        "jobs/job_abc123/segments/00/1/a.mp4",
        "jobs/job_abc123/segments/-1/1/a.mp4",
        "jobs/job_abc123/segments/+1/1/a.mp4",
        "jobs/job_abc123/segments/0/1/../../1/1/a.mp4",
        "jobs/job_abc123/segments/0/1/..",
        "jobs/job_abc123/segments/0/1/./a.mp4",
        "jobs/job_abc123/segments/0/1//a.mp4",
        "jobs/job_abc123/segments/0/1/a\n.mp4",
        "jobs/job_abc123/segments/0/1/a.mp4\n",
        "jobs/job_abc123/segments/0/1/a\x00.mp4",
        "jobs/job_abc123/segments/0/1/a\u2028.mp4",
        "jobs/job_abc123/segments/0/1/\ud800.mp4",
        "jobs/job_abc123\n/segments/0/1/a.mp4",
        "jobs/job_ABC123/segments/0/1/a.mp4",
        "jobs/job_abc/segments/0/1/a.mp4",
        f"jobs/job_{'a' * 41}/segments/0/1/a.mp4",
        "jobs/../segments/0/1/a.mp4",
        "jobs/abc123/segments/0/1/a.mp4",
        "other/jobs/job_abc123/segments/0/1/a.mp4",
        "jobs/job_abc123/segments/1000000/1/a.mp4",
        "jobs/job_abc123/output/1/..",
        "jobs/job_abc123/output/1/film.mp4/more",
        "jobs/job_abc123/output/1/film.mp4\n",
        "jobs/job_abc123/output/0/film.mp4",
        "jobs/job_abc123/output/film.mp4",
        "jobs/job_abc123/stitch/1/film.mp4",
    ],
    ids=ascii,
)
def test_a_hostile_or_foreign_name_is_nobodys_object(name: str) -> None:
    assert parse_object_name(name) is None


def test_another_jobs_name_below_a_segments_prefix_is_only_a_filename() -> None:
    inner = output_name("job_bbbbbb", 1)

    found = parse_object_name(segment_prefix("job_aaaaaa", 0, 1) + inner)

    assert found == SegmentObject("job_aaaaaa", 0, 1, inner)


def test_the_last_frame_of_a_clip_lies_beside_it() -> None:
    found = parse_object_name(segment_prefix("job_abc123", 4, 2) + LAST_FRAME)

    assert found == SegmentObject("job_abc123", 4, 2, LAST_FRAME)


@given(st.from_regex(r"[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]", fullmatch=True), paths)
def test_a_uri_is_taken_apart_and_put_together_again(bucket: str, name: str) -> None:
    uri = f"gs://{bucket}/{name}"

    assert parse_uri(uri) == ObjectUri(bucket, name)
    assert str(parse_uri(uri)) == uri


@given(st.one_of(st.text(), st.text().map(lambda text: f"gs://bucket/{text}")))
def test_every_uri_is_either_read_whole_or_refused(uri: str) -> None:
    try:
        read = parse_uri(uri)
    except BadMessage:
        return
    assert str(read) == uri
    assert not {"", ".", ".."} & set(read.name.split("/"))


@pytest.mark.parametrize(
    "uri",
    ["", "gs://", "gs://bucket", "gs://bucket/", "gs://b/x", "gs://Bucket/x", "https://bucket/x", "gs:/bucket/x", "x"],
)
def test_what_is_no_uri_of_an_object_is_refused_with_the_form_that_is_right(uri: str) -> None:
    with pytest.raises(BadMessage, match="should be of the form gs://bucket/object"):
        parse_uri(uri)


@pytest.mark.parametrize("name", ["../x", "a/../b", "a//b", "a/", "./a", "a\nb", "a\x7fb", "a\u2029b"], ids=ascii)
def test_a_uri_with_a_hostile_name_is_refused(name: str) -> None:
    with pytest.raises(BadMessage, match="without an empty part"):
        parse_uri(f"gs://bucket/{name}")


@given(st.text(), st.text(), st.text())
def test_the_same_request_always_gets_the_same_well_formed_job_id(project: str, kind: str, request: str) -> None:
    first, again = (job_id_of_request("someone", project, kind, request) for _ in range(2))

    assert first == again
    assert JOB_ID.fullmatch(first)


def test_requests_of_another_user_project_or_kind_get_another_job() -> None:
    ids = {
        job_id_of_request(*names)
        for names in [
            ("u", "a", "b", "c"),
            ("u", "a", "b", "d"),
            ("u", "a", "c", "c"),
            ("u", "ab", "", "c"),
            ("v", "a", "b", "c"),
        ]
    }

    assert len(ids) == 5
