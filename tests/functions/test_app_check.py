"""App Check: where it is enforced, a call without a token of the app itself is refused before anything is looked at."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import firebase_admin
import flask
import pytest

from adapters.config import CloudConfig
from doors import callables
from doors.outside import Outside
from tests.functions.world import World

PROJECT = "demo-app-check"


@pytest.fixture
def firebase(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let unsigned tokens in, and leave no app behind for another project's tests."""
    monkeypatch.setenv("FIREBASE_AUTH_EMULATOR_HOST", "127.0.0.1:9")
    for app in list(firebase_admin._apps.values()):
        firebase_admin.delete_app(app)
    yield
    for app in list(firebase_admin._apps.values()):
        firebase_admin.delete_app(app)


def token(uid: str) -> str:
    now = int(time.time())
    claims = {
        "iss": f"https://securetoken.google.com/{PROJECT}",
        "aud": PROJECT,
        "auth_time": now,
        "iat": now,
        "exp": now + 3600,
        "sub": uid,
        "user_id": uid,
    }
    parts = [json.dumps(part).encode() for part in ({"alg": "none", "typ": "JWT"}, claims)]
    return ".".join([*(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts), ""])


def call(world: World, *, app_check: bool, body: object = None, **headers: str) -> tuple[int, Any]:
    config = CloudConfig(PROJECT, world.services.bucket, app_check=app_check)
    outside = Outside(config, world.services, None, None)  # type: ignore[arg-type] # a callable needs neither
    app = flask.Flask(__name__)
    app.add_url_rule(
        "/", "door", lambda: callables.answer(flask.request, outside, callables.create_job), methods=["POST"]
    )
    body = body or {"data": {"prompts": ["A lighthouse"], "generator": "paid"}}
    answer = app.test_client().post("/", json=body, headers={"Authorization": f"Bearer {token('alice')}", **headers})
    return answer.status_code, answer.get_json()


def test_without_enforcement_a_call_needs_no_app_check_token(world: World, firebase: None) -> None:
    status, answer = call(world, app_check=False)

    assert status == 200, answer
    assert world.job(answer["result"]["jobId"]).user_id == "alice"


@pytest.mark.parametrize("headers", [{}, {"X-Firebase-AppCheck": "nonsense"}, {"X-Firebase-AppCheck": ""}])
def test_where_it_is_enforced_a_call_without_a_valid_token_is_refused_and_makes_nothing(
    world: World, firebase: None, headers: dict[str, str]
) -> None:
    status, answer = call(world, app_check=True, **headers)

    assert (status, answer["error"]["status"]) == (401, "UNAUTHENTICATED")
    assert world.services.jobs.jobs() == []


def test_the_first_calls_of_a_cold_instance_may_come_at_once(
    world: World, firebase: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 4
    together = Barrier(calls)
    get_app = firebase_admin.get_app
    initialize_app = firebase_admin.initialize_app

    def get_app_slowly() -> firebase_admin.App:
        try:
            return get_app()
        finally:
            time.sleep(0.05)

    def initialize_app_slowly(**named: Any) -> firebase_admin.App:
        time.sleep(0.05)
        return initialize_app(**named)

    def first_call(_: int) -> int:
        together.wait()
        status, _answer = call(world, app_check=False)
        return status

    monkeypatch.setattr(firebase_admin, "get_app", get_app_slowly)
    monkeypatch.setattr(firebase_admin, "initialize_app", initialize_app_slowly)
    with ThreadPoolExecutor(calls) as callers:
        statuses = sorted(callers.map(first_call, range(calls)))

    # One makes the job, the others are told that it runs: nobody is told of an error of ours.
    assert statuses == [200, 409, 409, 409]
