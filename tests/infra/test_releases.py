"""Rules that are released already: asked of a server that answers as Google's API of rules does."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from infra.deploy.releases import released
from infra.smoke.callables import Refused
from tests.infra.product import ROOT
from tests.infra.recorded import BUCKET
from tests.infra.test_deploy import Machine

#: Path of a release → how it is asked for is answered; others are not there.
THERE = {
    "/v1/projects/my-films-4711/releases/cloud.firestore": 200,
    "/v1/projects/my-films-4711/releases/cloud.firestore/longreel-staging": 200,
    "/v1/projects/my-films-4711/releases/firebase.storage/forbidden": 403,
}


@pytest.fixture(scope="module")
def rules() -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = self.headers["Authorization"] == "Bearer a-token"
            status = THERE.get(self.path, 404) if known and self.headers["X-Goog-User-Project"] else 401
            content = json.dumps({"error": {"code": status, "message": "said so"}}).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("there", ["cloud.firestore", "cloud.firestore/longreel-staging"])
def test_a_release_that_is_there_is_named_and_others_are_not(there: str, rules: str) -> None:
    names = [there, "firebase.storage/my-films-4711-longreel-production-media"]

    assert released("my-films-4711", names, "a-token", rules) == [there]


def test_a_release_that_may_not_be_looked_at_is_not_taken_for_missing(rules: str) -> None:
    with pytest.raises(Refused, match=r"look for the release firebase\.storage/forbidden: HTTP 403: .*said so"):
        released("my-films-4711", ["firebase.storage/forbidden"], "a-token", rules)


def test_the_program_asks_for_a_token_before_anything_else() -> None:
    program = ROOT / "infra" / "deploy" / "releases.py"

    done = subprocess.run(
        [sys.executable, "-S", program, "--project", "p", "cloud.firestore"], env={}, capture_output=True, check=False
    )

    assert done.returncode == 2
    assert b"give LONGREEL_ACCESS_TOKEN in the environment" in done.stderr


FIRESTORE, STORAGE = "cloud.firestore", f"firebase.storage/{BUCKET.removeprefix('gs://')}"


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    machine = Machine(tmp_path_factory.mktemp("releases"))
    with machine.world:
        yield machine


@pytest.mark.parametrize(
    ("ours", "taken_in"),
    [
        (
            True,
            {"google_firebaserules_release.firestore[0]": FIRESTORE, "google_firebaserules_release.storage": STORAGE},
        ),
        # Where the rules of an app of the team's own hold for the database, they are none of ours.
        (False, {"google_firebaserules_release.storage": STORAGE}),
    ],
)
def test_rules_that_are_released_already_are_taken_in(ours: bool, taken_in: dict[str, str], machine: Machine) -> None:
    """Google may release some with a new database, and Terraform cannot make a release that is there."""
    machine.world.releases_rules = ours
    machine.world.made = {"releases": [FIRESTORE, STORAGE]}

    ran = machine.run(SMOKE="off")

    assert ran.status == 0, ran.stderr
    found = [each for each in machine.world.all("adopted") if "release" in each]
    assert found == [
        f'to = {address} id = "projects/my-films-4711/releases/{name}"' for address, name in taken_in.items()
    ]
