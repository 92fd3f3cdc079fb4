"""What may be uploaded: one file of a known kind, by its own name, and of a size that is told before."""

from __future__ import annotations

import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.errors import InvalidRequest
from events.names import uri_fault
from events.uploads import SIZE_MAX_BYTES, UploadRequest, UploadType

GOOD = {"filename": "beach.mp4", "contentType": "video/mp4", "sizeBytes": 1000}


def refusal(**changes: Any) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as refused:
        UploadRequest.of({**GOOD, **changes})
    return refused.value


def test_an_upload_is_read() -> None:
    request = UploadRequest.of(GOOD)

    assert (request.filename, request.content_type, request.size_bytes) == ("beach.mp4", UploadType.MP4, 1000)


@pytest.mark.parametrize(
    "filename",
    [
        "a.mp4",
        "IMG_0042.MOV",
        "beach day (1).mp4",
        "(final) cut, v2+3@home~.webm",
        "x" * 122 + ".jpeg",
        "Café.mp4",
        "Strand im März.mov",
        "海辺.mp4",
        "пляж.mkv",
        "شاطئ.mp4",
        "समुद्र तट.mp4",
        "ชายหาด.mp4",
        "John's day & night!.mp4",
        "one.two.three.mp4",
    ],
)
def test_names_that_people_give_their_files_are_taken(filename: str) -> None:
    assert UploadRequest.of({**GOOD, "filename": filename}).filename == filename


@pytest.mark.parametrize(
    "filename",
    [
        "",
        ".",
        "..",
        ".mp4",
        ".hidden.mp4",
        " a.mp4",
        "a",
        "a.",
        "a.m",
        "a.mpeg44",
        "a/b.mp4",
        "../a.mp4",
        "a\\b.mp4",
        "a\nb.mp4",
        "a.mp4\n",
        "a\u2028b.mp4",
        "a\0.mp4",
        "a\u202egnp.mp4",
        'a".mp4',
        "a?b.mp4",
        "a*.mp4",
        "a%2fb.mp4",
        "a#1.mp4",
        "a [4K].mp4",
        "$HOME.mp4",
        "`a`.mp4",
        "\u0301.mp4",
        "x" * 123 + ".jpeg",
    ],
)
def test_names_that_are_a_path_or_none_are_refused_with_what_would_be_right(filename: str) -> None:
    refused = refusal(filename=filename)

    assert refused.field == "filename"
    assert "no folder" in refused.message


@given(st.text(max_size=140))
def test_a_name_that_is_taken_is_one_part_of_an_object_name(filename: str) -> None:
    try:
        request = UploadRequest.of({**GOOD, "filename": filename})
    except InvalidRequest:
        return
    assert "/" not in request.filename
    assert uri_fault(f"gs://bucket/users/alice/uploads/abc/{request.filename}") is None
    # Cloud Storage takes 1024 bytes; the rest is for the area.
    assert len(request.filename.encode()) <= 600


def test_a_name_is_kept_in_the_form_that_is_written_everywhere() -> None:
    """A Mac writes é as e and an accent; the same clip must have one name."""
    decomposed = unicodedata.normalize("NFD", "Café.mp4")

    assert decomposed != "Café.mp4"
    assert UploadRequest.of({**GOOD, "filename": decomposed}).filename == "Café.mp4"


@pytest.mark.parametrize("content_type", list(UploadType))
def test_every_kind_of_clip_and_start_image_may_be_uploaded(content_type: UploadType) -> None:
    assert UploadRequest.of({**GOOD, "contentType": str(content_type)}).content_type is content_type


@pytest.mark.parametrize("content_type", ["text/html", "video/MP4", "", "image/svg+xml", None, 7])
def test_another_kind_is_refused_with_those_that_may(content_type: object) -> None:
    refused = refusal(contentType=content_type)

    assert refused.field == "contentType"
    if isinstance(content_type, str):
        assert "video/mp4" in refused.message


@pytest.mark.parametrize("size", [0, -1, SIZE_MAX_BYTES + 1, 1.5, "many", None, [1]])
def test_a_size_that_no_file_has_is_refused(size: object) -> None:
    assert refusal(sizeBytes=size).field == "sizeBytes"


@pytest.mark.parametrize("size", [1, SIZE_MAX_BYTES])
def test_the_least_and_the_most_may_be_uploaded(size: int) -> None:
    assert UploadRequest.of({**GOOD, "sizeBytes": size}).size_bytes == size


@pytest.mark.parametrize("field", GOOD)
def test_nothing_may_be_left_out(field: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        UploadRequest.of({name: value for name, value in GOOD.items() if name != field})

    assert refused.value.field == field


def test_a_field_that_is_not_known_is_refused() -> None:
    assert refusal(bucket="another").field == "bucket"


@given(st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.text(), max_size=2))
def test_what_is_no_object_is_refused(value: object) -> None:
    with pytest.raises(InvalidRequest, match="a request should be an object with fields"):
        UploadRequest.of(value)
