"""Replay by the real `gcloud pubsub topics publish`: changes nothing that is right, and mends what is stuck."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from adapters.pubsub_dead_letters import DeadLetter
from events.messages import Topic
from tests.cli.conftest import Door
from tests.cloud.gcloud import missing, publish_with_gcloud
from tests.cloud.ordered import (
    bought,
    check_made_for_its_price,
    id_of,
    once,
    order,
    wait_until,
    wait_until_quiet,
)
from tests.cloud.stack import BUCKET, LocalCloud

SEGMENTS = 3
ATTEMPTS_MAX = 3
#: `gcloud` takes a second of one core each time.
GCLOUDS_AT_ONCE = 3


@pytest.fixture(scope="module")
def emulated() -> Iterator[LocalCloud]:
    variables = {"LONGREEL_DELIVERY_ATTEMPTS_MAX": str(ATTEMPTS_MAX)}
    with LocalCloud(variables=variables, storage_patience_seconds=0.3) as cloud:
        yield cloud


@pytest.fixture
def cloud(needs_emulators: None, request: pytest.FixtureRequest) -> Iterator[LocalCloud]:
    if (reason := missing()) is not None:
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    cloud: LocalCloud = request.getfixturevalue("emulated")
    yield cloud
    cloud.vertex.latency_seconds = 0.05
    cloud.vertex.work()
    cloud.transcoder.release()


def replay(cloud: LocalCloud, *messages: tuple[Topic, dict[str, Any]]) -> None:
    """Publish messages as an operator types them, and wait for what comes of them."""
    with ThreadPoolExecutor(GCLOUDS_AT_ONCE) as hands:
        list(hands.map(lambda each: publish_with_gcloud(cloud.project, each[0], json.dumps(each[1])), messages))
    wait_until_quiet(cloud)


def all_replays(job_id: str) -> list[tuple[Topic, dict[str, Any]]]:
    """Give every message about a job that can be typed by hand."""
    return [
        (Topic.REQUESTED, {"jobId": job_id}),
        (Topic.SEGMENT_REQUESTED, {"jobId": job_id, "segmentIndex": 1}),
        (Topic.SEGMENT_DONE, {"jobId": job_id, "segmentIndex": 1}),
        (Topic.STITCH_REQUESTED, {"jobId": job_id}),
    ]


def documents(cloud: LocalCloud, job_id: str) -> tuple[object, ...]:
    """Give all that is kept of a job, and what was paid for it."""
    return cloud.job(job_id), cloud.segments(job_id), bought(cloud, job_id), len(cloud.transcoder.created())


def bring_to_every_stage(cloud: LocalCloud) -> dict[str, str]:
    """Give jobs that wait at a stage, or are over, by the name of it."""
    jobs = {"completed": order(cloud, "completed", SEGMENTS)}
    cloud.vertex.rule(refuse=400, prompt="failed, scene 1")
    jobs["failed"] = order(cloud, "failed", SEGMENTS)
    cloud.transcoder.hold()
    long_enough = [{"prompt": f"Scene {number}", "durationMs": 6000} for number in range(SEGMENTS)]
    jobs["stitching"] = order(cloud, "stitching", SEGMENTS, prompts=long_enough, engine="transcoder")
    wait_until_quiet(cloud)
    cloud.lose(Topic.REQUESTED, jobId=id_of("queued"))
    jobs["queued"] = order(cloud, "queued", SEGMENTS)
    cloud.vertex.latency_seconds = None
    jobs["generating"] = order(cloud, "generating", SEGMENTS, maxParallelSegments=2)
    jobs["cancelled"] = order(cloud, "cancelled", SEGMENTS)
    wait_until("ordered", lambda: len(bought(cloud, jobs["cancelled"])) == SEGMENTS)
    cloud.call("cancelJob", {"jobId": jobs["cancelled"]}, uid="cancelled")
    wait_until_quiet(cloud)
    assert {stage: str(cloud.job(job_id).state) for stage, job_id in jobs.items()} == {stage: stage for stage in jobs}
    return jobs


def test_at_every_stage_a_replay_changes_nothing_that_is_right(cloud: LocalCloud) -> None:
    jobs = bring_to_every_stage(cloud)
    before = {stage: documents(cloud, job_id) for stage, job_id in jobs.items()}
    # What waits in the queue is stuck, so `requested` would mend it; see below.
    replays = [each for job_id in jobs.values() for each in all_replays(job_id)]
    replays.remove((Topic.REQUESTED, {"jobId": jobs["queued"]}))

    answered = len(cloud.controlled()["delivered"])
    replay(cloud, *replays)

    # Some of them ask again for what is asked for already, which is a message more.
    statuses = [each["status"] for each in cloud.controlled()["delivered"][answered:]]
    assert len(statuses) >= len(replays)
    assert set(statuses) == {200}
    for stage, job_id in jobs.items():
        assert documents(cloud, job_id) == before[stage], stage
    replay(cloud, (Topic.REQUESTED, {"jobId": jobs["queued"]}))
    cloud.vertex.latency_seconds = 0.05
    cloud.vertex.work()
    cloud.transcoder.release()
    for stage in ("queued", "generating"):
        check_made_for_its_price(cloud, cloud.finished(jobs[stage]), SEGMENTS)
    assert cloud.finished(jobs["stitching"]).state == "completed"
    assert bought(cloud, jobs["stitching"]) == once(SEGMENTS)
    assert len(cloud.transcoder.created()) == 1


def test_a_job_whose_message_was_lost_goes_on_by_a_replay_without_a_sweep(cloud: LocalCloud) -> None:
    lost: dict[str, tuple[Topic, dict[str, Any]]] = {
        "lost-start": (Topic.REQUESTED, {}),
        "lost-segment": (Topic.SEGMENT_REQUESTED, {"segmentIndex": 1}),
        "lost-end": (Topic.SEGMENT_DONE, {"segmentIndex": 1}),
        "lost-stitch": (Topic.STITCH_REQUESTED, {}),
        "lost-event": (Topic.OBJECT_FINALIZED, {}),
    }
    for name, (topic, fields) in lost.items():
        of_event = {"name": f"jobs/{id_of(name)}/segments/1/"}
        cloud.lose(topic, **(of_event if topic is Topic.OBJECT_FINALIZED else {"jobId": id_of(name), **fields}))
        order(cloud, name, SEGMENTS)
    wait_until_quiet(cloud)
    assert [name for name in lost if not cloud.job(id_of(name)).active] == []

    messages = [(topic, {"jobId": id_of(name), **fields}) for name, (topic, fields) in lost.items()]
    # Nobody types an object's event: of a clip that is there, `segment_done` tells as well.
    messages[-1] = (Topic.SEGMENT_DONE, {"jobId": id_of("lost-event"), "segmentIndex": 1})
    replay(cloud, *messages)

    for name in lost:
        check_made_for_its_price(cloud, cloud.finished(id_of(name)), SEGMENTS)
    assert cloud.vertex.polls.total() == 0


def letters_about(cloud: LocalCloud, word: str) -> list[DeadLetter]:
    return [each for each in cloud.adapters.dead_letters.list() if word in each.body]


def environment(cloud: LocalCloud) -> dict[str, str]:
    """Give what an operator's shell has."""
    names = ("PUBSUB_EMULATOR_HOST", "FIRESTORE_EMULATOR_HOST", "STORAGE_EMULATOR_HOST")
    emulated = {name: os.environ[name] for name in names} | {"LONGREEL_EMULATED": "on"}
    return {"GOOGLE_CLOUD_PROJECT": cloud.project, "LONGREEL_BUCKET": BUCKET, **emulated}


