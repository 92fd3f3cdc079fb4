"""Who may do what to which document, asked of Google's own rules engine over REST, as owner, stranger and nobody."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from adapters.config import CloudConfig
from tests.cloud import emulators
from tests.web.firestore_rest import RULES, Answer, FirestoreRest, document, query

OWNER, STRANGER, NOBODY = "alice", "bob", None
EVERYBODY = (OWNER, STRANGER, NOBODY)
NO_ONE: frozenset[str | None] = frozenset()
ONLY_THE_OWNER = frozenset({OWNER})
THE_SIGNED_IN = frozenset({OWNER, STRANGER})

JOB = "videoJobs/job_abc123"
STORAGE_RULES = RULES.with_name("storage.rules")


@dataclass(frozen=True)
class Place:
    """One document of the owner, and who may do what there."""

    path: str
    #: Who may get it.
    get: frozenset[str | None] = NO_ONE
    #: Who may ask the collection for what is their own; the stranger then finds nothing.
    list_own: frozenset[str | None] = NO_ONE
    #: Who may ask the collection for everything.
    list_all: frozenset[str | None] = NO_ONE

    @property
    def parent(self) -> str:
        """Give what the collection lies in, with a leading slash; empty for a collection at the top."""
        return "/" + above if (above := self.path.rpartition("/")[0].rpartition("/")[0]) else ""

    @property
    def collection(self) -> str:
        """Give the collection's bare name."""
        return self.path.split("/")[-2]


# All of them carry the owner's userId, so it is the rules alone that keep any of them from the owner.
PLACES = (
    Place(JOB, ONLY_THE_OWNER, THE_SIGNED_IN),
    Place(f"{JOB}/segments/0", ONLY_THE_OWNER, THE_SIGNED_IN),
    Place(f"{JOB}/scripts/0", ONLY_THE_OWNER, THE_SIGNED_IN),
    Place(f"{JOB}/checkpoints/plan", ONLY_THE_OWNER, THE_SIGNED_IN),
    Place(f"{JOB}/papers/1"),
    Place(f"{JOB}/segments/0/attempts/1"),
    Place("users/alice", ONLY_THE_OWNER),
    Place("users/alice/quotas/veo", ONLY_THE_OWNER, ONLY_THE_OWNER, ONLY_THE_OWNER),
    Place("users/alice/quotas/veo/days/1", ONLY_THE_OWNER, ONLY_THE_OWNER, ONLY_THE_OWNER),
    Place("locks/alice_default_long_form"),
    Place("failures/f1"),
    Place("segments/0"),
    Place("anything/else"),
)

Ask = Callable[[FirestoreRest, Place, str | None], Answer]


def _get(at: FirestoreRest, place: Place, uid: str | None) -> Answer:
    return at.ask("GET", f"/{place.path}", uid)


def _list_own(at: FirestoreRest, place: Place, uid: str | None) -> Answer:
    return at.ask("POST", f"{place.parent}:runQuery", uid, query(place.collection, uid or OWNER))


def _count_own(at: FirestoreRest, place: Place, uid: str | None) -> Answer:
    counted: dict[str, Any] = query(place.collection, uid or OWNER) | {"aggregations": [{"count": {}, "alias": "n"}]}
    return at.ask("POST", f"{place.parent}:runAggregationQuery", uid, {"structuredAggregationQuery": counted})


def _list_all(at: FirestoreRest, place: Place, uid: str | None) -> Answer:
    return at.ask("POST", f"{place.parent}:runQuery", uid, query(place.collection, None))


def _list_all_with_get(at: FirestoreRest, place: Place, uid: str | None) -> Answer:
    return at.ask("GET", f"{place.parent}/{place.collection}", uid)


def _list_what_is_the_others(at: FirestoreRest, place: Place, uid: str | None) -> Answer:
    return at.ask("POST", f"{place.parent}:runQuery", uid, query(place.collection, STRANGER if uid == OWNER else OWNER))


def _list_own_everywhere(at: FirestoreRest, place: Place, uid: str | None) -> Answer:
    return at.ask("POST", ":runQuery", uid, query(place.collection, uid or OWNER, everywhere=True))


def _create(at: FirestoreRest, place: Place, uid: str | None) -> Answer:
    return at.ask("POST", f"{place.parent}/{place.collection}?documentId=new", uid, document({"userId": uid or ""}))


def _update(at: FirestoreRest, place: Place, uid: str | None) -> Answer:
    path = f"/{place.path}?updateMask.fieldPaths=state&currentDocument.exists=true"
    return at.ask("PATCH", path, uid, document({"state": "completed"}))


def _take_over(at: FirestoreRest, place: Place, uid: str | None) -> Answer:
    return at.ask("PATCH", f"/{place.path}", uid, document({"userId": uid or ""}))


