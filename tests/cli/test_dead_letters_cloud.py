"""The cloud's dead letters from the same door: where LONGREEL_BUCKET is set, and no home is named."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from functools import partial

import pytest

from adapters.config import read_config
from adapters.local import open_home
from adapters.pubsub_clients import publisher_client, subscriber_client
from adapters.pubsub_dead_letters import DeadLetters
from events.messages import Topic
from tests.cli.conftest import Door
from tests.cloud import emulators
from tests.cloud.topology import Topology, create_topology

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
BODY = '{"schemaVersion":1,"jobId":"job_nowhere"}'


class Cloud:
    """A project in the emulator, and the environment that asks for it."""

    def __init__(self) -> None:
        host = emulators.pubsub_host()
        self.topology: Topology = create_topology(
            emulators.fresh_project(), None, prefix="staging-", emulator_host=host
        )
        self.environment = {
            "LONGREEL_BUCKET": "films",
            "LONGREEL_EMULATED": "on",
            "LONGREEL_TOPIC_PREFIX": "staging-",
            "GOOGLE_CLOUD_PROJECT": self.topology.project,
            "PUBSUB_EMULATOR_HOST": host,
        }
        self.subscriber = subscriber_client(host)
        publisher, subscriber = partial(publisher_client, host), partial(subscriber_client, host)
        self.letters = DeadLetters(self.topology.project, "staging-", publisher, subscriber)

    def bury(self, body: str = BODY, reason: str = "unknown_job: there is no job job_nowhere") -> None:
        self.letters.bury("requested", body, reason, 3, "123", NOW)


@pytest.fixture
def cloud() -> Cloud:
    if (reason := emulators.missing()) is not None:
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return Cloud()


def test_a_letter_of_the_cloud_is_listed_shown_and_replayed(door: Door, cloud: Cloud) -> None:
    cloud.bury()
    run = partial(door.ok, "dead-letters", **cloud.environment)

    [letter] = json.loads(run("list", "--json"))
    assert letter["id"].isdecimal()
    assert {key: letter[key] for key in ("topic", "deliveries", "reason", "body")} == {
        "topic": "requested",
        "deliveries": 3,
        "reason": "unknown_job: there is no job job_nowhere",
        "body": json.loads(BODY),
    }
    line = run("list")
    assert line.split() == [letter["id"], "requested", "tried", "3", "times", *letter["reason"].split()]
    assert '"jobId": "job_nowhere"' in run("show", letter["id"])

    said = run("replay", letter["id"])

    assert said == "Published 1 message again; the functions of the project take it.\n"
    subscription = cloud.topology.subscriptions[Topic.REQUESTED]
    (again,) = cloud.subscriber.pull(subscription=subscription, max_messages=10, timeout=20).received_messages
    assert again.message.data.decode() == BODY
    assert run("list") == "There are no dead letters.\n"
    assert "there is none" in door.refused("dead-letters", "replay", letter["id"], code=5, **cloud.environment)


def test_all_letters_are_replayed_and_what_is_no_json_is_shown_as_text(door: Door, cloud: Cloud) -> None:
    cloud.bury()
    cloud.bury("typed \x1b[31mby hand", reason="bad_message: it is no JSON")
    run = partial(door.ok, "dead-letters", **cloud.environment)

    letters = json.loads(run("list", "--json"))
    assert letters[1]["body"] == "typed \x1b[31mby hand"
    assert "\x1b" not in run("show", letters[1]["id"])
    assert run("replay").startswith("Published 2 messages again")
    assert run("replay") == "There are no dead letters.\n"


def test_a_home_that_is_named_wins_over_the_cloud(door: Door, cloud: Cloud) -> None:
    cloud.bury()
    open_home(read_config({}, door.home), worker=True).database.close()

    said = door.ok("dead-letters", "list", "--home", door.home, **cloud.environment)

    assert said == "There are no dead letters.\n"


def test_a_cloud_that_lacks_a_setting_is_refused_by_name(door: Door) -> None:
    assert door.refused("dead-letters", "list", LONGREEL_BUCKET="films").startswith("GOOGLE_CLOUD_PROJECT")


def test_an_emulator_must_be_meant(door: Door) -> None:
    said = door.refused(
        "dead-letters", "list", LONGREEL_BUCKET="films", GOOGLE_CLOUD_PROJECT="p", PUBSUB_EMULATOR_HOST="127.0.0.1:1"
    )

    assert said.startswith("PUBSUB_EMULATOR_HOST")


def test_a_project_without_the_subscription_is_one_sentence(door: Door, cloud: Cloud) -> None:
    said = door.refused(
        "dead-letters", "list", code=5, **{**cloud.environment, "GOOGLE_CLOUD_PROJECT": emulators.fresh_project()}
    )

    assert "subscriptions/staging-dead_letters" in said


def test_a_home_needs_nothing_of_googles(door: Door) -> None:
    open_home(read_config({}, door.home), worker=True).database.close()
    code = (
        "import sys, cli\n"
        "sys.argv = ['longreel', 'dead-letters', 'list']\n"
        "try:\n"
        "    cli.main()\n"
        "except SystemExit as exc:\n"
        "    assert exc.code == 0, exc.code\n"
        "print(*sorted(sys.modules))"
    )

    done = subprocess.run(
        [sys.executable, "-c", code], env=door.environment, capture_output=True, text=True, check=True
    )

    said, modules = done.stdout.splitlines()
    assert said == "There are no dead letters."
    assert not {"google.auth", "google.api_core", "google.pubsub_v1", "grpc", "requests"} & set(modules.split())
    assert "adapters.pubsub_dead_letters" not in modules.split()