def test_what_fails_too_often_is_a_dead_letter_with_its_reason_and_its_replay_heals_the_job(
    cloud: LocalCloud, tmp_path: Path
) -> None:
    job_id = id_of("unlucky")
    clip = f"jobs/{job_id}/segments/0/"
    cloud.storage.misbehave(
        kind="download", where=lambda request: clip in request.found.get("name", ""), status=503, times=10_000
    )
    order(cloud, "unlucky", 2)
    wait_until("buried", lambda: bool(letters_about(cloud, clip)), 60)
    cloud.storage.behave()
    wait_until_quiet(cloud)

    (letter,) = letters_about(cloud, clip)
    assert (letter.topic, letter.deliveries) == ("object_finalized", ATTEMPTS_MAX)
    assert letter.reason.startswith("unavailable: read gs://longreel-films/jobs/")
    assert cloud.job(job_id).state == "generating"
    door = Door(tmp_path)
    listed = json.loads(door.ok("dead-letters", "list", "--json", **environment(cloud)))
    assert [each["id"] for each in listed if each["reason"] == letter.reason] == [letter.message_id]
    door.ok("dead-letters", "replay", letter.message_id, **environment(cloud))

    check_made_for_its_price(cloud, cloud.finished(job_id), 2)
    assert letters_about(cloud, clip) == []


def test_what_cannot_be_read_or_is_about_nothing_is_a_dead_letter_at_once(cloud: LocalCloud) -> None:
    publish_with_gcloud(cloud.project, Topic.REQUESTED, "no JSON at all")
    replay(
        cloud, (Topic.REQUESTED, {"jobId": "job_0000000000"}), (Topic.SEGMENT_REQUESTED, {"jobId": "job_1111111111"})
    )

    found = {word: letters_about(cloud, word) for word in ("no JSON at all", "job_0000000000", "job_1111111111")}

    assert {word: len(letters) for word, letters in found.items()} == dict.fromkeys(found, 1)
    unreadable, unknown, incomplete = (letters[0] for letters in found.values())
    assert unreadable.reason.startswith("bad_message: ")
    assert unknown.reason.startswith("unknown_job: ")
    assert "segmentIndex" in incomplete.reason
    assert {each.deliveries for each in (unreadable, unknown, incomplete)} == {1}
