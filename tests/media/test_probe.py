"""The facts of real files, and the refusal of broken ones: only ever `BadMedia`, and always a sentence that helps."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from events.clip import ClipFacts
from events.errors import BadMedia, NotFound
from media.conform import can_join, mergeable
from media.probe import probe
from media.reader import BytesReader, FileReader
from tests.media.clips import ClipSpec, Tone, run_ffmpeg
from tests.media.conftest import ClipMaker
from tests.media.synthetic import FakeClip
from tests.media.test_container import png

X264 = ("-c:v", "libx264", "-preset", "veryfast", "-crf", "20", "-g", "12", "-pix_fmt", "yuv420p")
VARYING = ("-vf", "setpts=if(lt(N\\,8)\\,N\\,2*N-8)", "-fps_mode", "vfr")
FAST = ClipSpec(1, muxer=("-movflags", "+faststart"))


def facts_of(path: Path) -> ClipFacts:
    with FileReader(path) as reader:
        return probe(reader, path.name)


def remuxed(source: Path, output: Path, *options: str) -> Path:
    run_ffmpeg(["-i", str(source), "-c", "copy", *options, str(output)])
    return output


class CountingReader(BytesReader):
    """Counts what is asked of it."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.reads: list[int] = []

    def read(self, offset: int, length: int) -> bytes:
        data = super().read(offset, length)
        self.reads.append(len(data))
        return data


def test_an_mp4_says_all_of_its_facts(clip: ClipMaker) -> None:
    facts = facts_of(clip(ClipSpec(1)))

    assert facts.container == "mp4"
    assert (facts.duration_ms, facts.frame_count, facts.frame_rate) == (1000, 24, "24/1")
    assert (facts.width_px, facts.height_px, facts.video_codec) == (160, 96, "h264")
    assert (facts.audio_codec, facts.sample_rate_hz, facts.channel_count) == ("aac", 48000, 2)
    assert facts.size_bytes == clip(ClipSpec(1)).stat().st_size
    assert facts.obstacles == []


def test_what_must_be_equal_has_names_and_values_that_people_read(clip: ClipMaker) -> None:
    properties = facts_of(clip(ClipSpec(1, fps="30000/1001", frames=30))).conform

    assert properties["size"] == "160x96"
    assert properties["frameRate"] == "30000/1001"
    assert properties["sound"] == "AAC-LC 48000 Hz 2 ch"
    assert properties["soundPacket"] == "1024 samples"
    assert properties["reorder"] == "2 frames"
    assert (properties["profile"], properties["level"]) == ("High", "1.1")


@pytest.mark.parametrize(
    "other",
    [
        ClipSpec(2, frames=31),
        ClipSpec(3, muxer=("-video_track_timescale", "90000")),
        ClipSpec(4, muxer=("-movflags", "+faststart")),
        ClipSpec(5, muxer=("-movflags", "+negative_cts_offsets")),
        ClipSpec(6, tone=Tone(frequency_hz=3000, encoder=("-c:a", "aac", "-b:a", "64k"))),
        ClipSpec(7, suffix=".mov"),
    ],
)
def test_what_must_not_matter_does_not(clip: ClipMaker, other: ClipSpec) -> None:
    assert can_join(facts_of(clip(ClipSpec(1))).conform, facts_of(clip(other)).conform) == []


@pytest.mark.parametrize(
    ("options", "width_px", "height_px", "name", "value"),
    [
        (("-display_rotation", "90"), 96, 160, "rotation", "270"),
        (("-display_rotation", "180"), 160, 96, "rotation", "180"),
        ((), 160, 96, "rotation", "0"),
    ],
)
def test_a_turned_picture_is_measured_as_it_is_shown(
    clip: ClipMaker, tmp_path: Path, options: tuple[str, ...], width_px: int, height_px: int, name: str, value: str
) -> None:
    turned = tmp_path / "turned.mp4"
    run_ffmpeg([*options, "-i", str(clip(ClipSpec(1))), "-c", "copy", str(turned)])

    facts = facts_of(turned)

    assert (facts.width_px, facts.height_px) == (width_px, height_px)
    assert facts.conform[name] == value


def test_pixels_that_are_not_square_and_color_are_compared(clip: ClipMaker) -> None:
    wide = (*X264, "-vf", "setsar=4/3,setparams=colorspace=bt709:color_primaries=bt709:color_trc=bt709")
    facts = facts_of(clip(ClipSpec(1, video=wide)))

    assert facts.conform["pixelAspect"] == "4:3"
    assert facts.conform["color"] == "1/1/1 tv"
    assert facts.width_px == 213


