"""Places outside the job: a file that nobody may open, and a port that nobody may call. Both tell."""

from __future__ import annotations

import ctypes
import os
import select
import socket
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

#: From <sys/inotify.h>: read, opened.
_IN_ACCESS, _IN_OPEN = 0x1, 0x20


class Trap:
    """Watches a folder and a port of loopback from `with` on.

    Args:
        folder: empty, and not the job's.
    """

    def __init__(self, folder: Path) -> None:
        #: A real clip, once somebody has put it there.
        self.file = folder / "secret.mp4"
        self._tcp, self._udp = _listen()
        #: The port that is listened at, for TCP and UDP.
        self.port: int = self._tcp.getsockname()[1]
        #: What was heard, a line for each.
        self.heard: list[str] = []
        self._inotify = -1
        self._stop_reading, self._stop_writing = os.pipe()
        self._thread = threading.Thread(target=self._listen)

    @property
    def addresses(self) -> list[str]:
        """Give ways to name the file and the port that FFmpeg has protocols for."""
        place = f"127.0.0.1:{self.port}"
        schemes = ("http", "https", "rtmp", "rtsp", "tcp", "udp", "ftp", "hls+http")
        return [
            f"file:{self.file}",
            f"file://{self.file}",
            str(self.file),
            *(f"{scheme}://{place}/x.mp4" for scheme in schemes),
            f"concat:{self.file}|{self.file}",
            f"subfile,,start,0,end,100,,:{self.file}",
            f"async:cache:file:{self.file}",
            f"crypto:http://{place}/x",
        ]

    def __enter__(self) -> Self:
        libc = ctypes.CDLL(None, use_errno=True)
        self._inotify = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        assert self._inotify >= 0
        watch = libc.inotify_add_watch(self._inotify, os.fsencode(self.file.parent), _IN_ACCESS | _IN_OPEN)
        assert watch >= 0, os.strerror(ctypes.get_errno())
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.write(self._stop_writing, b"x")
        self._thread.join()
        self._tcp.close()
        self._udp.close()
        for descriptor in (self._inotify, self._stop_reading, self._stop_writing):
            os.close(descriptor)

    def _listen(self) -> None:
        answers: dict[int, Callable[[], str]] = {
            self._tcp.fileno(): self._call,
            self._udp.fileno(): lambda: f"UDP {self._udp.recv(100)!r}",
            self._inotify: self._opened,
        }
        while True:
            ready, _, _ = select.select([*answers, self._stop_reading], [], [])
            self.heard += [answers[descriptor]() for descriptor in ready if descriptor in answers]
            if self._stop_reading in ready:
                return

    def _call(self) -> str:
        connection, _ = self._tcp.accept()
        with connection:
            connection.settimeout(0.2)
            try:
                return f"TCP {connection.recv(100)!r}"
            except OSError:
                return "TCP, nothing said"

    def _opened(self) -> str:
        event = os.read(self._inotify, 4096)
        mask, _, length = struct.unpack_from("III", event, 4)
        return f"file {event[16 : 16 + length].rstrip(bytes(1)).decode()!r}, event {mask:#x}"


def _listen() -> tuple[socket.socket, socket.socket]:
    """Bind one free port for both protocols."""
    while True:
        tcp, udp = socket.socket(), socket.socket(type=socket.SOCK_DGRAM)
        tcp.bind(("127.0.0.1", 0))
        try:
            udp.bind(tcp.getsockname())
        except OSError:
            tcp.close()
            udp.close()
            continue
        tcp.listen()
        return tcp, udp
