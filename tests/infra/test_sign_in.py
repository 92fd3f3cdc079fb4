"""Signing the smoke film's user in, and making a project known to Firebase: asked of a server that speaks as Google.

The shapes are those of Google's REST reference; the token's claims are held against Firebase's own library.
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import firebase_admin
import pytest
from firebase_admin import _token_gen
from google.auth.credentials import AnonymousCredentials

from infra.deploy.firebase import Doors, ensure_all
from infra.smoke import callables, film, sign_in
from infra.smoke.callables import Refused

ACCOUNT = "lr-production-smoke@my-films-4711.iam.gserviceaccount.com"


class Google:
    """Identity Toolkit, IAM Credentials, Firebase and Firebase Storage, as far as they are asked here."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        #: Paths → how they are answered first; afterwards as usual.
        self.first: dict[str, list[tuple[int, dict[str, Any]]]] = {}
        self.there: set[str] = set()
        self.signed: dict[str, Any] = {}

    def answer(self, method: str, path: str, headers: Any, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        self.asked.append((method, path.partition("?")[0]))
        for name, waiting in self.first.items():
            if name in path and waiting:
                return waiting.pop(0)
        if path.startswith("/v1/accounts:signInWithCustomToken"):
            assert path.endswith("?key=a-key")
            assert body == {"token": "signed", "returnSecureToken": True}
            return 200, {"idToken": "an-id-token"}
        assert headers["Authorization"] == "Bearer an-access-token"
        if path.endswith(":signJwt"):
            self.signed = json.loads(body["payload"])
            return 200, {"signedJwt": "signed"}
        assert headers["X-Goog-User-Project"] == "my-films-4711"
        thing = path.replace("/admin", "").replace("/config", "").replace("/identityPlatform", "").partition(":")[0]
        if method == "POST":
            self.there.add(thing)
            return 200, {}
        missing = {"error": {"code": 404, "message": "CONFIGURATION_NOT_FOUND" if "/config" in path else "NOT_FOUND"}}
        return (200, {}) if thing in self.there else (404, missing)


@pytest.fixture
def google(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Google, str]]:
    google = Google()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
            status, told = google.answer(self.command, self.path, self.headers, body)
            content = json.dumps(told).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def do_GET(self) -> None:
            self.do_POST()

        def log_message(self, *_arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    # What would be waited for elsewhere is there at once here.
    monkeypatch.setattr(callables, "_FIRST_WAIT_SECONDS", 0)
    monkeypatch.setattr(callables, "_SETTLING_LOOK_SECONDS", 0)
    yield google, f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_the_user_is_signed_in_by_a_token_that_the_account_signed(google: tuple[Google, str]) -> None:
    asked, url = google

    token = sign_in.id_token(sign_in.custom_token(ACCOUNT, "an-access-token", credentials=url), "a-key", identity=url)

    assert token == "an-id-token"
    assert asked.signed["uid"] == "longreel-smoke"
    assert asked.asked[0] == ("POST", f"/v1/projects/-/serviceAccounts/{ACCOUNT}:signJwt")


def test_the_token_says_what_firebases_own_library_lets_one_say() -> None:
    class Signs:
        key_id = None

        def sign(self, _message: bytes) -> bytes:
            return b"signature"

    app = firebase_admin.initialize_app(AnonymousCredential(), {"projectId": "my-films-4711"}, "claims")
    try:
        generator = _token_gen.TokenGenerator(app, None)
        generator._signing_provider = _token_gen._SigningProvider(Signs(), ACCOUNT, "RS256")
        theirs = json.loads(
            base64.urlsafe_b64decode(generator.create_custom_token("longreel-smoke").split(b".")[1] + b"==")
        )
    finally:
        firebase_admin.delete_app(app)

    assert sign_in.claims(ACCOUNT, "longreel-smoke", theirs["iat"]) == theirs


class AnonymousCredential(firebase_admin.credentials.Base):  # type: ignore[misc] # it ships no types
    def get_credential(self) -> AnonymousCredentials:
        return AnonymousCredentials()


def test_a_right_that_was_just_given_is_waited_for(google: tuple[Google, str]) -> None:
    asked, url = google
    asked.first = {"signJwt": [(403, {"error": {"message": "Permission denied"}})] * 2}

    assert sign_in.custom_token(ACCOUNT, "an-access-token", credentials=url) == "signed"
    assert len(asked.asked) == 3


def test_a_key_that_was_just_made_is_waited_for(google: tuple[Google, str]) -> None:
    asked, url = google
    asked.first = {"signIn": [(400, {"error": {"message": "API key not valid. Please pass a valid API key."}})] * 2}

    assert sign_in.id_token("signed", "a-key", identity=url) == "an-id-token"


def test_a_callable_that_nobody_may_call_yet_is_waited_for_and_one_that_refuses_is_not(
    google: tuple[Google, str],
) -> None:
    asked, url = google
    refused = {"error": {"status": "PERMISSION_DENIED", "message": "not yours"}}
    asked.first = {"createJob": [(403, {"page": "Your client does not have permission"}), (403, refused)]}

    with pytest.raises(Refused, match="not yours"):
        callables.call(f"{url}/createJob", "a-token", {})

    assert len(asked.asked) == 2


def test_rules_that_were_just_released_are_waited_for(google: tuple[Google, str]) -> None:
    asked, url = google
    job = {"fields": {"state": {"stringValue": "completed"}, "progress": {"integerValue": "100"}}}
    asked.first = {"videoJobs": [(403, {"error": {"status": "PERMISSION_DENIED"}})] * 2 + [(200, job)]}

    found = film._look(film.Deployed("", "", f"{url}/documents"), "a-token", "videoJobs/job_a")

    assert found == {"state": "completed", "progress": 100}


def test_the_price_without_the_packages_that_it_needs_says_how_to_get_them() -> None:
    command = [sys.executable, "-S", film.__file__, "--kind", "veo", "--price", "veo-3.1-fast-generate-001"]

    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert done.stderr == "The price needs pydantic: run `make .venv/local` once, then go on\n"


def test_authentication_is_initialised_once_and_one_that_is_there_is_left_alone(google: tuple[Google, str]) -> None:
    _, url = google

    done = [sign_in.ensure_authentication("my-films-4711", "an-access-token", url) for _ in range(2)]

    assert done == [True, False]


def test_the_project_and_its_bucket_are_made_known_once(google: tuple[Google, str]) -> None:
    asked, url = google
    doors = Doors(url, url, url)

    first, again = (ensure_all("my-films-4711", "films", "an-access-token", doors) for _ in range(2))

    assert [line.split()[0] for line in first] == ["Firebase", "Firebase", "the"]
    assert again == []
    posted = [path for method, path in asked.asked if method == "POST"]
    assert posted == [
        "/v2/projects/my-films-4711/identityPlatform:initializeAuth",
        "/v1beta1/projects/my-films-4711:addFirebase",
        "/v1beta/projects/my-films-4711/buckets/films:addFirebase",
    ]


def test_where_firebases_terms_are_not_accepted_the_deployment_goes_on_and_says_what_to_do(
    google: tuple[Google, str],
) -> None:
    asked, url = google
    asked.first = {":addFirebase": [(403, {"error": {"message": "The caller does not have permission"}})]}

    said = ensure_all("my-films-4711", "films", "an-access-token", Doors(url, url, url))

    assert "add Firebase: HTTP 403" in said[1]
    assert "console.firebase.google.com" in said[2]


def test_what_cannot_now_is_asked_again_and_what_will_not_is_not(google: tuple[Google, str]) -> None:
    asked, url = google
    asked.first = {"signIn": [(503, {}), (503, {}), (400, {"error": {"message": "INVALID_CUSTOM_TOKEN"}})]}

    with pytest.raises(Refused, match="INVALID_CUSTOM_TOKEN"):
        sign_in.id_token("signed", "a-key", identity=url)

    assert len(asked.asked) == 3