@pytest.mark.parametrize(
    ("spec", "obstacle"),
    [
        (ClipSpec(1, tone=Tone(late=0.3)), "its sound starts 279 ms late"),
        (ClipSpec(1, tone=Tone(longer=-0.4)), "its sound is 4"),
        (ClipSpec(1, tone=Tone(longer=0.4)), "its sound is 4"),
        (
            ClipSpec(1, video=(*X264, "-vf", "setpts=if(lt(N\\,8)\\,N\\,2*N-8)", "-fps_mode", "vfr")),
            "its frame rate varies",
        ),
        (ClipSpec(1, tone=Tone(encoder=("-c:a", "alac"))), "its sound codec alac cannot be spliced"),
        (ClipSpec(1, video=("-c:v", "mpeg4")), "its picture codec mp4v cannot be spliced"),
        (ClipSpec(1, video=("-c:v", "png"), suffix=".mov"), "its picture codec png cannot be spliced"),
    ],
)
def test_what_stands_in_the_way_of_a_join_is_said(clip: ClipMaker, spec: ClipSpec, obstacle: str) -> None:
    obstacles = facts_of(clip(spec)).obstacles

    assert any(obstacle in found for found in obstacles), obstacles


def test_a_codec_s_name_of_three_letters_ends_in_no_space(clip: ClipMaker) -> None:
    facts = facts_of(clip(ClipSpec(1, video=("-c:v", "png"), suffix=".mov")))

    assert (facts.video_codec, facts.conform["video"]) == ("png", "png")


def test_a_clip_cut_by_its_edit_list_is_not_joined_as_it_is(clip: ClipMaker, tmp_path: Path) -> None:
    """A cut without encoding starts at the sync sample before; the edit list hides what nobody asked for."""
    cut = tmp_path / "cut.mp4"
    run_ffmpeg(["-ss", "0.3", "-i", str(clip(ClipSpec(1, frames=48))), "-c", "copy", str(cut)])

    facts = facts_of(cut)

    (obstacle,) = facts.obstacles
    assert "hides the first" in obstacle, "and its sound is as long as what is shown"
    assert facts.duration_ms == pytest.approx(1700, abs=60)


def test_two_sound_tracks_are_an_obstacle(clip: ClipMaker, tmp_path: Path) -> None:
    both = remuxed(clip(ClipSpec(1)), tmp_path / "both.mp4", "-map", "0:v", "-map", "0:a", "-map", "0:a")

    assert facts_of(both).obstacles == ["it has 2 sound tracks"]


def test_other_parameter_sets_merge_when_their_ids_differ(clip: ClipMaker) -> None:
    plain = facts_of(clip(ClipSpec(1)))
    other = facts_of(clip(ClipSpec(2, video=(*X264, "-x264-params", "sps-id=3:cabac=0"))))
    clashing = facts_of(clip(ClipSpec(2, video=(*X264, "-x264-params", "cabac=0"))))

    assert plain.conform != other.conform
    assert mergeable(plain, other) == []
    assert mergeable(plain, clashing) == ["picture parameter sets: different ones under the same id"]


@pytest.mark.parametrize("suffix", [".mkv", ".ts", ".avi", ".flv"])
def test_other_containers_are_probed_but_not_joined_as_they_are(clip: ClipMaker, tmp_path: Path, suffix: str) -> None:
    facts = facts_of(remuxed(clip(ClipSpec(1)), tmp_path / f"clip{suffix}"))

    assert (facts.width_px, facts.height_px, facts.video_codec, facts.audio_codec) == (160, 96, "h264", "aac")
    assert facts.duration_ms == pytest.approx(1000, abs=150)
    assert "only MP4 can be joined without encoding" in facts.obstacles[0]


def test_a_fragmented_mp4_is_probed_but_not_joined_as_it_is(clip: ClipMaker, tmp_path: Path) -> None:
    fragmented = remuxed(clip(ClipSpec(1)), tmp_path / "f.mp4", "-movflags", "frag_keyframe+empty_moov")

    facts = facts_of(fragmented)

    assert facts.obstacles == ["its index is spread over the file (fragmented MP4)"]
    assert (facts.width_px, facts.duration_ms) == (160, 1000)


def test_an_mp4_costs_few_and_small_reads_wherever_its_index_is(clip: ClipMaker) -> None:
    """Each read is a request when the clip is an object in a store."""
    padded = FakeClip([100_000] * 24, packet_sizes=[300] * 48).to_bytes()
    at_front = CountingReader(padded)
    at_end = CountingReader(clip(ClipSpec(1)).read_bytes())

    probe(at_front, "front")
    probe(at_end, "end")

    assert len(at_front.reads) <= 3
    assert sum(at_front.reads) < 40_000
    assert len(at_end.reads) <= 4


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "the file is empty"),
        (png(), "it is not a video: by its content it is a PNG image"),
        (b"#EXTM3U\nhttp://169.254.169.254/secret.ts\n", "it is not a video: by its content it is an HLS playlist"),
        (b"hello, this is text\n", "it is not a video: by its content it is a text file"),
        (b"\x1a\x45\xdf\xa3" + bytes(300), "it looks like a Matroska video but is damaged"),
    ],
)
def test_a_file_that_is_no_video_is_told_what_it_is(tmp_path: Path, content: bytes, sentence: str) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(content)

    with pytest.raises(BadMedia) as caught:
        facts_of(path)

    assert caught.value.message.startswith(f"read clip.mp4: {sentence}")