def _commit(at: FirestoreRest, place: Place, uid: str | None) -> Answer:
    name = f"{at.root}/{place.path}"
    more = {"fieldPath": "progress", "increment": {"integerValue": "1"}}
    return at.ask("POST", ":commit", uid, {"writes": [{"transform": {"document": name, "fieldTransforms": [more]}}]})


def _delete(at: FirestoreRest, place: Place, uid: str | None) -> Answer:
    return at.ask("DELETE", f"/{place.path}", uid)


#: What is asked → who may, at a place.
ASKS: dict[Ask, Callable[[Place], frozenset[str | None]]] = {
    _get: lambda place: place.get,
    _list_own: lambda place: place.list_own,
    _count_own: lambda place: place.list_own,
    _list_all: lambda place: place.list_all,
    _list_all_with_get: lambda place: place.list_all,
    _list_what_is_the_others: lambda place: place.list_all,
    _list_own_everywhere: lambda place: NO_ONE,
    _create: lambda place: NO_ONE,
    _update: lambda place: NO_ONE,
    _take_over: lambda place: NO_ONE,
    _commit: lambda place: NO_ONE,
    _delete: lambda place: NO_ONE,
}


def _path(place: object) -> str:
    return place.path.replace(JOB, "job") if isinstance(place, Place) else str(place)


@pytest.fixture(scope="module")
def host() -> str:
    """Give the emulator's host for the whole module."""
    if (reason := emulators.missing()) is not None:
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return emulators.firestore_host()


@pytest.fixture(scope="module")
def database(host: str) -> FirestoreRest:
    """Give a project with the rules and one document in every place."""
    found = FirestoreRest(host, emulators.fresh_project())
    for place in PLACES:
        found.seed(place.path, {"userId": OWNER, "state": "queued"})
    assert found.release_rules(RULES.read_text(encoding="utf-8")) == [], "the compiler has remarks"
    return found


@pytest.fixture(scope="module")
def answers(database: FirestoreRest) -> dict[tuple[Ask, str | None, Place], Answer]:
    """Give the answers to every question once: nothing that is asked may change anything."""
    return {(ask, uid, place): ask(database, place, uid) for ask in ASKS for uid in EVERYBODY for place in PLACES}


@pytest.mark.parametrize("place", PLACES, ids=_path)
@pytest.mark.parametrize("uid", EVERYBODY, ids=["owner", "stranger", "nobody"])
@pytest.mark.parametrize("ask", ASKS, ids=lambda ask: ask.__name__.strip("_"))
def test_the_rules_allow_what_the_table_says_and_no_more(
    answers: dict[tuple[Ask, str | None, Place], Answer], ask: Ask, uid: str | None, place: Place
) -> None:
    assert answers[ask, uid, place].allowed == (uid in ASKS[ask](place))


@pytest.mark.parametrize("place", [place for place in PLACES if place.list_own], ids=_path)
def test_a_query_for_ones_own_finds_the_owners_document_and_for_a_stranger_nothing(
    database: FirestoreRest, place: Place
) -> None:
    assert _list_own(database, place, OWNER).paths() == [place.path]
    if STRANGER in place.list_own:
        assert _list_own(database, place, STRANGER).paths() == []


def test_a_job_that_is_not_there_is_answered_like_somebody_elses(database: FirestoreRest) -> None:
    for uid in EVERYBODY:
        assert not database.ask("GET", "/videoJobs/job_nothere", uid).allowed
        assert not database.ask("GET", "/videoJobs/job_nothere/segments/0", uid).allowed


@pytest.mark.parametrize("fields", [{}, {"userId": ""}, {"user_id": OWNER}, {"userId": "Alice"}], ids=str)
def test_a_document_that_does_not_say_whose_it_is_is_nobodys(host: str, fields: dict[str, str]) -> None:
    database = FirestoreRest(host, emulators.fresh_project())
    database.seed("videoJobs/job_odd123", fields)
    database.release_rules(RULES.read_text(encoding="utf-8"))

    assert [uid for uid in EVERYBODY if database.ask("GET", "/videoJobs/job_odd123", uid).allowed] == []


def test_a_segment_is_judged_by_its_own_user_and_not_by_its_jobs(host: str) -> None:
    database = FirestoreRest(host, emulators.fresh_project())
    database.seed(JOB, {"userId": OWNER})
    database.seed(f"{JOB}/segments/0", {"userId": STRANGER})
    database.release_rules(RULES.read_text(encoding="utf-8"))

    assert not database.ask("GET", f"/{JOB}/segments/0", OWNER).allowed
    assert database.ask("GET", f"/{JOB}/segments/0", STRANGER).allowed


@pytest.mark.usefixtures("answers")
def test_every_condition_of_the_rules_was_seen_to_say_yes_and_no(database: FirestoreRest) -> None:
    assert _seen(database) == {line: {True, False} for line in _conditions(RULES)}


