"""A loopback server of the page, the SDK's browser files, and the three calls by which the page signs in.

In production a page signs in with Firebase Authentication. Its official emulator needs firebase-tools, so the real Auth
SDK in the page speaks to this server instead, the way it speaks to that emulator: `connectAuthEmulator`.
"""

from __future__ import annotations

import json
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from tests.web.identity import LIFETIME_SECONDS, uid_of

_TYPES = {".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css"}
_AUTH = "/identitytoolkit.googleapis.com/v1/accounts:"


class PageServer:
    """Serves until it is left.

    Args:
        pages: folder of the page's own files.
        sdk: folder of the SDK's browser files, `node_modules/firebase`.
    """

    def __init__(self, pages: Path, sdk: Path) -> None:
        files = {f"/{path.name}": path for path in sorted(pages.iterdir()) if path.suffix in _TYPES}
        files |= {f"/firebase/{path.name}": path for path in sdk.glob("firebase-*.js")}
        handler = type("Handler", (_Handler,), {"files": files})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def url(self) -> str:
        """Give `http://127.0.0.1:port`."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    files: dict[str, Path]
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def do_GET(self) -> None:
        path = self.files.get(urlsplit(self.path).path)
        if path is None:
            # A browser asks for /favicon.ico by itself; an empty answer keeps its console quiet.
            self._answer(
                HTTPStatus.NO_CONTENT if self.path == "/favicon.ico" else HTTPStatus.NOT_FOUND, b"", "text/plain"
            )
            return
        self._answer(HTTPStatus.OK, path.read_bytes(), _TYPES[path.suffix])

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", "0"))))
        try:
            answer = _signed_in(urlsplit(self.path).path, body)
        except ValueError as exc:
            error = {"code": HTTPStatus.BAD_REQUEST, "message": f"INVALID_CUSTOM_TOKEN : {exc}"}
            self._answer_json(HTTPStatus.BAD_REQUEST, {"error": error})
        else:
            self._answer_json(HTTPStatus.OK, answer)

    def _answer_json(self, status: HTTPStatus, value: dict[str, Any]) -> None:
        self._answer(status, json.dumps(value).encode(), "application/json")

    def _answer(self, status: HTTPStatus, body: bytes, kind: str) -> None:
        self.send_response(status)
        if status is not HTTPStatus.NO_CONTENT:
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the standard library's own name
        """Keep quiet: the browser's console tells what went wrong."""


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
