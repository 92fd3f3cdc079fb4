"""Worlds to test handlers in, and the tiny clips that their generators make, each encoded once a session."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.functions.world import World
from tests.media.clips import ClipSpec, expected_frames, make_clip, read_frames

ClipOf = Callable[[int], bytes]


def _spec(index: int) -> ClipSpec:
    return ClipSpec(number=index + 1, frames=6, tone=None)


@pytest.fixture(scope="session")
def clip_of(tmp_path_factory: pytest.TempPathFactory) -> ClipOf:
    """Give the bytes of the clip that belongs to segment `index`: its frames say so."""
    folder = tmp_path_factory.mktemp("segments")
    made: dict[int, bytes] = {}

    def give(index: int) -> bytes:
        if index not in made:
            made[index] = make_clip(_spec(index), folder / f"{index}.mp4").read_bytes()
        return made[index]

    return give


@pytest.fixture
def make_world(tmp_path: Path, clip_of: ClipOf) -> Iterator[Callable[..., World]]:
    """Give a function that makes a world of its own at each call."""
    worlds: list[World] = []

    def make(**options: bool) -> World:
        worlds.append(World(tmp_path / f"home{len(worlds)}", clip_of, **options))
        return worlds[-1]

    yield make
    for world in worlds:
        world.close()


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    """Give a world like the cloud: messages leave after the commit, every commit stands alone."""
    return make_world()


@pytest.fixture(params=["cloud", "embedded"])
def any_world(request: pytest.FixtureRequest, make_world: Callable[..., World]) -> World:
    """Give a world of either kind."""
    return make_world(embedded=request.param == "embedded")


def shows(world: World, job_id: str) -> list[int]:
    """Decode a job's film and give the segments that it shows, each whole, in order."""
    film = world.job(job_id).film
    assert film is not None
    frames = read_frames(world.objects.path(film.uri))
    indexes = list(dict.fromkeys(number - 1 for number, _ in frames))
    assert frames == expected_frames([_spec(index) for index in indexes])
    return indexes
