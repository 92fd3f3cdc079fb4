"""`longreel make`: scripts in, films out."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from embedded import exits
from tests.cli.conftest import SCENE_FRAMES, SCENE_MS, Door, frames, next_line


def test_a_text_of_prompts_becomes_a_film_with_every_scene(door: Door) -> None:
    script = door.folder / "my script.txt"
    script.write_bytes("\ufeff# a comment\r\nA ship 🚢\r\n\r\n   # another\r\nسفينة في البحر\r\nThe end".encode())

    said = door.ok("make", script, "-o", "film.mp4", "--scene-ms", SCENE_MS)

    assert frames(door.folder / "film.mp4") == 3 * SCENE_FRAMES
    assert f"Film: {door.folder / 'film.mp4'}\n" in said
    assert "3 scenes, " in said
    [job] = door.jobs()
    titles = [each["title"] for each in door.job(job["jobId"])["segments"]]
    assert titles == ["A ship 🚢", "سفينة في البحر", "The end"]


@pytest.mark.parametrize(
    "script",
    [
        "title: Sea\naspectRatio: '9:16'\nprompts:\n  - The sea\n  - prompt: The ship\n    durationMs: 200\n",
        json.dumps({"title": "Sea", "aspectRatio": "9:16", "prompts": ["The sea", {"prompt": "x", "durationMs": 200}]}),
    ],
    ids=["yaml", "json"],
)
def test_a_request_comes_by_standard_input_and_an_option_wins_over_its_field(door: Door, script: str) -> None:
    door.ok("make", "-", "-o", "film.mp4", "--scene-ms", SCENE_MS, "--aspect-ratio", "1:1", stdin=script)

    assert frames(door.folder / "film.mp4") == SCENE_FRAMES + 5
    [job] = door.jobs()
    assert job["title"] == "Sea"
    report = job["film"]["report"]
    assert (report["widthPx"], report["heightPx"]) == (720, 720)


def test_the_same_request_id_is_the_same_job_and_the_second_run_only_delivers(door: Door) -> None:
    options = ("--scene-ms", SCENE_MS, "--request-id", "monday", "--project", "sea")
    door.ok("make", door.script(2), "-o", "film.mp4", *options)
    clips = {path: path.stat().st_mtime_ns for path in door.home.rglob("clip.mp4")}

    again = door.ok("make", door.script(2), "-o", "film.mp4", *options)
    elsewhere = door.ok("make", door.script(2), "-o", "copy.mp4", *options)

    assert len(door.jobs()) == 1
    assert {path: path.stat().st_mtime_ns for path in door.home.rglob("clip.mp4")} == clips
    assert "made by the same request before; it is completed" in again
    assert str(door.folder / "copy.mp4") in elsewhere
    assert frames(door.folder / "copy.mp4") == frames(door.folder / "film.mp4") == 2 * SCENE_FRAMES


def test_a_film_that_is_being_made_is_not_made_twice_unless_forced(door: Door) -> None:
    first = door.start("make", door.script(60), "-o", "film.mp4", "--scene-ms", SCENE_MS)
    next_line(first, having="Imaginating")
    [running] = door.jobs()

    sentence = door.refused("make", door.script(60), "-o", "film.mp4", code=exits.ALREADY_RUNNING)
    as_json = door.run("make", door.script(60), "-o", "film.mp4", "--json")
    door.ok("make", door.script(2, "other.txt"), "-o", "film.mp4", "--scene-ms", SCENE_MS, "--force-restart")

    for step in ("watch", "resume", "cancel"):
        assert f"`longreel {step} {running['jobId']}`" in sentence
    assert "--force-restart" in sentence
    error = json.loads(as_json.stdout)
    assert (error["type"], error["code"], error["exitCode"]) == ("error", "already_running", exits.ALREADY_RUNNING)
    _, complaint = first.communicate(timeout=20)
    assert first.returncode == exits.CANCELLED
    assert "superseded" in complaint
    assert [job["state"] for job in door.jobs()] == ["completed", "cancelled"]
    assert frames(door.folder / "film.mp4") == 2 * SCENE_FRAMES


def test_a_file_that_is_there_is_kept_unless_overwriting_is_asked_for(door: Door) -> None:
    film = door.folder / "film.mp4"
    film.write_text("mine")
    link = door.folder / "link.mp4"
    link.symlink_to(film)

    sentence = door.refused("make", door.script(1), "-o", "film.mp4")
    assert sentence == f"output: {film} exists; name another file, or add --overwrite."
    assert film.read_text() == "mine"
    assert door.jobs() == []

    door.ok("make", door.script(1), "-o", "link.mp4", "--overwrite", "--scene-ms", SCENE_MS)
    assert link.is_symlink()
    assert frames(film) == SCENE_FRAMES


def test_a_film_whose_place_was_taken_meanwhile_is_not_lost(door: Door) -> None:
    making = door.start("make", door.script(8), "-o", "film.mp4", "--scene-ms", SCENE_MS)
    next_line(making, having="Imaginating")
    film = door.folder / "film.mp4"
    film.write_text("mine")

    _, complaint = making.communicate(timeout=30)
    [job] = door.jobs()

    assert making.returncode == exits.FAILED
    assert "--overwrite" in complaint
    assert job["state"] == "completed"
    assert film.read_text() == "mine"
    door.ok("resume", job["jobId"], "-o", "other.mp4")
    assert frames(door.folder / "other.mp4") == 8 * SCENE_FRAMES
    door.ok("resume", job["jobId"], "-o", "film.mp4", "--overwrite")
    assert frames(film) == 8 * SCENE_FRAMES


REFUSED = {
    "no such script": (b"", ["make", "nope.txt"], "there is no script nope.txt; name a file"),
    "a folder": (b"", ["make", "."], ". is a folder; name a file in it."),
    "nothing": (b"", ["make", "-"], "prompts: standard input holds no prompt: write one a line"),
    "only comments": (b"# a\n\n", ["make", "-"], "prompts: standard input holds no prompt"),
    "a picture": (b"\x89PNG\r\n\x1a\n", ["make", "-"], "read standard input: it is a PNG image; a script is"),
    "utf-16": ("prompt".encode("utf-16"), ["make", "-"], "read standard input: it is UTF-16; save it as UTF-8."),
    "latin-1": ("Küste".encode("latin-1"), ["make", "-"], "read standard input: it is no UTF-8 text (byte 1"),
    "zeros": (b"a\0b", ["make", "-"], "read standard input: it is no text, because it holds a zero byte."),
    "201 prompts": (b"x\n" * 201, ["make", "-"], "prompts: should hold 1 to 200 prompts, not 201."),
    "bad yaml": (b"prompts: [a\n", ["make", "-"], "read standard input: line 2 is no YAML: "),
    "bad date": (b"prompts: [2024-13-45]\n", ["make", "-"], "read standard input: it is no YAML that can be read"),
    "bad json": (b'{"prompts": ["a",]}', ["make", "-"], "read standard input: line 1 is no JSON"),
    "deep json": (b'{"a":' * 100_000, ["make", "-"], "read standard input: its brackets are nested too deeply."),
    "unknown field": (b"prompts: [a]\ntitel: x\n", ["make", "-"], "titel: unknown field; did you mean `title`?"),
    "unknown generator": (b"a", ["make", "-", "--generator", "veo"], "generator: there is no 'veo' here"),
    "bad project": (b"a", ["make", "-", "--project", "a b"], "projectId: should be 1 to 128 letters"),
    "one clip": (b"", ["stitch", "one.mp4"], "clips: should hold 2 to 500 clips, not 1."),
    "no such clip": (b"", ["stitch", "one.mp4", "nope.mp4"], "clip 2: nope.mp4 does not exist."),
    "a folder as clip": (b"", ["stitch", "one.mp4", "."], "clip 2: . is a folder; name the files in it, as with *.mp4"),
    "a pipe as clip": (b"", ["stitch", "one.mp4", "/dev/null"], "clip 2: /dev/null is no file."),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_work_is_refused_in_one_sentence_before_anything_is_made(finished: Door, case: str) -> None:
    stdin, arguments, said = REFUSED[case]
    (finished.folder / "one.mp4").touch()

    sentence = finished.refused(*arguments, "-o", "new.mp4", stdin=stdin)

    assert sentence.startswith(said)
    assert not (finished.folder / "new.mp4").exists()


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ("film.mov", "output: should end in .mp4, not 'film.mov'."),
        ("folder.mp4", "output: folder.mp4 is a folder; name a file in it."),
        ("nowhere/film.mp4", "does not exist; make it first."),
    ],
)
def test_an_output_that_cannot_be_is_refused_at_once(finished: Door, output: str, said: str) -> None:
    (finished.folder / "folder.mp4").mkdir(exist_ok=True)

    assert finished.refused("make", "script.txt", "-o", output).endswith(said)


def test_a_home_that_cannot_be_is_named_with_the_way_out(finished: Door) -> None:
    (finished.folder / "strange").mkdir(exist_ok=True)
    (finished.folder / "strange" / "longreel.db").write_text("not a database, but long enough to be read as one")

    no_folder = finished.refused("make", "script.txt", "-o", "new.mp4", "--home", "script.txt", code=exits.FAILED)
    assert "Not a directory; choose another with --home or LONGREEL_HOME." in no_folder
    strange = finished.refused("jobs", "--home", "strange", code=exits.FAILED)
    assert "is this a Longreel file?" in strange
    missing = finished.refused("jobs", "--home", "missing", code=exits.NOT_FOUND)
    assert "is it the right home? --home or LONGREEL_HOME names another." in missing
    assert not (finished.folder / "missing").exists(), "looking makes no home"


def test_a_bug_ends_in_one_sentence_and_a_trace_in_the_log(finished: Door) -> None:
    site = finished.folder / "site"
    site.mkdir(exist_ok=True)
    (site / "sitecustomize.py").write_text(
        "import embedded.listing\n"
        "def list_jobs(*_, **__):\n    raise ZeroDivisionError('on purpose')\n"
        "embedded.listing.list_jobs = list_jobs\n"
    )

    sentence = finished.refused("jobs", code=exits.BUG, PYTHONPATH=str(site))

    log = finished.home / "logs" / "longreel.log"
    assert sentence.startswith(f"This is a mistake in Longreel (ZeroDivisionError: on purpose). Details are in {log}")
    line = json.loads(log.read_text(encoding="utf-8").splitlines()[-1])
    assert "Traceback" in line["stack_trace"]


def test_a_clip_that_does_not_fit_the_disk_is_said_so(door: Door) -> None:
    """A file size limit is what a full disk is to a program."""
    done = subprocess.run(
        ["/bin/sh", "-c", 'ulimit -f 1; exec "$0" "$@"', *door._command(("make", door.script(2), "-o", "film.mp4"))],
        cwd=door.folder, env=door.environment, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip

    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert not Path(door.folder / "film.mp4").exists()
