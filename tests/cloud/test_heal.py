"""The sweep heals: whichever message of a film's run is lost for good, the film is made within one sweep and its work.

No list of messages is written here: a run in which nothing goes wrong tells which there are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from events.messages import Topic
from tests.cloud.host import FUNCTIONS
from tests.cloud.ordered import bought, check_made_for_its_price, id_of, let_heal, once, order, wait_until_quiet
from tests.cloud.stack import LocalCloud

SEGMENTS = 6
TOPIC_OF = {function: topic for topic, function in FUNCTIONS.items()}


@pytest.fixture(scope="module")
def emulated() -> Iterator[LocalCloud]:
    with LocalCloud() as cloud:
        yield cloud


@pytest.fixture
def cloud(needs_emulators: None, request: pytest.FixtureRequest) -> LocalCloud:
    cloud: LocalCloud = request.getfixturevalue("emulated")
    return cloud


def fields_of(delivered: dict[str, Any], job_id: str) -> dict[str, Any]:
    """Give by what a message is told from all others of its run, in words that another run has as well."""
    message = delivered["message"]
    if "name" in message:
        # Veo's own folder, which is another each time, is cut off.
        return {"name": re.sub(r"(/segments/\d+/\d+/).*", r"\1", message["name"]).replace(job_id, "JOB")}
    return {"jobId": "JOB"} | {name: message[name] for name in ("segmentIndex",) if name in message}


def messages_of_a_run(cloud: LocalCloud, name: str, count: int, **request: Any) -> list[tuple[Topic, dict[str, Any]]]:
    """Make a film without any harm, and give the messages that it took."""
    job_id = order(cloud, name, count, **request)
    job = cloud.finished(job_id)
    wait_until_quiet(cloud)
    assert job.state == "completed", job
    return [
        (TOPIC_OF[each["function"]], fields_of(each, job_id))
        for each in cloud.controlled()["delivered"]
        if job_id in str(each["message"])
    ]


def of_job(fields: dict[str, Any], job_id: str) -> dict[str, Any]:
    return {name: value.replace("JOB", job_id) if isinstance(value, str) else value for name, value in fields.items()}


def lose_each_in_turn(
    cloud: LocalCloud, name: str, count: int, messages: list[tuple[Topic, dict[str, Any]]], **request: Any
) -> list[str]:
    """Order a film for each message of a run, which is lost in it; give their job ids when nothing moves any more."""
    lost_before = len(cloud.controlled()["lost"])
    jobs = []
    for number, (topic, fields) in enumerate(messages):
        film = f"{name}-{number}"
        cloud.lose(topic, **of_job(fields, id_of(film)))
        jobs.append(order(cloud, film, count, **request))
    wait_until_quiet(cloud)
    assert len(cloud.controlled()["lost"]) - lost_before == len(messages), "each run lost its message"
    return jobs


def test_whichever_message_is_lost_for_good_one_sweep_brings_the_film(cloud: LocalCloud) -> None:
    messages = messages_of_a_run(cloud, "unharmed", SEGMENTS)
    topics = [topic for topic, _ in messages]
    assert [topics.count(topic) for topic in (Topic.REQUESTED, Topic.STITCH_REQUESTED)] == [1, 1]
    assert [topics.count(topic) for topic in (Topic.SEGMENT_REQUESTED, Topic.SEGMENT_DONE)] == [SEGMENTS, SEGMENTS]
    # Each clip, the film, and the papers and the work of the stitch, of which nobody waits for news.
    assert topics.count(Topic.OBJECT_FINALIZED) > SEGMENTS

    jobs = lose_each_in_turn(cloud, "lost", SEGMENTS, messages)
    stuck = [job_id for job_id in jobs if cloud.job(job_id).active]
    let_heal(cloud)

    # What stands still without its message: the run's start, each segment's start, its clip and its end, the stitch.
    assert len(stuck) == 1 + 3 * SEGMENTS + 1
    for job_id in jobs:
        check_made_for_its_price(cloud, cloud.finished(job_id), SEGMENTS)
    assert cloud.vertex.polls.total() == 0, "what had landed was seen without asking"


def test_a_chain_goes_on_whichever_of_its_messages_is_lost(cloud: LocalCloud) -> None:
    """Nothing runs beside the lost message there, and the last frame of a clip is handed on by whoever finds it."""
    messages = messages_of_a_run(cloud, "chained", 2, daisyChain=True)

    jobs = lose_each_in_turn(cloud, "chain", 2, messages, daisyChain=True)
    let_heal(cloud)

    for job_id in jobs:
        check_made_for_its_price(cloud, cloud.finished(job_id), 2)
        first, second = sorted(
            (each for each in cloud.vertex.bought if job_id in each.prefix), key=lambda one: one.prefix
        )
        assert (first.start_image, second.start_image) == (None, f"{first.prefix}last_frame.png")


def test_a_film_of_the_transcoder_is_found_when_nobody_tells_of_it(cloud: LocalCloud) -> None:
    prompts = [{"prompt": f"Scene {number}", "durationMs": 6000} for number in range(2)]
    lost = {
        "no-report": [(Topic.TRANSCODER_REPORTS, {})],
        "no-event": [(Topic.OBJECT_FINALIZED, {"name": f"jobs/{id_of('no-event')}/output/"})],
        "neither": [
            (Topic.TRANSCODER_REPORTS, {}),
            (Topic.OBJECT_FINALIZED, {"name": f"jobs/{id_of('neither')}/output/"}),
        ],
    }
    for name, messages in lost.items():
        for topic, fields in messages:
            cloud.lose(topic, **fields)
        job_id = order(cloud, name, 2, prompts=prompts, engine="transcoder")
        wait_until_quiet(cloud)
        assert cloud.job(job_id).active == (name == "neither")
        gone = [
            each["message"] for each in cloud.controlled()["lost"] if name == "no-report" or id_of(name) in str(each)
        ]
        assert gone, "it was lost"
        let_heal(cloud)

        job = cloud.finished(job_id)
        assert (job.state, job.route and job.route.stitcher) == ("completed", "transcoder")
        assert bought(cloud, job_id) == once(2)
