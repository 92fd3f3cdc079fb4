"""A loopback server of files for a browser, on which those of this folder build."""

from __future__ import annotations

import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import unquote, urlsplit


class FilesServer:
    """Serves until it is left.

    Args:
        handler: answers the requests.
        files: path in a URL → what is served there; may grow.
    """

    def __init__(self, handler: type[FilesHandler], files: dict[str, Path]) -> None:
        self.files = files
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (handler,), {"files": files}))
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


class FilesHandler(BaseHTTPRequestHandler):
    """What all answers have in common."""

    files: dict[str, Path]
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def do_GET(self) -> None:
        """Serve a file."""
        url_path = unquote(urlsplit(self.path).path)
        if url_path in self.files:
            self.serve(self.files[url_path])
        else:
            # A browser asks for /favicon.ico by itself; an empty answer keeps its console quiet.
            self.send_response(HTTPStatus.NO_CONTENT if url_path == "/favicon.ico" else HTTPStatus.NOT_FOUND)
            self.send_header("Content-Length", "0")
            self.end_headers()

    def serve(self, path: Path) -> None:
        """Answer with a file."""
        raise NotImplementedError

    def answer(self, status: HTTPStatus, body: bytes, kind: str, **headers: str) -> None:
        """Send an answer; names of headers have `_` for `-`."""
        self.send_response(status)
        for name, value in {**headers, "Content_Type": kind, "Content_Length": str(len(body))}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        try:
            self.wfile.write(body)
            self.wfile.flush()
        except (BrokenPipeError, ConnectionResetError):
            # A browser that jumps lets go of what it was reading.
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the standard library's own name
        """Keep quiet: the browser's console tells what went wrong."""
