"""Music is looked at when the job is created: a film of paid clips must not fail at its end for a wrong file."""

from __future__ import annotations

import io
import wave
from typing import Any

import pytest

from events.errors import InvalidRequest
from functions import api
from tests.functions.world import World


def tone(seconds: float = 0.5) -> bytes:
    """A WAV of silence: only its headers are looked at."""
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(2 * int(8000 * seconds)))
    return file.getvalue()


REQUESTS: dict[str, dict[str, Any]] = {
    "prompts": {"prompts": ["A lighthouse"], "generator": "paid"},
    "clips": {"clips": ["gs://longreel/uploads/a.mp4", "gs://longreel/uploads/b.mp4"]},
}


@pytest.fixture(params=REQUESTS)
def wanted(request: pytest.FixtureRequest, world: World) -> dict[str, Any]:
    return {**REQUESTS[request.param], "music": world.uri("users/a/waves.wav")}


def refusal(world: World, wanted: dict[str, Any]) -> str:
    with pytest.raises(InvalidRequest) as refused:
        world.create(**wanted)
    assert refused.value.field == "music"
    assert world.services.jobs.jobs() == []
    assert world.paid.times_bought("", 0) == 0
    return str(refused.value)


def test_music_that_sounds_is_taken(world: World, wanted: dict[str, Any]) -> None:
    world.objects.write(wanted["music"], tone())

    assert world.job(world.create(**wanted)).settings


def test_music_that_is_not_there_is_refused_before_anything_is_paid(world: World, wanted: dict[str, Any]) -> None:
    assert "there is no object gs://longreel/users/a/waves.wav; put it there first" in refusal(world, wanted)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "waves.wav is empty"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "waves.wav is a PNG image ("),
        (b"#EXTM3U\n#EXTINF:10,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n", "waves.wav is an HLS playlist ("),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", "waves.wav is a text file ("),
        (tone()[:20], "waves.wav "),
        (tone(0.05), "waves.wav lasts 50 ms, and a loop of less than 100 ms is no music"),
    ],
)
def test_what_is_no_music_by_its_headers_is_named(world: World, wanted: dict[str, Any], data: bytes, said: str) -> None:
    world.objects.write(wanted["music"], data)

    assert said in refusal(world, wanted)


def test_a_clip_without_sound_is_no_music(world: World, wanted: dict[str, Any]) -> None:
    world.objects.write(wanted["music"], world.clip_of(0))

    assert "has no sound in it" in refusal(world, wanted)


def test_the_same_request_again_finds_its_job_whatever_became_of_the_music(
    world: World, wanted: dict[str, Any]
) -> None:
    world.objects.write(wanted["music"], tone())
    first = api.create_job(world.services, {**wanted, "requestId": "r1"}, "someone")
    world.objects.delete(wanted["music"])

    again = api.create_job(world.services, {**wanted, "requestId": "r1"}, "someone")

    assert (again.job.job_id, again.fresh) == (first.job.job_id, False)
