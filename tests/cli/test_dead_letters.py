"""Dead letters from the door: a message that nobody can handle is kept with its reason, shown and replayed."""

from __future__ import annotations

import json

from adapters.config import read_config
from adapters.local import open_home
from events.messages import Requested
from pipeline.commands import Outgoing
from tests.cli.conftest import SCENE_MS, Door


def test_a_message_that_nobody_can_handle_is_kept_shown_and_replayed(door: Door) -> None:
    """Given a message about a job that is not there, when a worker meets it, the film is made all the same."""
    adapters = open_home(read_config({}, door.home), worker=False)
    adapters.queue.publish([Outgoing(Requested(job_id="job_nowhere"))])
    adapters.database.close()

    made = door.run("make", door.script(1), "-o", "film.mp4", "--scene-ms", SCENE_MS)
    assert made.returncode == 0, made

    [letter] = json.loads(door.ok("dead-letters", "list", "--json"))
    assert letter["topic"] == "requested"
    assert letter["body"]["jobId"] == "job_nowhere"
    assert letter["reason"].startswith("unknown_job: ")
    assert "job_nowhere" in door.ok("dead-letters", "show", letter["id"])
    assert "dead letters" in door.run("doctor").stdout
    assert "LOOK" in door.run("doctor").stdout

    door.ok("dead-letters", "replay", letter["id"])
    assert door.ok("dead-letters", "list") == "There are no dead letters.\n"
    door.run("make", door.script(1), "-o", "again.mp4", "--scene-ms", SCENE_MS)
    [again] = json.loads(door.ok("dead-letters", "list", "--json"))
    assert again["body"] == letter["body"]
    door.ok("dead-letters", "replay")
    assert door.ok("dead-letters", "list") == "There are no dead letters.\n"
