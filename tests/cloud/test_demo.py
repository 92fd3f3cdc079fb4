"""`make cloud-demo`, run as people run it."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cloud import demo, emulators
from tests.cloud.stack import ROOT
from tests.media.clips import read_frames

COMMAND = [sys.executable, "-m", "tests.cloud.demo"]
SECONDS = 120


def test_the_demo_makes_a_film_and_says_what_it_took(needs_emulators: None, tmp_path: Path) -> None:
    film, figures_file = tmp_path / "film.mp4", tmp_path / "figures.json"

    ran = subprocess.run(
        [*COMMAND, "--output", film, "--figures", figures_file],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        timeout=SECONDS,
    )

    assert ran.returncode == 0, ran.stdout
    figures = json.loads(figures_file.read_text(encoding="utf-8"))
    frames = len(demo.PROMPTS) * demo.CLIP_MS * 24 // 1000
    assert list(dict.fromkeys(number for number, _ in read_frames(film))) == figures["scenes"] == [0, 1, 2, 3, 4, 5]
    assert (figures["frames"], figures["seconds"]) == (frames, 24)
    assert figures["route"]["stitcher"] == "splice"
    # Six clips of four seconds; what was spent has the stitch's own price in it.
    assert figures["cost"]["estimated_micro_usd"] == 2_400_000
    assert figures["cost"]["spent_micro_usd"] == 2_400_000 + figures["route"]["price_micro_usd"]
    assert figures["cost"]["wasted_micro_usd"] == 0
    # On a busy machine a segment that is redelivered, or that the sweep looks after, is written once more. That four
    # are enough is shown message by message in `test_cost.py`.
    assert 4 <= figures["writes_of_a_segment"] < 5
    assert figures["reads_of_a_segment"] <= 6
    assert figures["polls"] == 0
    assert figures["stitch_read_bytes"] + figures["stitch_wrote_bytes"] < figures["film_bytes"] / 2
    calls = {name: row["calls"] for name, row in figures["functions"].items() if row["calls"]}
    # Six clips, the film, and what the stitch writes on the way.
    assert calls.pop("on_object_finalized") >= 7
    assert calls == {
        "create_job": 1,
        "on_requested": 1,
        "on_segment_requested": 6,
        "on_segment_done": 6,
        "on_stitch_requested": 1,
    }
    assert all(row["refused"] == 0 for row in figures["functions"].values())
    said = ran.stdout
    assert str(film) in said
    assert "polls: 0" in said
    assert "not transcoder: " in said
    assert "100 %  6 of 6 clips  Completed" in said


def test_an_interrupted_demo_leaves_nothing_running(needs_emulators: None, tmp_path: Path) -> None:
    running = subprocess.Popen(
        [*COMMAND, "--output", tmp_path / "film.mp4"], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert running.stdout is not None
    said = ""
    while "generating" not in said:
        line = running.stdout.readline()
        assert line, said
        said += line

    running.send_signal(signal.SIGINT)

    rest, _ = running.communicate(timeout=SECONDS)
    assert (running.returncode, rest.splitlines()[-1]) == (130, "Interrupted. Nothing is left running.")
    ports = [int(port) for port in re.findall(r"emulator, at 127\.0\.0\.1:(\d+)", said)]
    assert len(ports) == 2
    for port in ports:
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0


def test_without_the_emulators_the_demo_says_how_to_get_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(emulators, "missing", lambda: "there is no Cloud SDK here; install it")
    monkeypatch.setattr(sys, "argv", ["demo"])

    assert demo.main() == 69

    said = capsys.readouterr()
    assert "there is no Cloud SDK here; install it" in said.err
    assert "make demo" in said.err
    assert said.out == ""
