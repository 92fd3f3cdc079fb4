"""A caller names objects of their own area only, whatever names they think of."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from events.errors import InvalidRequest, NotAllowed
from events.requests import read_request
from functions.own_area import check_own_area, own_area

BUCKET = "longreel-films"
MINE = f"gs://{BUCKET}/users/alice/clip.mp4"
FIREBASE_IDS = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", min_size=1, max_size=128)
#: Names as an attacker would write them: of pieces that mean something to somebody.
NAMES = st.lists(
    st.sampled_from(
        ["users", "alice", "bob", "..", ".", "", "%2e%2e", "jobs", "uploads", "a.mp4", "alice%2f", "\u2024\u2024", "~"]
    ),
    min_size=1,
    max_size=6,
).map("/".join)


def check(request: dict[str, Any], user_id: str = "alice") -> None:
    check_own_area(read_request(request), BUCKET, user_id)


@given(FIREBASE_IDS)
def test_everybody_who_signs_in_has_an_area(user_id: str) -> None:
    assert own_area(user_id) == f"users/{user_id}/"


@given(st.text(max_size=140))
def test_an_area_is_one_folder_below_users_or_there_is_none(user_id: str) -> None:
    try:
        area = own_area(user_id)
    except NotAllowed:
        return
    assert area.split("/") == ["users", user_id, ""]
    assert user_id not in {"", ".", ".."}


@pytest.mark.parametrize(
    "user_id", ["", ".", "..", ".hidden", "a/b", "../bob", "a\n", "\n", "a b", "a\0", "é", "a" * 129]
)
def test_an_id_that_could_be_a_path_has_no_area(user_id: str) -> None:
    with pytest.raises(NotAllowed, match="find the area of user"):
        own_area(user_id)


@pytest.mark.parametrize("user_id", ["a" * 128, "user@example.com", "auth0|abc:1", "-_=+", "a.b..c"])
def test_ids_that_teams_make_themselves_have_one(user_id: str) -> None:
    assert own_area(user_id) == f"users/{user_id}/"


@given(FIREBASE_IDS, FIREBASE_IDS)
def test_no_area_lies_in_another(one: str, other: str) -> None:
    assume(one != other)

    assert not own_area(one).startswith(own_area(other))


@given(NAMES)
def test_whatever_is_let_through_begins_with_the_callers_area(name: str) -> None:
    uri = f"gs://{BUCKET}/{name}"
    try:
        check({"clips": [MINE, uri]})
    except (InvalidRequest, NotAllowed):
        return
    assert uri.startswith(f"gs://{BUCKET}/users/alice/")
    assert ".." not in uri.split("/")


def _requests(uri: str) -> list[tuple[str, dict[str, Any]]]:
    reel = uri if uri.endswith(".mp4") else f"{uri}.mp4"
    return [
        ("clips[1]", {"clips": [MINE, uri]}),
        ("outputPath", {"clips": [MINE, MINE], "outputPath": reel}),
        ("prompts[1].startImage", {"prompts": ["x", {"prompt": "y", "startImage": uri}]}),
        ("music", {"prompts": ["x"], "music": uri}),
        ("music", {"clips": [MINE, MINE], "music": uri}),
    ]


@pytest.mark.parametrize("number", range(5), ids=["clip", "output", "start image", "music", "music of a reel"])
def test_an_object_of_somebody_else_is_refused_by_its_field(number: int) -> None:
    field, request = _requests(f"gs://{BUCKET}/users/bob/a.mp4")[number]

    with pytest.raises(NotAllowed) as refused:
        check(request)

    assert refused.value.message.startswith(f"{field}: should be in gs://{BUCKET}/users/alice/, which is yours, not ")


@pytest.mark.parametrize("number", range(5), ids=["clip", "output", "start image", "music", "music of a reel"])
def test_an_object_of_another_bucket_is_refused_by_its_field(number: int) -> None:
    field, request = _requests("gs://another-bucket/users/alice/a.mp4")[number]

    with pytest.raises(InvalidRequest) as refused:
        check(request)

    assert refused.value.field == field
    assert "not in the bucket another-bucket" in refused.value.message


@pytest.mark.parametrize("number", range(5), ids=["clip", "output", "start image", "music", "music of a reel"])
def test_ones_own_objects_are_let_through(number: int) -> None:
    _, request = _requests(f"gs://{BUCKET}/users/alice/holiday/a.mp4")[number]

    check(request)


def test_prompts_alone_name_no_object() -> None:
    check({"prompts": ["a lighthouse"]})
