"""What `longreel dead-letters` prints, of a home's messages or of the cloud's."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from adapters.config import is_cloud, read_cloud_config
from embedded.terminal import plain, print_json, say
from events.errors import NotFound

if TYPE_CHECKING:
    from adapters.local_queue import DeadLetter as HomeLetter
    from adapters.local_queue import LocalQueue
    from adapters.pubsub_dead_letters import DeadLetter as CloudLetter

    Letter = HomeLetter | CloudLetter


class Letters(Protocol):
    """Dead letters, wherever they lie."""

    def list(self) -> Sequence[Letter]:
        """Give them, the oldest first."""
        ...

    def replay(self, message_ids: Iterable[str]) -> None:
        """Publish them again; NotFound when one of them is not there."""
        ...


class HomeLetters:
    """The dead letters of a home on this machine."""

    def __init__(self, queue: LocalQueue) -> None:
        self._queue = queue

    def list(self) -> Sequence[Letter]:
        """Give them, the oldest first."""
        return self._queue.dead_letters()

    def replay(self, message_ids: Iterable[str]) -> None:
        """Publish them again; NotFound when one of them is not there."""
        known = {str(each.message_id): each.message_id for each in self._queue.dead_letters()}
        for message_id in message_ids:
            if message_id not in known:
                raise _none("replay", message_id)
            self._queue.replay(known[message_id])


@contextmanager
def opened(home: Path | None) -> Iterator[Letters]:
    """Give the cloud's dead letters where LONGREEL_BUCKET is set, else a home's; a home that was named wins."""
    if home is None and is_cloud():
        from adapters.pubsub_dead_letters import DeadLetters

        config = read_cloud_config()
        yield DeadLetters(config.project, config.topic_prefix)
        return
    from embedded.run import open_home

    with open_home(home, worker=False, make=False) as pipeline:
        yield HomeLetters(pipeline.adapters.queue)


def list_them(letters: Letters, *, as_json: bool) -> None:
    """List the dead letters."""
    found = letters.list()
    if as_json:
        print_json([_value(each) for each in found])
        return
    if not found:
        say("There are no dead letters.")
    width = max((len(str(each.message_id)) for each in found), default=0)
    for each in found:
        times = "once" if each.deliveries == 1 else f"{each.deliveries} times"
        say(f"{each.message_id:>{max(4, width)}}  {plain(each.topic):<17}  tried {times}  {plain(each.reason)}")


def show(letters: Letters, message_id: str) -> None:
    """Show one dead letter whole."""
    for each in letters.list():
        if str(each.message_id) == message_id:
            body = _body(each)
            say(f"Topic:  {plain(each.topic)}\nTried:  {each.deliveries}\nReason: {plain(each.reason)}")
            say(f"Body:   {plain(body) if isinstance(body, str) else json.dumps(body, ensure_ascii=False, indent=2)}")
            return
    raise _none("show", message_id)


def replay(letters: Letters, message_id: str | None) -> None:
    """Publish one dead letter again, or all of them."""
    ids = [str(each.message_id) for each in letters.list()] if message_id is None else [message_id]
    if not ids:
        say("There are no dead letters.")
        return
    letters.replay(ids)
    what, them = ("1 message", "it") if len(ids) == 1 else (f"{len(ids)} messages", "them")
    if isinstance(letters, HomeLetters):
        say(f"Published {what} again; a running worker takes {them}, `longreel resume JOB` starts one.")
    else:
        say(f"Published {what} again; the functions of the project take {them}.")


def _value(letter: Letter) -> dict[str, Any]:
    return {
        "id": letter.message_id,
        "topic": letter.topic,
        "deliveries": letter.deliveries,
        "reason": letter.reason,
        "body": _body(letter),
    }


def _body(letter: Letter) -> Any:
    """Give the JSON value that a letter holds, or its text: anybody may have published anything by hand."""
    try:
        return json.loads(letter.body)
    except ValueError:
        return letter.body


def _none(doing: str, message_id: str) -> NotFound:
    return NotFound(
        f"{doing} dead letter {message_id}: there is none; `longreel dead-letters list` shows those that are"
    )
