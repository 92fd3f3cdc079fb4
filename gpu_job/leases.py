"""A lease of which an object is the paper: who holds it writes the object anew from time to time.

    {"owner": "stitch-cpu-x7k2p/0", "try": 1, "token": "5f1c…"}

No clocks are compared: whoever finds a lease watches it. If its generation changes, its holder is alive; if not for
the agreed time, the holder is dead, and the lease is taken over under the condition that it still has not changed.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

from events.errors import NotFound, PipelineError, PreconditionFailed
from pipeline.object_port import ObjectStore

#: How often a lease is looked at while its holder may be dead.
_LOOKS = 20


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a lease."""

    #: Whose tries follow each other: a later try is begun only when the one before is dead. Empty where nobody tells.
    owner: str = ""
    number: int = 0
    #: Of one process alone.
    token: str = ""

    def follows(self, other: Holder) -> bool:
        """Tell whether the other is dead for certain."""
        return bool(self.owner) and self.owner == other.owner and self.number > other.number


class ObjectLease:
    """A lease that is held.

    Args:
        store: where its object is.
        uri: of the object.
        holder: who holds it.
        generation: of the object as we wrote it.
    """

    def __init__(self, store: ObjectStore, uri: str, holder: Holder, generation: int) -> None:
        self._store = store
        self._uri = uri
        self._holder = holder
        self._generation = generation
        self._is_released = False

    def renew(self) -> bool:
        """Write the object anew; False where somebody else has taken the lease over, or it is gone.

        Raises:
            PipelineError: the store did not answer; the lease is still ours for now.
        """
        try:
            self._generation = self._store.write(self._uri, _paper(self._holder), self._generation).generation
        except PreconditionFailed:
            # A beat may come while we give the lease back.
            return self._is_released
        return True

    def release(self) -> None:
        """Delete the object, if it is still ours; otherwise it is left alone."""
        self._is_released = True
        with suppress(PipelineError):  # Nobody waits for it longer than for a dead holder's.
            if _read(self._store, self._uri) == self._holder:
                self._store.delete(self._uri)


def take_lease(
    store: ObjectStore,
    uri: str,
    holder: Holder,
    seconds: float,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> ObjectLease | None:
    """Take a lease, waiting for as long as a silent holder may still be alive; None where one is.

    Args:
        store: where the object is.
        uri: of the object.
        holder: who we are; the token is ours to choose.
        seconds: how long a holder may be silent.
        clock: seconds that only rise.
        sleep: waits so many seconds.
    """
    holder = replace(holder, token=secrets.token_hex(8))
    while True:
        found = store.stat(uri)
        generation = found.generation if found else 0
        if found and not holder.follows(_read(store, uri)):
            now = _watched(store, uri, generation, seconds, clock, sleep)
            if now not in (0, generation):
                return None
            generation = now
        try:
            return ObjectLease(store, uri, holder, store.write(uri, _paper(holder), generation).generation)
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


def _paper(holder: Holder) -> bytes:
    return json.dumps({"owner": holder.owner, "try": holder.number, "token": holder.token}).encode()


def _read(store: ObjectStore, uri: str) -> Holder:
    """Read who holds a lease; nobody that is known where it is none of our papers."""
    try:
        said = json.loads(store.read(uri))
        return Holder(str(said["owner"]), int(said["try"]), str(said["token"]))
    except (NotFound, ValueError, KeyError, TypeError):
        return Holder()
