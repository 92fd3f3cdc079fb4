"""`longreel stitch`: clips in, one film out."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

import pytest

from embedded import exits
from tests.cli.conftest import Door, frames


def test_clips_of_different_size_rate_and_sound_become_one_film_that_plays_to_the_end(door: Door, clips: Path) -> None:
    said = door.ok("stitch", clips / "one.mp4", clips / "two.mov", clips / "silent.mp4", "-o", "film.mp4")

    # Three seconds at the rate of the first clip.
    assert frames(door.folder / "film.mp4") == 3 * 24
    assert "3 clips, 3 s, 160x96, " in said
    assert "Stitched by encoding: clip 2: " in said


def test_the_system_ffmpeg_that_the_user_names_is_the_one_that_encodes(door: Door, clips: Path) -> None:
    found = shutil.which("ffmpeg")
    if found is None:
        assert "CI" not in os.environ, "CI must have an ffmpeg in PATH"
        pytest.skip("no ffmpeg in PATH; install your system's ffmpeg package to run this")
    told = door.folder / "calls"
    wrapper = door.folder / "my-ffmpeg"
    wrapper.write_text(f'#!/bin/sh\necho "$@" >> {told}\nexec {found} "$@"\n')
    wrapper.chmod(wrapper.stat().st_mode | stat.S_IXUSR)

    door.ok("stitch", clips / "silent.mp4", clips / "one.mp4", "-o", "film.mp4", LONGREEL_FFMPEG=str(wrapper))

    assert frames(door.folder / "film.mp4") == 2 * 25
    assert "libx264" in told.read_text()
    assert "named by LONGREEL_FFMPEG" in door.ok("doctor", LONGREEL_FFMPEG=str(wrapper))


def test_an_ffmpeg_that_is_not_there_is_named_and_the_job_goes_on_when_it_is(door: Door, clips: Path) -> None:
    done = door.run("stitch", clips / "one.mp4", clips / "silent.mp4", "-o", "film.mp4", LONGREEL_FFMPEG="/no/ffmpeg")
    assert done.returncode == exits.FAILED
    assert "'/no/ffmpeg'" in done.stderr

    [job] = door.jobs()
    assert f"`longreel resume {job['jobId']}`" in done.stderr
    door.ok("resume", job["jobId"])
    assert frames(door.folder / "film.mp4") == 2 * 24


BROKEN = {
    "truncated.mp4": "clip 2: read truncated.mp4: it is truncated: ",
    "empty.mp4": "clip 2: read empty.mp4: the file is empty.",
    "picture.mp4": "clip 2: read picture.mp4: it is not a video: by its content it is a PNG image.",
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_clip_is_named_with_what_it_is_and_what_to_do(door: Door, clips: Path, name: str) -> None:
    done = door.run("stitch", clips / "one.mp4", clips / name, clips / "same.mp4", "-o", "film.mp4")

    assert done.returncode == exits.FAILED
    assert BROKEN[name] in done.stderr
    assert done.stderr.endswith("Give another file, or leave this one out with --on-bad-clip skip.\n")
    assert not (door.folder / "film.mp4").exists()


def test_broken_clips_may_be_left_out_with_a_warning_each(door: Door, clips: Path) -> None:
    names = ["one.mp4", *BROKEN, "same.mp4"]
    said = door.ok("stitch", *(clips / name for name in names), "-o", "film.mp4", "--on-bad-clip", "skip")

    assert frames(door.folder / "film.mp4") == 2 * 24
    assert said.count("Warning: ") == 3
    for number, name in enumerate(BROKEN, 2):
        assert f"Clip {number} is left out: read {name}: " in said
    [job] = door.jobs()
    assert len(job["warnings"]) == 3

    nothing = door.run("stitch", clips / "empty.mp4", clips / "empty.mp4", "-o", "none.mp4", "--on-bad-clip", "skip")
    assert nothing.returncode == exits.FAILED
    assert nothing.stderr.endswith("every segment was left out, so there is no film. Give other files.\n")


def test_clips_of_any_name_given_twice_and_by_links_are_taken_as_they_are(door: Door, clips: Path) -> None:
    names = [
        "with space.mp4",
        "new\nline.mp4",
        "-o.mp4",
        "灯台 🌊.mp4",
        "'quote\".mp4",
        "no suffix",
        "x" * 250 + ".mp4",
    ]
    for name in names:
        shutil.copy(clips / "one.mp4", door.folder / name)
    (door.folder / "link.mp4").symlink_to("with space.mp4")
    odd = os.fsencode(door.folder) + b"/\xff.mp4"
    shutil.copy(clips / "same.mp4", odd)
    before = {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in door.folder.glob("*")}

    door.ok("stitch", "-o", "film.mp4", "--", *names, "link.mp4", odd, names[0], names[0])

    assert frames(door.folder / "film.mp4") == (len(names) + 4) * 24
    after = {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in before if path != door.home}
    assert after == {path: value for path, value in before.items() if path != door.home}
    [job] = door.jobs()
    assert [each["title"] for each in door.job(job["jobId"])["segments"]][:3] == [names[0], "new_line.mp4", names[2]]


def test_a_clip_that_is_also_the_output_is_not_lost(door: Door, clips: Path) -> None:
    shutil.copy(clips / "one.mp4", door.folder / "mine.mp4")

    sentence = door.refused("stitch", clips / "same.mp4", "mine.mp4", "-o", "mine.mp4", "--overwrite")

    assert sentence == "clip 2: mine.mp4 is also the output; name another file with -o, so that the clip is not lost."


def test_a_failed_stitch_goes_on_when_its_clip_is_mended_and_keeps_what_it_has_seen(door: Door, clips: Path) -> None:
    mended = door.folder / "mended.mp4"
    shutil.copy(clips / "truncated.mp4", mended)
    assert door.run("stitch", clips / "one.mp4", mended, "-o", "film.mp4").returncode == exits.FAILED
    [job] = door.jobs()

    mended.write_bytes((clips / "same.mp4").read_bytes())
    door.ok("resume", job["jobId"])

    assert frames(door.folder / "film.mp4") == 2 * 24
    first, second = door.job(job["jobId"])["segments"]
    assert (first["attempt"], second["attempt"]) == (1, 2)


def test_a_clip_that_was_edited_after_it_was_looked_at_is_refused_by_name(door: Door, clips: Path) -> None:
    edited, mended = door.folder / "edited.mp4", door.folder / "mended.mp4"
    shutil.copy(clips / "one.mp4", edited)
    shutil.copy(clips / "truncated.mp4", mended)
    assert door.run("stitch", edited, mended, "-o", "film.mp4").returncode == exits.FAILED
    [job] = door.jobs()

    edited.write_bytes((clips / "same.mp4").read_bytes())
    mended.write_bytes((clips / "same.mp4").read_bytes())
    done = door.run("resume", job["jobId"])

    assert done.returncode == exits.FAILED
    assert "clip 1: edited.mp4 was changed after it was looked at. Run `longreel stitch` again" in done.stderr
    assert not (door.folder / "film.mp4").exists()


def test_a_refused_stitch_leaves_no_clip_in_the_home(door: Door, clips: Path) -> None:
    (door.folder / "film.mp4").write_text("mine")
    door.refused("stitch", clips / "one.mp4", clips / "same.mp4", "-o", "film.mp4")
    options = ("-o", "other.mp4", "--request-id", "once", "--project", "p")
    door.ok("stitch", clips / "one.mp4", clips / "same.mp4", *options)
    door.ok("stitch", clips / "one.mp4", clips / "same.mp4", *options)

    assert len(list((door.home / "objects").rglob("001-one.mp4"))) == 1
