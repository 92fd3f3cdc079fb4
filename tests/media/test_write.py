"""Real clips joined on disk and watched again, frame by frame and beep by beep."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from array import array
from itertools import accumulate, pairwise
from pathlib import Path

import pytest

from events.errors import BadMedia, LimitExceeded, NotFound, StitchFailed
from media import copying, new_file
from media.reader import FileReader
from media.splice import Layout, Sound, Source, splice
from media.verify import read_back
from media.write import ClipFile, splice_files
from tests.media.clips import (
    BEEP_AT,
    FFMPEG,
    ClipSpec,
    Tone,
    beep_onset,
    decode_sound,
    expected_frames,
    read_frames,
    rms,
    run_ffmpeg,
)
from tests.media.conftest import ClipMaker

X264 = ("-c:v", "libx264", "-preset", "veryfast", "-crf", "20", "-g", "12", "-pix_fmt", "yuv420p")
SOUNDS = list(Sound)


def film_of(specs: list[ClipSpec], clip: ClipMaker, folder: Path, sound: Sound = Sound.SMART) -> Path:
    output = folder / "film.mp4"
    splice_files([clip(spec) for spec in specs], output, sound=sound)
    return output


def decodes_cleanly(path: Path) -> None:
    """Fail on the first complaint of any decoder."""
    done = subprocess.run(
        [FFMPEG, "-v", "warning", "-xerror", "-i", str(path), "-f", "null", "-"],
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("sound", SOUNDS)
def test_every_frame_of_every_clip_is_in_the_film_once_and_in_order(
    clip: ClipMaker, tmp_path: Path, sound: Sound
) -> None:
    specs = [ClipSpec(1), ClipSpec(2, frames=31), ClipSpec(3, frames=12), ClipSpec(1)]

    film = film_of(specs, clip, tmp_path, sound)

    assert read_frames(film) == expected_frames(specs)
    decodes_cleanly(film)


def test_ffprobe_sees_the_exact_frames_and_duration(clip: ClipMaker, tmp_path: Path, ffprobe: str) -> None:
    film = film_of([ClipSpec(1), ClipSpec(2, frames=31)], clip, tmp_path)

    answer = subprocess.run(
        [ffprobe, "-v", "error", "-count_frames", "-show_streams", "-of", "json", str(film)],
        capture_output=True,
        check=True,
    )
    video, sound = json.loads(answer.stdout)["streams"]

    assert (video["nb_frames"], video["nb_read_frames"], video["r_frame_rate"]) == ("55", "55", "24/1")
    assert float(video["duration"]) == pytest.approx(55 / 24, abs=1e-6)
    assert float(sound["duration"]) == pytest.approx(55 / 24, abs=1e-3)
    assert float(video["start_time"]) == 0


def test_the_report_says_what_was_read_back(clip: ClipMaker, tmp_path: Path) -> None:
    report = splice_files([clip(ClipSpec(1)), clip(ClipSpec(2, frames=31))], tmp_path / "film.mp4")

    assert (report.frame_count, report.duration_ms) == (55, 2292)
    assert (report.width_px, report.height_px) == (160, 96)
    assert report.size_bytes == (tmp_path / "film.mp4").stat().st_size
    assert report.sound == "smart"
    assert [(join.clip_index, join.at_ms) for join in report.joins] == [(1, 1000)]
    assert abs(report.joins[0].skew_us) < 10_667


@pytest.mark.parametrize("sound", SOUNDS)
@pytest.mark.parametrize(
    ("rate_hz", "channels"),
    [(48000, 2), (44100, 1), (48000, 6), (22050, 2)],
)
def test_sound_and_picture_stay_together_at_every_join(
    clip: ClipMaker, tmp_path: Path, sound: Sound, rate_hz: int, channels: int
) -> None:
    tone = Tone(rate_hz=rate_hz, channels=channels, kind="beep", frequency_hz=1000)
    specs = [ClipSpec(i, frames=frames, tone=tone) for i, frames in enumerate((24, 25, 29, 24, 26), start=1)]
    alone = beep_onset(decode_sound(clip(specs[0])), 0, 48000)

    output = tmp_path / "film.mp4"
    report = splice_files([clip(spec) for spec in specs], output, sound=sound)

    heard = decode_sound(output)
    starts = [round(frames * 2000) for frames in accumulate((spec.frames for spec in specs), initial=0)]
    half_packet = 512 * 1_000_000 // rate_hz
    for index in range(len(specs)):
        window = starts[index] + round(48000 * (BEEP_AT - 0.2))
        onset = beep_onset(heard, window, window + round(48000 * 0.4)) - starts[index]
        skew_us = (onset - alone) * 1_000_000 // 48000
        assert abs(skew_us) <= half_packet + 1000
        if index:
            assert skew_us == pytest.approx(report.joins[index - 1].skew_us, abs=1000)


def test_clips_of_whole_packets_have_no_skew_at_all(clip: ClipMaker, tmp_path: Path) -> None:
    # 32 frames at 24 a second are 64000 samples, 62.5 packets: two positions on the grid, a quarter off each.
    # 16 frames at 25 a second are 30720 samples: exactly 30 packets.
    specs = [ClipSpec(i, frames=16, fps="25") for i in (1, 2, 3)]

    report = splice_files([clip(spec) for spec in specs], tmp_path / "film.mp4")

    assert [join.skew_us for join in report.joins] == [0, 0]


@pytest.mark.parametrize(("rate_hz", "channels"), [(48000, 2), (44100, 1), (48000, 6)])
def test_a_smart_join_of_a_tone_neither_dips_nor_clicks(
    clip: ClipMaker, tmp_path: Path, rate_hz: int, channels: int
) -> None:
    tone = Tone(rate_hz=rate_hz, channels=channels, frequency_hz=441)
    specs = [ClipSpec(i, frames=frames, tone=tone) for i, frames in enumerate((24, 25, 29, 31), start=1)]
    alone = [decode_sound(clip(spec)) for spec in specs]

    output = tmp_path / "film.mp4"
    joins = splice_files([clip(spec) for spec in specs], output).joins

    heard = decode_sound(output)
    steepest = steepest_step(heard, 12000, 36000)
    starts = [frames * 2000 for frames in accumulate((spec.frames for spec in specs), initial=0)]
    for index in range(1, len(specs)):
        for offset in range(-4800, 4800, 120):
            which = index - 1 if offset < 0 else index
            # The skew of the first clip is not in the report; it is the same for all its windows, and small.
            skew = round(joins[which - 1].skew_us * 48 / 1000) if which else 0
            here = starts[index] + offset - starts[which] - skew
            # 10 ms each. Two tones of any phase meet in the 5 ms fade, so that it may be some dB louder or softer.
            tolerance = 0.5 if -1000 < offset < 600 else 0.1
            level = rms(heard, starts[index] + offset, starts[index] + offset + 480)
            assert level == pytest.approx(rms(alone[which], here, here + 480), rel=tolerance), (index, offset)
        assert steepest_step(heard, starts[index] - 4800, starts[index] + 4800) < 2 * steepest


def steepest_step(samples: array[float], start: int, end: int) -> float:
    """Give the largest difference of two samples that follow each other: a click is steeper than any tone."""
    return max(abs(a - b) for a, b in pairwise(samples[start:end]))


@pytest.mark.parametrize(
    "encoder",
    [("-c:a", "libmp3lame", "-b:a", "128k"), ("-c:a", "libopus", "-b:a", "96k"), ("-c:a", "ac3", "-b:a", "192k")],
)
def test_sound_that_cannot_be_made_anew_is_joined_on_the_grid(
    clip: ClipMaker, tmp_path: Path, encoder: tuple[str, ...]
) -> None:
    tone = Tone(kind="beep", frequency_hz=1000, encoder=encoder)
    specs = [ClipSpec(i, tone=tone) for i in (1, 2, 3)]
    alone = beep_onset(decode_sound(clip(specs[0])), 0, 48000)

    report = splice_files([clip(spec) for spec in specs], tmp_path / "film.mp4")

    heard = decode_sound(tmp_path / "film.mp4")
    assert report.sound == "grid"
    for index in range(3):
        onset = beep_onset(heard, index * 48000 + 12000, index * 48000 + 36000) - index * 48000
        assert abs(onset - alone) <= 800


def test_silent_clips_make_a_film_without_sound(clip: ClipMaker, tmp_path: Path) -> None:
    specs = [ClipSpec(i, tone=None) for i in (1, 2)]

    report = splice_files([clip(spec) for spec in specs], tmp_path / "film.mp4")

    assert report.sound == "none"
    assert read_frames(tmp_path / "film.mp4") == expected_frames(specs)


def test_clips_with_different_clocks_are_joined_without_drift(clip: ClipMaker, tmp_path: Path) -> None:
    specs = [
        ClipSpec(1),
        ClipSpec(2, muxer=("-video_track_timescale", "90000")),
        ClipSpec(3, muxer=("-video_track_timescale", "48")),
        ClipSpec(4, muxer=("-video_track_timescale", "24000", "-movflags", "+faststart")),
        ClipSpec(5, muxer=("-video_track_timescale", "1000")),
    ]

    film = film_of(specs, clip, tmp_path)

    assert read_frames(film) == expected_frames(specs)
    with FileReader(film) as reader:
        assert read_back(reader, 120).duration_ms == 5000


def test_clips_of_other_parameter_sets_share_a_film_when_their_ids_differ(clip: ClipMaker, tmp_path: Path) -> None:
    odd = (
        *X264[:-4],
        "-g",
        "12",
        "-pix_fmt",
        "yuv420p",
        "-refs",
        "1",
        "-x264-params",
        "sps-id=5:bframes=3:weightp=0:cabac=0",
    )
    specs = [ClipSpec(1), ClipSpec(2, video=odd), ClipSpec(3)]

    film = film_of(specs, clip, tmp_path)

    assert read_frames(film) == expected_frames(specs)
    decodes_cleanly(film)


def test_hevc_clips_are_joined(clip: ClipMaker, tmp_path: Path) -> None:
    hevc = ("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none:bframes=2", "-tag:v", "hvc1")
    specs = [ClipSpec(i, video=hevc) for i in (1, 2)]

    assert read_frames(film_of(specs, clip, tmp_path)) == expected_frames(specs)


@pytest.mark.parametrize("flags", ["+faststart", "+negative_cts_offsets"])
def test_other_ways_to_write_the_same_clip_join_as_well(clip: ClipMaker, tmp_path: Path, flags: str) -> None:
    specs = [ClipSpec(1, muxer=("-movflags", flags)), ClipSpec(2), ClipSpec(3, suffix=".mov")]

    assert read_frames(film_of(specs, clip, tmp_path)) == expected_frames(specs)


@pytest.mark.parametrize("sound", SOUNDS)
def test_a_header_with_the_whole_clips_behind_it_is_the_film(clip: ClipMaker, tmp_path: Path, sound: Sound) -> None:
    """What an object store composes: no media byte is read or moved."""
    specs = [ClipSpec(1), ClipSpec(2, frames=31), ClipSpec(3)]
    files = [ClipFile(clip(spec)) for spec in specs]

    film = splice([Source(file.movie, file) for file in files], sound, layout=Layout.WHOLE_FILES)
    output = tmp_path / "film.mp4"
    output.write_bytes(film.header + film.extra + b"".join(file.path.read_bytes() for file in files))

    assert read_frames(output) == expected_frames(specs)
    decodes_cleanly(output)
    assert read_back(output, 79, splice=film).joins == film.joins
    assert len(film.header) + len(film.extra) < 8000


def test_both_layouts_sound_the_same(clip: ClipMaker, tmp_path: Path) -> None:
    specs = [ClipSpec(1), ClipSpec(2, frames=31)]
    files = [ClipFile(clip(spec)) for spec in specs]

    film = splice([Source(file.movie, file) for file in files], layout=Layout.WHOLE_FILES)
    composed = tmp_path / "composed.mp4"
    composed.write_bytes(film.header + film.extra + b"".join(file.path.read_bytes() for file in files))

    assert decode_sound(composed) == decode_sound(film_of(specs, clip, tmp_path))


def test_badly_interleaved_clips_are_interleaved_in_the_film(clip: ClipMaker, tmp_path: Path) -> None:
    """A clip that holds all its picture before all its sound could not be played while it loads."""
    spec = ClipSpec(1, frames=72)
    bad = tmp_path / "bad.mp4"
    run_ffmpeg(["-i", str(clip(spec)), "-c", "copy", "-max_interleave_delta", "0", "-frag_duration", "0", str(bad)])
    separated = ClipFile(bad).movie
    assert separated.sound is not None

    output = tmp_path / "film.mp4"
    splice_files([bad, clip(ClipSpec(2))], output)

    movie = ClipFile(output).movie
    assert movie.sound is not None
    first_sound, last_picture = movie.sound.chunk_offsets[0], movie.video.chunk_offsets[-1]
    assert first_sound < last_picture
    assert read_frames(output) == expected_frames([spec, ClipSpec(2)])


def test_sound_a_little_shorter_than_the_picture_is_filled_with_silence(clip: ClipMaker, tmp_path: Path) -> None:
    tone = Tone(longer=-0.045)
    specs = [ClipSpec(i, tone=tone) for i in (1, 2)]

    heard = decode_sound(film_of(specs, clip, tmp_path, Sound.GRID))

    assert len(heard) == pytest.approx(96000, abs=1024)
    assert rms(heard, 47400, 47900) < 0.2 * rms(heard, 12000, 36000)


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (ClipSpec(2, fps="30"), "frameRate: 30/1 instead of 24/1"),
        (ClipSpec(2, size=(176, 96)), "size: 176x96 instead of 160x96"),
        (ClipSpec(2, tone=None), "sound: none instead of AAC-LC 48000 Hz 2 ch"),
        (ClipSpec(2, tone=Tone(rate_hz=44100)), "sound: AAC-LC 44100 Hz 2 ch instead of AAC-LC 48000 Hz 2 ch"),
        (ClipSpec(2, tone=Tone(channels=1)), "sound: AAC-LC 48000 Hz 1 ch instead of"),
        (ClipSpec(2, video=(*X264, "-bf", "0")), "reorder: 0 frames instead of 2 frames"),
        (ClipSpec(2, tone=Tone(late=0.3)), "its sound starts 279 ms late"),
        (ClipSpec(2, tone=Tone(longer=0.5)), "its sound is 5"),
        (ClipSpec(2, tone=Tone(encoder=("-c:a", "libmp3lame"))), "sound: mp3 48000 Hz 2 ch instead of AAC-LC"),
    ],
)
def test_a_clip_that_does_not_conform_is_refused_by_name_and_reason(
    clip: ClipMaker, tmp_path: Path, other: ClipSpec, reason: str
) -> None:
    paths = [clip(ClipSpec(1)), clip(other)]

    with pytest.raises(StitchFailed) as caught:
        splice_files(paths, tmp_path / "film.mp4")

    assert f"join clip 2 ({paths[1]})" in caught.value.message
    assert reason in caught.value.message
    assert list(tmp_path.iterdir()) == []


def test_a_truncated_clip_stops_the_stitch_and_leaves_nothing(clip: ClipMaker, tmp_path: Path) -> None:
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(clip(ClipSpec(1, muxer=("-movflags", "+faststart"))).read_bytes()[:-500])

    with pytest.raises(BadMedia, match="truncated"):
        splice_files([clip(ClipSpec(1)), cut], tmp_path / "film.mp4")

    assert list(tmp_path.iterdir()) == [cut]


def test_a_full_disk_is_refused_beforehand_with_the_numbers(
    clip: ClipMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(new_file, "_free_bytes", lambda output: 1000)

    with pytest.raises(LimitExceeded, match=r"needs \d+ bytes, but the disk has 1000 free"):
        splice_files([clip(ClipSpec(1))], tmp_path / "film.mp4")

    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has /dev/full, a disk that is always full")
def test_a_disk_that_fills_up_on_the_way_leaves_nothing(clip: ClipMaker, tmp_path: Path) -> None:
    """`/dev/full` is a disk that is always full: every write to it fails as on a real one."""
    film = tmp_path / "film.mp4"

    with (
        Path("/dev/full").open("wb", buffering=0) as full,
        pytest.raises(LimitExceeded, match="became full"),
        new_file.new_file(film, 10),
    ):
        copying.write_all(full.fileno(), b"x")

    assert list(tmp_path.iterdir()) == []


def test_a_failure_leaves_the_old_film_as_it_was(clip: ClipMaker, tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    film.write_bytes(b"old")

    with pytest.raises(StitchFailed):
        splice_files([clip(ClipSpec(1)), clip(ClipSpec(2, fps="30"))], film)

    assert film.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [film]


def test_a_success_replaces_the_old_film(clip: ClipMaker, tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    film.write_bytes(b"old")

    splice_files([clip(ClipSpec(1))], film)

    assert read_frames(film) == expected_frames([ClipSpec(1)])
    assert list(tmp_path.iterdir()) == [film]


def test_a_film_is_not_written_over_one_of_its_clips(clip: ClipMaker, tmp_path: Path) -> None:
    mine = tmp_path / "clip.mp4"
    shutil.copy(clip(ClipSpec(1)), mine)

    with pytest.raises(StitchFailed, match="one of the clips"):
        splice_files([mine, clip(ClipSpec(2))], mine)


def test_a_folder_that_does_not_exist_is_named(clip: ClipMaker, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="there is no folder"):
        splice_files([clip(ClipSpec(1))], tmp_path / "nowhere" / "film.mp4")


def test_a_clip_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"gone\.mp4"):
        splice_files([tmp_path / "gone.mp4"], tmp_path / "film.mp4")


def test_a_clip_that_changes_while_it_is_joined_is_noticed(clip: ClipMaker, tmp_path: Path) -> None:
    mine = tmp_path / "clip.mp4"
    shutil.copy(clip(ClipSpec(1)), mine)
    file = ClipFile(mine)

    mine.write_bytes(mine.read_bytes() + b"more")

    with pytest.raises(StitchFailed, match="changed meanwhile"):
        file.read(0, 1)


def test_progress_ends_with_the_whole_film(clip: ClipMaker, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []

    report = splice_files(
        [clip(ClipSpec(1)), clip(ClipSpec(2))],
        tmp_path / "film.mp4",
        progress=lambda done, total: told.append((done, total)),
    )

    assert told[-1] == (report.size_bytes, report.size_bytes)
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_the_file_gets_the_usual_permissions(clip: ClipMaker, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.touch()

    splice_files([clip(ClipSpec(1))], tmp_path / "film.mp4")

    assert (tmp_path / "film.mp4").stat().st_mode == plain.stat().st_mode


@pytest.mark.parametrize("missing", [("copy_file_range",), ("copy_file_range", "sendfile")])
def test_copying_works_where_the_kernel_cannot_do_it_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: tuple[str, ...]
) -> None:
    def unsupported(*_: object) -> int:
        raise OSError(errno.EXDEV, "not between these files")

    for name in missing:
        monkeypatch.setattr(os, name, unsupported)
    source = tmp_path / "source"
    source.write_bytes(bytes(range(256)) * 10)
    told: list[int] = []

    with source.open("rb") as taken, (tmp_path / "target").open("wb") as target:
        count = copying.Copier(target.fileno()).copy(taken.fileno(), 5, 2000, told.append)

    assert count == sum(told) == 2000
    assert (tmp_path / "target").read_bytes() == (bytes(range(256)) * 10)[5:2005]


def test_copying_says_how_much_there_was(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"abc")

    with source.open("rb") as taken, (tmp_path / "target").open("wb") as target:
        assert copying.Copier(target.fileno()).copy(taken.fileno(), 1, 100, lambda count: None) == 2


def test_a_splice_loads_nothing_that_builds_messages_or_calculates_with_arrays(clip: ClipMaker, tmp_path: Path) -> None:
    # Each takes longer to load than the film takes to be written.
    code = (
        "import sys; from pathlib import Path; from media.clip_file import ClipFile; from media.splice import Sound; "
        "from media.write import FilmPart, write_film; film, *clips = map(Path, sys.argv[1:]); "
        "write_film([FilmPart(ClipFile(path)) for path in clips], film, sound=Sound.GRID); print(*sys.modules)"
    )
    paths = [tmp_path / "film.mp4", clip(ClipSpec(1)), clip(ClipSpec(2))]

    done = subprocess.run([sys.executable, "-c", code, *paths], capture_output=True, text=True, check=True)

    assert {"av"} <= set(done.stdout.split())
    assert not {"pydantic", "numpy", "PIL"} & set(done.stdout.split())
