"""A lease of which an object is the paper: who holds it writes the object anew from time to time.

    {"owner": "stitch-cpu-x7k2p/0"}

No clocks are compared: whoever finds a lease watches it. If its generation changes, its holder is alive; if not for
the agreed time, the holder is dead, and the lease is taken over under the condition that it still has not changed.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable
from contextlib import suppress

from events.errors import NotFound, PipelineError, PreconditionFailed
from pipeline.object_port import ObjectStore

#: How often a lease is looked at while its holder may be dead.
_LOOKS = 20


class ObjectLease:
    """A lease that is held.

    Args:
        store: where its object is.
        uri: of the object.
        owner: who holds it.
        generation: of the object as we wrote it.
    """

    def __init__(self, store: ObjectStore, uri: str, owner: str, generation: int) -> None:
        self._store = store
        self._uri = uri
        self._owner = owner
        self._generation = generation

    def renew(self) -> bool:
        """Write the object anew; False where somebody else has taken the lease over.

        Raises:
            PipelineError: the store did not answer; the lease is still ours for now.
        """
        try:
            self._generation = self._store.write(self._uri, _paper(self._owner), self._generation).generation
        except PreconditionFailed:
            return False
        return True

    def release(self) -> None:
        """Delete the object, if it is still ours; otherwise it is left alone."""
        with suppress(PipelineError):  # Nobody waits for it longer than for a dead holder's.
            if _owner(self._store, self._uri) == self._owner:
                self._store.delete(self._uri)


def take_lease(
    store: ObjectStore,
    uri: str,
    owner: str | None,
    seconds: float,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> ObjectLease | None:
    """Take a lease, waiting for as long as a silent holder may still be alive; None where one is.

    Args:
        store: where the object is.
        uri: of the object.
        owner: our name: an earlier holder of that name is dead for certain. None for a name that nobody has.
        seconds: how long a holder may be silent.
        clock: seconds that only rise.
        sleep: waits so many seconds.
    """
    owner = owner or secrets.token_hex(8)
    while True:
        found = store.stat(uri)
        generation = found.generation if found else 0
        if found and _owner(store, uri) != owner:
            now = _watched(store, uri, generation, seconds, clock, sleep)
            if now not in (0, generation):
                return None
            generation = now
        try:
            return ObjectLease(store, uri, owner, store.write(uri, _paper(owner), generation).generation)
        except PreconditionFailed:
            continue  # Somebody was faster: look who.


def _watched(
    store: ObjectStore,
    uri: str,
    generation: int,
    seconds: float,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
) -> int:
    """Watch an object until it changes, at most so long, and give its generation then; 0 where it is gone."""
    end = clock() + seconds
    while clock() < end:
        sleep(seconds / _LOOKS)
        found = store.stat(uri)
        if found is None:
            return 0
        if found.generation != generation:
            return found.generation
    return generation


def _paper(owner: str) -> bytes:
    return json.dumps({"owner": owner}).encode()


def _owner(store: ObjectStore, uri: str) -> str | None:
    try:
        said = json.loads(store.read(uri))
    except (NotFound, ValueError):
        return None
    return said.get("owner") if isinstance(said, dict) else None
