"""A small HTTP/1.1 server on the loopback interface, on which the servers of this folder build.

A server adds routes; a handler takes a `Request` and gives an `Answer`, or raises `Refused`. Each request is logged
under the kind of its route, and `misbehave` makes the next ones of a kind go wrong:

    class Greeter(LoopbackServer):
        def __init__(self, port: int = 0) -> None:
            super().__init__(port)
            self.route("GET", r"/v1/greetings/(?P<name>[^/]+)", "greet", self._greet)

        def _greet(self, request: Request) -> Answer:
            return Answer.of_json({"greeting": f"Hello, {request.found['name']}"})

    with Greeter() as server:
        server.misbehave(kind="greet", status=503, times=2)
        ...
        assert server.log.count("greet") == 3
"""

from __future__ import annotations

import re
import socket
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

from tests.cloud.servers.http_faults import Fault, FaultQueue, Logged, RequestLog
from tests.cloud.servers.http_messages import PIECE_SIZE_BYTES, Answer, BodyStream, Refused, Request, json_object

__all__ = [
    "PIECE_SIZE_BYTES",
    "Answer",
    "Fault",
    "Logged",
    "LoopbackServer",
    "Refused",
    "Request",
    "RequestLog",
    "json_object",
]

Handler = Callable[[Request], Answer]


@dataclass(frozen=True)
class _Route:
    methods: frozenset[str]
    pattern: re.Pattern[str]
    kind: str
    handler: Handler
    when: Callable[[Request], bool] | None


class LoopbackServer:
    """A server on 127.0.0.1; a context manager, or `start()` and `stop()`.

    Args:
        port: 0 for a free one.
    """

    def __init__(self, port: int = 0) -> None:
        self.log = RequestLog()
        #: Tracebacks of handlers that broke; `stop` raises when there are any.
        self.failures: list[str] = []
        self.stopping = threading.Event()
        self._routes: list[_Route] = []
        self.faults = FaultQueue()
        self._wanted_port = port
        self._server: _Server | None = None
        #: Connections that were ever opened.
        self.connections = 0

    @property
    def port(self) -> int:
        assert self._server is not None, "the server is not started"
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """`http://127.0.0.1:port`."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> Self:
        self.stopping.clear()
        self._server = _Server(self._wanted_port, self)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def stop(self) -> None:
        """Stop, cut what is open, and raise when a handler broke."""
        self.stopping.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server.cut_all()
            self._server = None
        assert not self.failures, "\n".join(self.failures)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_exc: object) -> None:
        self.stop()

    def route(
        self, methods: str, pattern: str, kind: str, handler: Handler, when: Callable[[Request], bool] | None = None
    ) -> None:
        """Add a route; the first that fits wins.

        Args:
            methods: such as `"GET HEAD"`.
            pattern: a regular expression of the whole path as sent; its named groups become `request.found`, decoded.
            kind: what the log and the faults call it.
            handler: answers.
            when: looks closer, at the query for example.
        """
        self._routes.append(_Route(frozenset(methods.split()), re.compile(pattern), kind, handler, when))

    def misbehave(self, fault: Fault | None = None, **fields: Any) -> None:
        """Queue a fault, given whole or by its fields: `server.misbehave(kind="compose", status=503, times=2)`."""
        self.faults.add(fault, fields)

    def behave(self) -> None:
        """Forget the faults that are still queued."""
        self.faults.clear()

    def handler_of(self, request: Request) -> tuple[str, Handler]:
        """Give the kind of a request and its handler."""
        for route in self._routes:
            match = route.pattern.fullmatch(request.path) if request.method in route.methods else None
            if match is None:
                continue
            request.found = {name: unquote(value or "") for name, value in match.groupdict().items()}
            if route.when is None or route.when(request):
                return route.kind, route.handler
        return "unknown", _unknown

    def decorate(self, request: Request, answer: Answer) -> None:
        """Change an answer before it is sent; for headers that all of a server's answers carry."""


def _unknown(request: Request) -> Answer:
    raise Refused(501, f"this server does not know {request.method} {request.path}", "notImplemented")


class _Cut(Exception):
    """The connection is to be cut."""


class _Exchange(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    # Small answers leave at once, and headers leave together with the body.
    disable_nagle_algorithm = True
    wbufsize = 1 << 16
    server: _Server
    _logged: Logged

    def log_message(self, *_args: object) -> None:
        """Say nothing: the log keeps it."""

    def _serve(self) -> None:
        owner, url = self.server.owner, urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query, keep_blank_values=True).items()}
        stream = BodyStream(self.rfile, self.headers)
        request = Request(self.command, url.path, query, self.headers, {}, stream, url.query)
        kind, handler = owner.handler_of(request)
        fault = owner.faults.next(kind, request)
        self._logged = Logged(kind, self.command, url.path, query)
        try:
            answer = self._answer(request, handler, fault)
            self._logged.received_bytes = stream.received_bytes
            self._send(answer, fault)
        except (_Cut, ConnectionError):
            self._cut()
        except Exception:  # noqa: BLE001 `stop` shows it
            owner.failures.append(traceback.format_exc())
            self._cut()

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _serve  # noqa: N815 http.server's names

    def _answer(self, request: Request, handler: Handler, fault: Fault) -> Answer:
        if fault.delay_seconds:
            self.server.owner.stopping.wait(fault.delay_seconds)
        try:
            answer = handler(request) if fault.status is None else fault.answer(fault.status)
        except Refused as refused:
            answer = refused.answer()
        except ConnectionError:
            raise
        except Exception:  # noqa: BLE001 a broken handler is shown by `stop`, and must not look like a 5xx to retry
            self.server.owner.failures.append(traceback.format_exc())
            answer = Refused(501, traceback.format_exc(), "broken").answer()
        # What the handler left unread would be taken for the next request.
        for _piece in request.stream.pieces():
            pass
        if fault.lose_answer:
            self.server.owner.log.add(self._logged)
            raise _Cut
        self.server.owner.decorate(request, answer)
        return answer

    def _send(self, answer: Answer, fault: Fault) -> None:
        # Logged before the first byte leaves, so that whoever has an answer finds it in the log.
        self._logged.status = answer.status
        self.server.owner.log.add(self._logged)
        self.send_response(answer.status)
        if answer.status not in {204, 304}:
            self.send_header("Content-Type", answer.content_type)
            self.send_header("Content-Length", str(answer.length_bytes()))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            for piece in answer.pieces():
                self._send_piece(piece, fault)

    def _send_piece(self, piece: bytes, fault: Fault) -> None:
        if fault.pause_seconds:
            self.wfile.flush()
            self.server.owner.stopping.wait(fault.pause_seconds)
        left = None if fault.cut_after_bytes is None else fault.cut_after_bytes - self._logged.sent_bytes
        self.server.owner.log.add_sent(self._logged, len(piece[:left]))
        self.wfile.write(piece[:left])
        if left is not None and len(piece) > left:
            self.wfile.flush()
            raise _Cut

    def _cut(self) -> None:
        self.close_connection = True
        _shut(self.connection)


def _shut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # The other side was faster.


class _Server(ThreadingHTTPServer):
    """The listening socket and its connections."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, port: int, owner: LoopbackServer) -> None:
        self.owner = owner
        self._open: set[socket.socket] = set()
        self._open_lock = threading.Lock()
        super().__init__(("127.0.0.1", port), _Exchange)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._open_lock:
            self._open.add(request)
            self.owner.connections += 1
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._open_lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of connections that break: clients hang up as they like."""

    def cut_all(self) -> None:
        with self._open_lock:
            for connection in self._open:
                _shut(connection)
