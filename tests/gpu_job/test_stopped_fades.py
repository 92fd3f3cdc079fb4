"""A film with fades, killed while its windows are made: what was made is found again, and the film is the same."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from events.plan import Transition
from tests.gpu_job.bench import Bench
from tests.gpu_job.test_resume import Film, fingerprint, run_through

MakeClip = Callable[..., Path]


def test_windows_that_were_made_before_a_kill_are_not_made_again(
    bench: Bench, make_clip: MakeClip, ffmpeg_program: str
) -> None:
    clips = [make_clip(number, frames=48, video="-g 24") for number in range(4)]
    plan = bench.plan(*clips, transition=Transition.CROSSFADE, transition_ms=250)
    film = Film(bench, plan, ffmpeg_program)
    run_through(film, "--processes", "1")
    wanted, windows = fingerprint(bench.film), film.made()
    assert len(windows) == 3
    film.begin_again()
    child = film.start("--processes", "1")
    end = time.monotonic() + 60
    while not (done := [uri for uri in film.checkpoints() if uri.endswith(".json") and "join" in uri]):
        assert time.monotonic() < end
        assert child.poll() is None, "it was faster than we"
    child.kill()
    child.communicate()
    bench.killed = True

    run_through(film, "--processes", "1")

    made = film.made()
    assert set(made) == set(windows)
    assert sum(made.values()) - len(windows) <= 1, "no more than what was under way"
    assert [made[name] for name in windows if any(f"/{name}-" in uri for uri in done)] == [1] * len(done)
    assert fingerprint(bench.film) == wanted
    assert film.report()["resumedCount"] == 1
    assert film.checkpoints() == []
