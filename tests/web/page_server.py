"""A loopback server of the page, the SDK's browser files, and the three calls by which the page signs in.

In production a page signs in with Firebase Authentication. Its official emulator needs firebase-tools, so the real Auth
SDK in the page speaks to this server instead, the way it speaks to that emulator: `connectAuthEmulator`.
"""

from __future__ import annotations

import json
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.web.files_server import FilesHandler, FilesServer
from tests.web.identity import LIFETIME_SECONDS, uid_of

_TYPES = {".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css"}
_AUTH = "/identitytoolkit.googleapis.com/v1/accounts:"


class PageServer(FilesServer):
    """Serves until it is left.

    Args:
        pages: folder of the page's own files.
        sdk: folder of the SDK's browser files, `node_modules/firebase`.
    """

    def __init__(self, pages: Path, sdk: Path) -> None:
        files = {f"/{path.name}": path for path in sorted(pages.iterdir()) if path.suffix in _TYPES}
        super().__init__(_Handler, files | {f"/firebase/{path.name}": path for path in sdk.glob("firebase-*.js")})


class _Handler(FilesHandler):
    def serve(self, path: Path) -> None:
        self.answer(HTTPStatus.OK, path.read_bytes(), _TYPES[path.suffix])

    def do_POST(self) -> None:  # noqa: N802 - the standard library's own name
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", "0"))))
        try:
            answer = _signed_in(urlsplit(self.path).path, body)
        except ValueError as exc:
            error = {"code": HTTPStatus.BAD_REQUEST, "message": f"INVALID_CUSTOM_TOKEN : {exc}"}
            self._answer_json(HTTPStatus.BAD_REQUEST, {"error": error})
        else:
            self._answer_json(HTTPStatus.OK, answer)

    def _answer_json(self, status: HTTPStatus, value: dict[str, Any]) -> None:
        self.answer(status, json.dumps(value).encode(), "application/json")


def _signed_in(path: str, body: dict[str, Any]) -> dict[str, Any]:
    """Answer a call of Identity Toolkit.

    The custom token that the page was given is an unsigned ID token already, so signing in gives it back.

    Raises:
        ValueError: an unknown call, or a token that is none.

    Source: https://cloud.google.com/identity-platform/docs/reference/rest/v1/accounts
    """
    match path.removeprefix(_AUTH):
        case "signInWithCustomToken":
            uid_of(token := str(body.get("token")))
            return {"idToken": token, "refreshToken": token, "expiresIn": str(LIFETIME_SECONDS), "isNewUser": False}
        case "lookup":
            return {"users": [{"localId": uid_of(str(body.get("idToken")))}]}
        case _:
            raise ValueError(f"this server does not know {path}")
