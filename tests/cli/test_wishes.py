"""What a user may wish of a film: music, loudness, joins, size; and every example of docs/cli.md, run as it stands."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import imageio_ffmpeg
import pytest
import yaml

from events.requests import read_request
from tests.cli.conftest import Door, frames

PAGE = Path(__file__).parent.parent.parent / "docs" / "cli.md"
EXAMPLES = [
    line
    for block in re.findall(r"^```sh\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
]
#: Frames of an example's film where they are not those of two clips, or scenes, of a second.
FRAMES = {"fades.mp4": 48 - 10}


@pytest.fixture(scope="session")
def waves(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Half a second of a deep tone."""
    path = tmp_path_factory.mktemp("music") / "waves.mp3"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-f", "lavfi", "-i", "sine=f=220:d=0.5", str(path)]
    subprocess.run(command, check=True)
    return path


@pytest.fixture
def place(door: Door, clips: Path, waves: Path) -> Door:
    """A folder with the files that the examples name."""
    shutil.copy(clips / "one.mp4", door.folder / "sea.mp4")
    shutil.copy(clips / "same.mp4", door.folder / "pier.mp4")
    shutil.copy(waves, door.folder / "waves.mp3")
    (door.folder / "keeper.yaml").write_text("prompts: [A lighthouse, {prompt: The storm}]\n")
    return door


def measured_lufs(film: Path) -> float:
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-hide_banner", "-i", str(film)]
    said = subprocess.run([*command, "-af", "ebur128", "-f", "null", "-"], capture_output=True, text=True, check=True)
    found = re.findall(r"I:\s+(\S+) LUFS", said.stderr)
    return float(found[-1])


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_of_the_page_makes_its_film(place: Door, example: str) -> None:
    program, *arguments = shlex.split(example)
    assert program == "longreel"
    output = place.folder / arguments[arguments.index("-o") + 1]
    short = ["--scene-ms", "1000"] if arguments[0] == "make" else []

    place.ok(*arguments, *short)

    assert frames(output) == FRAMES.get(output.name, 48)


def test_the_script_of_the_page_is_a_request() -> None:
    [script] = re.findall(r"^```yaml\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)

    assert read_request(yaml.safe_load(script)).kind == "long_form"


def test_a_film_with_music_and_loudness_is_as_loud_as_others(place: Door) -> None:
    wish = ("--music", "waves.mp3", "--music-db", "-12", "--loudness", "r128")

    said = place.ok("stitch", "sea.mp4", "pier.mp4", "-o", "film.mp4", *wish)

    assert measured_lufs(place.folder / "film.mp4") == pytest.approx(-16, abs=0.5)
    assert "Warning" not in said


def test_a_script_names_music_beside_itself_wherever_the_user_is(place: Door, waves: Path) -> None:
    there = place.folder / "elsewhere"
    there.mkdir()
    shutil.copy(waves, there / "own music.mp3")
    script = there / "script.yaml"
    script.write_text("prompts: [A pier]\nmusic: own music.mp3\nmusicDb: -20\n")

    place.ok("make", script, "-o", "film.mp4", "--scene-ms", "500")

    [kept] = (place.home / "objects").rglob("own music.mp3")
    assert kept.read_bytes() == waves.read_bytes()


def test_an_object_of_the_home_can_be_named_as_music(place: Door) -> None:
    place.ok("stitch", "sea.mp4", "pier.mp4", "-o", "film.mp4", "--music", "waves.mp3")
    [kept] = (place.home / "objects").rglob("waves.mp3")
    uri = f"gs://{kept.relative_to(place.home / 'objects')}"

    place.ok("stitch", "sea.mp4", "pier.mp4", "-o", "other.mp4", "--music", uri)

    refused = place.refused("stitch", "sea.mp4", "pier.mp4", "-o", "third.mp4", "--music", f"{uri}x")
    assert refused == f"music: there is no object {uri}x; put it there first."


REFUSED = {
    "none.mp3": "music: none.mp3 does not exist.",
    ".": "music: . is a folder; name a file.",
    "empty.mp3": "music: empty.mp3 is empty.",
    "picture.mp3": "music: picture.mp3 is a PNG image (",
    "text.mp3": "music: text.mp3 is a text file (",
    "silent.mp4": "music: silent.mp4 has no sound in it.",
    "short.wav": "music: short.wav lasts 10 ms, and a loop of less than 100 ms is no music.",
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_music_is_refused_before_anything_is_made(place: Door, clips: Path, name: str) -> None:
    shutil.copy(clips / "silent.mp4", place.folder)
    (place.folder / "empty.mp3").touch()
    (place.folder / "picture.mp3").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(64))
    (place.folder / "text.mp3").write_text("http://example.com/song.mp3\n" * 9)
    tone = ["-v", "error", "-f", "lavfi", "-i", "sine=d=0.01", "-y", str(place.folder / "short.wav")]
    subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), *tone], check=True)

    for command in (("stitch", "sea.mp4", "pier.mp4"), ("make", "keeper.yaml")):
        assert place.refused(*command, "-o", "film.mp4", "--music", name).startswith(REFUSED[name])

    assert place.jobs() == []
    assert not (place.home / "objects" / "longreel").exists() or not any(place.home.rglob("*.mp*"))


def test_an_option_that_would_do_nothing_names_the_one_that_is_missing(place: Door) -> None:
    clips = ("stitch", "sea.mp4", "pier.mp4", "-o", "film.mp4")

    assert place.refused(*clips, "--music-db", "-12") == (
        "--music-db: says how loud music is, but there is none; name a file with --music."
    )
    assert place.refused(*clips, "--transition-ms", "300") == (
        "--transition-ms: says how long fades take, but there are none; add --transition."
    )
    (place.folder / "faded.yaml").write_text("prompts: [One, Two]\ntransition: crossfade\n")
    place.ok("make", "faded.yaml", "-o", "film.mp4", "--scene-ms", "300", "--transition-ms", "100")


@pytest.mark.parametrize(
    "wish", [("--music-db", "1"), ("--music-db", "-61"), ("--loudness", "loud"), ("--seams", "ignore")]
)
def test_a_wish_that_cannot_be_is_refused_with_what_can(place: Door, wish: tuple[str, str]) -> None:
    done = place.run("stitch", "sea.mp4", "pier.mp4", "-o", "film.mp4", "--music", "waves.mp3", *wish)

    assert done.returncode == 2
    assert wish[0] in done.stderr
    assert not place.home.exists()


def test_a_join_that_would_be_noticed_ends_without_a_film_where_that_is_asked_for(place: Door) -> None:
    # A clip that begins with what the one before has shown already.
    still = place.folder / "still.mp4"
    picture = ["-f", "lavfi", "-i", "testsrc2=s=160x96:r=24", "-vf", "select='eq(n,0)',loop=23:1:0"]
    moving = ["-f", "lavfi", "-i", "testsrc2=s=160x96:r=24", "-vf", "trim=end_frame=24"]
    for output, made in ((still, picture), (place.folder / "moving.mp4", moving)):
        encode = ["-frames:v", "24", "-pix_fmt", "yuv420p", "-c:v", "libx264", "-y", str(output)]
        subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", *made, *encode], check=True)

    warned = place.ok("stitch", "moving.mp4", "still.mp4", "-o", "film.mp4")
    done = place.run("stitch", "moving.mp4", "still.mp4", "-o", "other.mp4", "--seams", "fail")

    assert "Warning: Join 1 (at 1.0 s): the picture stands still after it." in warned
    assert done.returncode == 1
    assert "the picture stands still after it" in done.stderr
    assert not (place.folder / "other.mp4").exists()