def test_the_rules_speak_of_the_collection_that_is_the_default() -> None:
    for rules in (RULES, STORAGE_RULES):
        assert f"/{CloudConfig.jobs_collection}/" in rules.read_text(encoding="utf-8")


@pytest.mark.parametrize("rules", [RULES, STORAGE_RULES], ids=lambda path: path.name)
def test_no_rule_allows_a_write_and_none_allows_without_asking_who(rules: Path) -> None:
    found = re.finditer(r"^ +allow ([a-z, ]+): if (.+);$", rules.read_text(encoding="utf-8"), re.MULTILINE)
    for match in found:
        methods, condition = match.groups()
        assert set(methods.split(", ")) <= {"read", "get"} or condition == "false", match[0]
        assert condition in {"isOwn()", "ownsJob(jobId)", "false"} or "request.auth.uid == uid" in condition, match[0]


# Google's engine for the rules of Cloud Storage comes with no SDK. The language and its compiler are the same, so the
# Firestore emulator reads the file as it is, and judges by it once the three names that differ are exchanged:
# an object `jobs/…` then is a document `o/jobs/…`. What stays unproven is that Cloud Storage itself asks Firestore.


def test_the_storage_rules_compile_and_all_that_is_strange_to_firestore_is_the_question_to_firestore(host: str) -> None:
    text = STORAGE_RULES.read_text(encoding="utf-8")
    line = 1 + text[: text.index("firestore.get(")].count("\n")

    assert set(FirestoreRest(host, emulators.fresh_project()).release_rules(text)) == {
        f"line {line}: Invalid variable name: firestore.",
        f"line {line}: Incorrect number of arguments supplied to function: get.",
    }


# Names of an odd number of parts, so that with `o/` before them they are documents.
OBJECTS = {
    "jobs/job_abc123/output/1/film.mp4": ONLY_THE_OWNER,
    "jobs/job_abc123/segments/0/1/7/sample_0.mp4": ONLY_THE_OWNER,
    "jobs/job_abc123/segments/0/1/a/b/c/clip.mp4": ONLY_THE_OWNER,
    "jobs/job_abc123/output/1/a/b/film.mp4": NO_ONE,
    "jobs/job_abc123/stitch/1/plan.json": NO_ONE,
    "jobs/job_nothere/output/1/film.mp4": NO_ONE,
    "users/alice/clip.mp4": ONLY_THE_OWNER,
    "users/alice/uploads/1/clip.mp4": ONLY_THE_OWNER,
    "film.mp4": NO_ONE,
}


@pytest.fixture(scope="module")
def bucket(host: str) -> FirestoreRest:
    """Give a project whose documents under `o` stand for the objects of a bucket."""
    text = STORAGE_RULES.read_text(encoding="utf-8")
    for theirs, ours in (
        ("service firebase.storage", "service cloud.firestore"),
        ("match /b/{bucket}/o {", "match /databases/{database}/documents/o {"),
        ("firestore.get(", "get("),
    ):
        assert text.count(theirs) == 1
        text = text.replace(theirs, ours)
    found = FirestoreRest(host, emulators.fresh_project())
    found.seed(JOB, {"userId": OWNER})
    for name in OBJECTS:
        found.seed(f"o/{name}", {})
    assert found.release_rules(text) == []
    return found


@pytest.mark.parametrize("name", OBJECTS)
@pytest.mark.parametrize("uid", EVERYBODY, ids=["owner", "stranger", "nobody"])
def test_an_object_is_got_by_its_owner_alone_and_written_or_listed_by_nobody(
    bucket: FirestoreRest, uid: str | None, name: str
) -> None:
    place = Place(f"o/{name}", get=OBJECTS[name])

    assert _get(bucket, place, uid).allowed == (uid in OBJECTS[name])
    for ask in (_list_all, _list_all_with_get, _create, _update, _take_over, _delete):
        assert not ask(bucket, place, uid).allowed, ask.__name__


def test_every_condition_of_the_storage_rules_was_seen_to_say_yes_and_no(bucket: FirestoreRest) -> None:
    for name in OBJECTS:
        for uid in EVERYBODY:
            _get(bucket, Place(f"o/{name}"), uid)

    assert _seen(bucket) == {line: {True, False} for line in _conditions(STORAGE_RULES)}


def _conditions(rules: Path) -> list[int]:
    """Give the 1-based lines on which a condition stands; `if false` is none, and the engine does not report it."""
    lines = enumerate(rules.read_text(encoding="utf-8").splitlines(), start=1)
    return [number for number, line in lines if re.match(r" +(allow .*: if|return) ", line) and " if false" not in line]


def _seen(database: FirestoreRest) -> dict[int, set[bool]]:
    """Give what every condition answered; an error (a job that is not there) is neither yes nor no."""
    return {
        each["sourcePosition"]["line"]: {
            value["value"]["boolValue"] for value in each.get("values", []) if "boolValue" in value["value"]
        }
        for each in database.coverage()
    }
