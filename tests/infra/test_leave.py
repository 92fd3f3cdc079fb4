"""Every function has leave for what it does: histories are played, and what each asks of the outside is noted."""

from __future__ import annotations

import logging
import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import pytest

from embedded.worker import HANDLERS
from events.messages import TOPIC_OF_MODEL
from events.names import parse_uri
from functions import api, on_sweep
from pipeline.commands import Outgoing
from tests.infra.product import entry_points
from tests.infra.terraform import missing
from tests.infra.world import PRODUCTION, a_world
from tests.simulation.fakes import SimulatedGenerator, SimulatedStitcher
from tests.simulation.faults import parse_options
from tests.simulation.objects import MemoryObjects
from tests.simulation.ports import SimulatedBus
from tests.simulation.shrink import Case
from tests.simulation.world import World

#: Histories that are played, faults included; a second for a hundred of them.
HISTORIES: Final = 150
#: The simulation has no such function: one reports of an engine of its own, the other asks nobody but a signer.
NOT_PLAYED: Final = {"on_transcoder_report", "create_upload_url"}
#: What the bucket's leaves allow (`local.storage_roles`): word → what may be done.
ALLOWED: Final[Mapping[str, set[str]]] = {
    "none": set(),
    "write": {"read", "write", "forget"},
    "forget": {"read", "forget"},
    "upload": set(),
}


class Watch:
    """Notes what is done in the name of each function; handlers come in between each other."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        #: Entry point → what it did, such as `publish requested` or `write`.
        self.seen: dict[str, set[str]] = defaultdict(set)
        self._inside: list[str] = []
        self._patch = patch

    def functions(self) -> None:
        """Note who is at work."""
        for topic, handle in HANDLERS.items():
            self._patch.setitem(HANDLERS, topic, self._entered(f"on_{topic}", handle))
        for module, name, entry in [
            (on_sweep, "handle", "on_sweep"),
            *((api, name, name) for name in ("create_job", "cancel_job", "resume_job")),
            # Clips and films land while somebody is at work, and are nobody's of ours.
            *((World, name, "the world") for name in ("_land", "_make_film")),
        ]:
            self._patch.setattr(module, name, self._entered(entry, getattr(module, name)))

    def outside(self) -> None:
        """Note what is asked for."""
        for name in ("stat", "read", "list"):
            self._note(MemoryObjects, name, lambda *_args: ["read"])
        for name in ("write", "compose", "delete"):
            self._note(MemoryObjects, name, lambda uri, *_args: [_change(uri)])
        for name in ("submit", "poll", "cancel"):
            self._note(SimulatedGenerator, name, lambda *_args: ["vertex"])
        for name in ("start", "poll", "cancel"):
            self._note(SimulatedStitcher, name, lambda *_args: ["engines"])
        self._note(SimulatedBus, "publish", _published)

    def _entered(self, entry: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def enter(*args: Any, **named: Any) -> Any:
            self._inside.append(entry)
            try:
                return function(*args, **named)
            finally:
                self._inside.pop()

        return enter

    def _note(self, kind: type, name: str, what: Callable[..., list[str]]) -> None:
        function = getattr(kind, name)

        def noted(fake: Any, *args: Any, **named: Any) -> Any:
            if self._inside:
                self.seen[self._inside[-1]].update(what(*args))
            return function(fake, *args, **named)

        self._patch.setattr(kind, name, noted)


def _change(uri: str) -> str:
    return "forget" if parse_uri(uri).name.startswith("checkpoints/") else "write"


def _published(outgoing: list[Outgoing]) -> list[str]:
    return [f"publish {TOPIC_OF_MODEL[type(each.message)]}" for each in outgoing]


@pytest.fixture(scope="module")
def done() -> Iterator[Mapping[str, set[str]]]:
    with pytest.MonkeyPatch.context() as patch:
        watch = Watch(patch)
        watch.functions()
        watch.outside()
        logging.disable(logging.CRITICAL)
        try:
            for seed in range(HISTORIES):
                assert Case(seed, parse_options("")).play().violation is None
        finally:
            logging.disable(logging.NOTSET)
        watch.seen.pop("the world", None)
        yield watch.seen


@pytest.fixture(scope="module")
def leave() -> Mapping[str, Mapping[str, Any]]:
    """Give `local.functions` of infra/names.tf."""
    if reason := missing():
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    with a_world() as world:
        functions: Mapping[str, Mapping[str, Any]] = world.copy.value("local.functions", PRODUCTION)
    return functions


def _allowed(function: Mapping[str, Any]) -> set[str]:
    engines = {"engines"} if {"transcoder", "jobs"} <= set(function["calls"]) else set()
    topics = {f"publish {topic}" for topic in function["publishes"]}
    return {*function["calls"], *engines, *topics, *ALLOWED[function["objects"]]}


def test_a_function_may_do_whatever_it_was_seen_to_do(
    done: Mapping[str, set[str]], leave: Mapping[str, Mapping[str, Any]]
) -> None:
    assert {name: what - _allowed(leave[name]) for name, what in done.items() if what - _allowed(leave[name])} == {}


def test_every_function_that_can_be_played_was_at_work(done: Mapping[str, set[str]]) -> None:
    assert set(done) == set(entry_points()) - NOT_PLAYED
