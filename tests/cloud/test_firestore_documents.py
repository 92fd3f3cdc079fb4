"""What an app's page reads: the shape of the documents; and that nothing is lost on the way there and back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.firestore_documents import changed, job_document, read_job, read_segment, segment_document
from adapters.firestore_fields import Fields, map_of
from adapters.firestore_scripts import (
    KEPT_BYTES_MAX,
    SCRIPT_BYTES_MAX,
    Place,
    Script,
    Shelf,
    place_of,
    places_document,
    read_places,
    read_script,
    script_document,
    written,
)
from events.clip import Clip, ClipFacts
from events.errors import PipelineError
from pipeline.records import Cost, Failure, Job, JobState, Route, Segment
from tests.contract import documents
from tests.contract.test_job_store import a_job

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
KEY = st.sampled_from(["", "~", "~~", "__", "__x__", "~__x__", "a.b", "`", "/"]) | documents.TEXT


def facts(**changes: Any) -> ClipFacts:
    fields: dict[str, Any] = {"container": "mp4", "sizeBytes": 1, "durationMs": 1, "widthPx": 2, "heightPx": 2}
    return ClipFacts.model_validate(fields | {"videoCodec": "h264"} | changes)


@given(documents.JOB)
def test_a_jobs_document_reads_back_as_the_job(job: Job) -> None:
    assert read_job(Fields("videoJobs/j", job_document(job) | {"unknown": [1]})) == job


@given(documents.SEGMENT, documents.TEXT)
def test_a_segments_document_reads_back_as_the_segment(segment: Segment, user_id: str) -> None:
    document = segment_document(segment, user_id)

    assert document["userId"] == user_id
    assert read_segment(Fields("videoJobs/j/segments/0", document)) == segment


@given(st.dictionaries(KEY, documents.TEXT), st.integers(0, 2**70))
def test_any_key_and_any_integer_of_a_clip_comes_back_and_firestore_would_take_it(
    conform: dict[str, str], generation: int
) -> None:
    clip = Clip(uri="gs://b/o", generation=generation, facts=facts(conform=conform))

    written_map = map_of(clip)

    assert all(key and not key.startswith("__") for key in written_map["facts"]["conform"])
    assert isinstance(written_map["generation"], str) == (generation >= 2**63)
    assert Fields("p", {"clip": written_map}).model("clip", Clip) == clip


@given(documents.JOB, documents.JOB)
def test_what_changed_and_what_did_not_make_the_new_document(before: Job, after: Job) -> None:
    difference = changed(job_document(before), job_document(after))

    assert job_document(before) | difference == job_document(after)
    assert changed(job_document(after), job_document(after)) == {}


def test_a_page_reads_state_words_and_money_from_the_jobs_document() -> None:
    job = a_job(
        state=JobState.FAILED,
        error=Failure("quota", "There is no quota left", 3),
        route=Route("splice", "it is the cheapest", 12_500, ("gpu: there is none",)),
        cost=Cost(9_600_000, 1_200_000, 400_000),
        warnings=("Scene 2 is left out",),
    )

    document = job_document(job)

    assert (document["state"], document["phase"], document["message"]) == ("failed", "failed", "There is no quota left")
    assert document["error"] == {"code": "quota", "message": "There is no quota left", "segment": 3}
    assert document["stitchError"] is None
    assert document["warnings"] == ["Scene 2 is left out"]
    assert document["route"] == {
        "stitcher": "splice",
        "reason": "it is the cheapest",
        "priceUsd": 0.0125,
        "priceMicroUsd": 12_500,
        "losers": ["gpu: there is none"],
        "warnings": [],
    }
    assert document["cost"] == {
        "estimatedUsd": 9.6,
        "estimatedMicroUsd": 9_600_000,
        "spentUsd": 1.2,
        "spentMicroUsd": 1_200_000,
        "wastedUsd": 0.4,
        "wastedMicroUsd": 400_000,
        "boundUsd": 1.6,
        "boundMicroUsd": 1_600_000,
    }
    assert document["createdAt"] == job.created_at
    assert document["userId"] == "someone"


def test_a_state_of_a_later_version_is_named_with_what_is_known() -> None:
    with pytest.raises(PipelineError, match=r"videoJobs/j, field state: it should be one of queued, .* 'paused'"):
        read_job(Fields("videoJobs/j", job_document(a_job()) | {"state": "paused"}))


@given(
    st.lists(st.tuples(st.integers(0, 250_000), st.integers(0, 3)), max_size=12).map(
        lambda sizes: [
            Segment("job_abc123", index, "x" * size, NOW, price_micro_usd=price)
            for index, (size, price) in enumerate(sizes)
        ]
    )
)
def test_beginnings_fill_scripts_in_order_and_come_back(segments: list[Segment]) -> None:
    scripts = written("job_abc123", segments, "s")
    fields = Fields("videoJobs/j", {"scripts": places_document(scripts)})

    places = read_places(fields)

    assert all(each.size_bytes <= SCRIPT_BYTES_MAX for each in scripts)
    assert [each.first for each in places] == [0, *(each.end for each in places)][: len(places)]
    assert place_of(places, len(segments)) is None
    assert place_of(places, -1) is None
    for segment in segments:
        place = place_of(places, segment.index)
        assert place is not None
        document = script_document(scripts[places.index(place)], "job_abc123", "someone")
        read = read_script(Fields("p", document), place)
        assert read.segment("job_abc123", segment.index) == segment


def test_a_process_keeps_only_so_many_scripts_and_lets_the_oldest_go() -> None:
    shelf = Shelf()
    size = KEPT_BYTES_MAX // 4
    scripts = [Script(Place(f"s{n}", 0, 1), NOW + timedelta(seconds=n), (("x" * size, 0),)) for n in range(6)]
    for script in scripts[:3]:
        shelf.put("job_abc123", script)
    assert shelf.find("job_abc123", scripts[0].place) is scripts[0]

    shelf.put("job_abc123", scripts[3])

    assert shelf.find("job_abc123", scripts[1].place) is None, "nobody asked for it longest"
    assert shelf.find("job_abc123", scripts[0].place) is scripts[0]
    assert shelf.find("job_another", scripts[0].place) is None