def test_a_truncated_file_is_refused_and_says_where_it_ends(clip: ClipMaker) -> None:
    whole = clip(FAST).read_bytes()

    with pytest.raises(BadMedia, match=rf"mdat box says \d+ bytes .* the file ends at byte {len(whole) - 700}"):
        probe(BytesReader(whole[:-700]), "clip.mp4")


def test_a_file_that_is_still_being_written_has_no_index(clip: ClipMaker) -> None:
    whole = clip(ClipSpec(1)).read_bytes()

    with pytest.raises(BadMedia, match=r"its index \(moov\), which should follow, is missing"):
        probe(BytesReader(whole[: len(whole) // 2]), "clip.mp4")
    with pytest.raises(BadMedia, match="cut off, or is still being written"):
        probe(BytesReader(whole[:40]), "clip.mp4")


def test_sound_alone_is_refused(clip: ClipMaker, tmp_path: Path) -> None:
    sound = remuxed(clip(ClipSpec(1)), tmp_path / "sound.mp4", "-vn")

    with pytest.raises(BadMedia, match="it has no picture, only sound"):
        facts_of(sound)


def test_a_folder_and_a_missing_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(BadMedia, match="cannot be read"):
        facts_of(tmp_path)
    with pytest.raises(NotFound, match="there is no such file"):
        facts_of(tmp_path / "gone.mp4")


def probed_or_refused(data: bytes) -> None:
    """Fail on any exception but a `BadMedia` that names the file."""
    try:
        facts = probe(BytesReader(data), "clip.mp4")
    except BadMedia as exc:
        refusal = exc.message
    else:
        refusal = "read clip.mp4: " if facts.width_px >= 1 else ""
    assert refusal.startswith("read clip.mp4: ")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(st.lists(st.tuples(st.integers(0, 2**32), st.integers(1, 255)), min_size=1, max_size=6))
def test_flipped_bits_are_refused_or_harmless(clip: ClipMaker, flips: list[tuple[int, int]]) -> None:
    data = bytearray(clip(FAST).read_bytes())
    index_bytes = bytes(data).index(b"mdat")
    for where, mask in flips:
        data[where % index_bytes] ^= mask

    probed_or_refused(bytes(data))


@pytest.mark.parametrize("word", [0, 1, 7, 0x7FFFFFFF, 0xFFFFFFFF])
def test_every_number_of_the_index_may_be_wrong(clip: ClipMaker, word: int) -> None:
    data = clip(FAST).read_bytes()

    for at in range(32, data.index(b"mdat") - 4, 4):
        probed_or_refused(data[:at] + word.to_bytes(4, "big") + data[at + 4 :])


@pytest.mark.parametrize("spec", [FAST, ClipSpec(1)])
def test_a_file_may_end_anywhere(clip: ClipMaker, spec: ClipSpec) -> None:
    data = clip(spec).read_bytes()

    for end in range(0, len(data), 53):
        with pytest.raises(BadMedia):
            probe(BytesReader(data[:end]), "clip.mp4")


@pytest.mark.parametrize("suffix", [".mkv", ".ts", ".avi", ".flv", ".mp4"])
def test_damage_in_other_containers_is_refused_or_harmless(clip: ClipMaker, tmp_path: Path, suffix: str) -> None:
    fragmented = ("-movflags", "frag_keyframe+empty_moov") if suffix == ".mp4" else ()
    data = remuxed(clip(ClipSpec(1)), tmp_path / f"clip{suffix}", *fragmented).read_bytes()

    for at in range(0, min(len(data), 3000), 61):
        probed_or_refused(data[:at] + bytes([data[at] ^ 0xFF, 0xFF, 0]) + data[at + 3 :])
    for end in range(1, len(data), len(data) // 12):
        probed_or_refused(data[:end])


@given(st.binary(max_size=2000))
def test_any_bytes_behind_a_good_start_are_refused(tail: bytes) -> None:
    with pytest.raises(BadMedia):
        probe(BytesReader(b"\0\0\0\x10ftypisom\0\0\2\0" + tail), "clip.mp4")


def test_probing_an_mp4_loads_no_heavy_library(clip: ClipMaker) -> None:
    """Start-up is most of what a probe costs."""
    code = (
        "import sys, media.splice, media.probe, media.write; from pathlib import Path;"
        "from media.reader import FileReader;"
        f"media.probe.probe(FileReader(Path({str(clip(ClipSpec(1)))!r})), 'clip');"
        "print([m for m in ('av', 'numpy', 'PIL') if m in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
