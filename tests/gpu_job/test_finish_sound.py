"""Loudness and music of real films, measured by FFmpeg's own R 128 meter and by ear: levels of single tones."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import av
import imageio_ffmpeg
import numpy as np
import pytest

from events.errors import StitchFailed
from events.plan import Loudness, StitchPlan
from media.loudness import TARGET_LUFS, TOLERANCE_LU
from tests.gpu_job.bench import Bench, run
from tests.gpu_job.film_reading import sound, video_packets

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
MUSIC_URI = "gs://clips-a/music/bed.mp3"
#: A tone that nobody's voice is mistaken for.
MUSIC_HZ = 3000
Voice = Callable[[int, str], Path]


@pytest.fixture(scope="session")
def voice(make_clip: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Voice:
    """Give a function that makes a clip of two seconds with a sound given as a formula of t."""
    folder = tmp_path_factory.mktemp("voices")

    def make(number: int, formula: str) -> Path:
        output = folder / f"{number}-{abs(hash(formula))}.mp4"
        if not output.exists():
            tone = ["-f", "lavfi", "-i", f"aevalsrc='{formula}|{formula}':s=48000:d=2"]
            copied = ["-map", "0:v", "-map", "1:a", "-c:v", "copy", "-c:a", "aac", "-b:a", "128k"]
            run(FFMPEG, "-i", str(make_clip(number, frames=48)), *tone, *copied, str(output))
        return output

    return make


def music(path: Path, amplitude: float = 0.3, seconds: float = 1.5) -> bytes:
    """Give a piece of music that is shorter than any film here."""
    tone = f"aevalsrc='{amplitude}*sin(2*PI*{MUSIC_HZ}*t)':s=44100:d={seconds}"
    run(FFMPEG, "-f", "lavfi", "-i", tone, "-c:a", "libmp3lame", "-b:a", "128k", str(path))
    return path.read_bytes()


def with_music(bench: Bench, plan: StitchPlan, data: bytes | None = None) -> StitchPlan:
    bench.store.write(MUSIC_URI, music(bench.folder / "bed.mp3") if data is None else data)
    return plan.model_copy(update={"music": MUSIC_URI})


def lufs(film: Path) -> tuple[float, float]:
    """Measure integrated loudness and true peak with another of FFmpeg's meters."""
    command = [FFMPEG, "-nostdin", "-hide_banner", "-i", str(film), "-af", "ebur128=peak=true", "-f", "null", "-"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    summary = said[said.rindex("Summary:") :]
    loudness, peak = re.search(r"I:\s+(\S+) LUFS", summary), re.search(r"Peak:\s+(\S+) dBFS", summary)
    assert loudness is not None
    assert peak is not None
    return float(loudness[1]), float(peak[1])


def level_db(film: Path, hertz: int, start: float, end: float) -> float:
    """Give how loud one tone is in a stretch of a film, in decibels of full scale."""
    rate, samples = sound(film)
    part = samples[0][int(start * rate) : int(end * rate)]
    turns = np.exp(-2j * np.pi * hertz * np.arange(len(part)) / rate)
    return float(20 * np.log10(2 * abs(np.mean(part * turns)) + 1e-9))


QUIET = "0.03*sin(2*PI*440*t)"
LOUD = "0.5*sin(2*PI*500*t)"
#: Speech-like: half a second of sound, half a second of pause.
WORDS = "0.2*sin(2*PI*440*t)*lt(mod(t,1),0.5)"
SPIKY = "0.03*sin(2*PI*440*t)+0.9*sin(2*PI*1000*t)*lt(mod(t,0.5),0.004)"


@pytest.mark.parametrize("formula", [QUIET, LOUD, WORDS, SPIKY])
def test_a_film_comes_out_as_loud_as_others_whatever_it_was(formula: str, bench: Bench, voice: Voice) -> None:
    clips = [voice(1, formula), voice(2, formula)]

    report = bench.stitch(bench.plan(*clips, loudness=Loudness.R128))

    loudness, peak = lufs(bench.film)
    assert loudness == pytest.approx(TARGET_LUFS, abs=TOLERANCE_LU)
    assert peak <= -1.0
    assert report.loudness_centi_lufs == pytest.approx(100 * loudness, abs=20)
    assert report.true_peak_centi_db == pytest.approx(100 * peak, abs=60)
    assert report.warnings == []


def test_one_gain_is_used_for_the_whole_film_so_that_clips_keep_their_levels(bench: Bench, voice: Voice) -> None:
    bench.stitch(bench.plan(voice(1, QUIET), voice(2, LOUD), loudness=Loudness.R128))

    # 440 Hz at 0.03 and 500 Hz at 0.5 are 24.4 dB apart, before and after.
    step = level_db(bench.film, 500, 2.3, 3.7) - level_db(bench.film, 440, 0.3, 1.7)
    assert step == pytest.approx(24.4, abs=0.3)


def test_picture_chapters_and_report_of_the_film_stay_as_they_are(bench: Bench, voice: Voice) -> None:
    clips = [voice(1, QUIET), voice(2, QUIET), voice(3, QUIET)]
    plain = bench.stitch(bench.plan(*clips))
    pictures = video_packets(bench.film)
    bench.film.unlink()

    report = bench.stitch(bench.plan(*clips, loudness=Loudness.R128))

    assert video_packets(bench.film) == pictures
    assert (report.frame_count, report.duration_ms) == (plain.frame_count, plain.duration_ms)
    assert [join.at_ms for join in report.joins] == [2000, 4000]
    assert report.sound == "encoded"
    assert report.size_bytes == bench.film.stat().st_size
    with av.open(str(bench.film)) as film:
        assert [float(chapter["start"] * (chapter["time_base"] or 0)) for chapter in film.chapters()] == [0, 2, 4]
        assert film.streams.audio[0].duration is not None
        assert film.metadata["comment"].startswith("Made by Longreel")


@pytest.mark.parametrize("formula", [WORDS, SPIKY])
def test_sound_stays_in_time_with_its_picture(formula: str, bench: Bench, voice: Voice) -> None:
    clips = [voice(1, formula), voice(2, formula)]
    bench.stitch(bench.plan(*clips))
    _, before = sound(bench.film)
    bench.film.unlink()

    bench.stitch(bench.plan(*clips, loudness=Loudness.R128))

    _, after = sound(bench.film)
    length = min(before.shape[1], after.shape[1])
    one, other = before[0][:length] ** 2, after[0][:length] ** 2
    product = np.fft.irfft(np.fft.rfft(one).conj() * np.fft.rfft(other))
    late = int(np.argmax(product))
    # In samples of 48 kHz; far less than a packet of 1024.
    assert min(late, length - late) <= 48


def test_music_lies_under_the_clips_and_makes_room_for_them(bench: Bench, voice: Voice) -> None:
    clips = [voice(1, WORDS), voice(2, "0*t"), voice(3, WORDS)]
    bench.stitch(bench.plan(*clips))
    own, _ = lufs(bench.film)
    bench.film.unlink()

    report = bench.stitch(with_music(bench, bench.plan(*clips, music_db=-12)))

    in_pause = level_db(bench.film, MUSIC_HZ, 3.4, 3.9)
    in_words = level_db(bench.film, MUSIC_HZ, 1.2, 1.45)
    # R 128 hears a tone of 3 kHz on both channels 2.6 dB louder than its amplitude says.
    assert in_pause == pytest.approx(own - 12 - 2.6, abs=1)
    assert in_words == pytest.approx(in_pause - 9, abs=2)
    assert level_db(bench.film, 440, 0.1, 0.4) == pytest.approx(-14, abs=1)
    assert report.loudness_centi_lufs is not None


def test_music_begins_again_until_the_film_ends_and_fades_out(bench: Bench, voice: Voice) -> None:
    silent = "0*t"
    plan = bench.plan(voice(1, silent), voice(2, silent), voice(3, silent), loudness=Loudness.R128)

    bench.stitch(with_music(bench, plan))

    levels = [level_db(bench.film, MUSIC_HZ, at, at + 0.2) for at in (0.5, 1.8, 3.3, 4.2)]
    assert max(levels) - min(levels) < 1.5
    assert level_db(bench.film, MUSIC_HZ, 5.8, 5.98) < levels[0] - 15


def test_music_alone_is_the_sound_of_clips_that_have_none(bench: Bench, make_clip: Callable[..., Path]) -> None:
    clips = [make_clip(number, frames=48, sound=None) for number in (1, 2)]

    report = bench.stitch(with_music(bench, bench.plan(*clips, loudness=Loudness.R128)))

    assert lufs(bench.film)[0] == pytest.approx(TARGET_LUFS, abs=TOLERANCE_LU)
    assert report.frame_count == 96


def test_a_film_without_any_sound_is_left_as_it_is_and_says_so(bench: Bench, make_clip: Callable[..., Path]) -> None:
    report = bench.stitch(bench.plan(make_clip(1, sound=None), make_clip(2, sound=None), loudness=Loudness.R128))

    assert report.sound == "none"
    assert report.warnings == ["The film has no sound that could be made as loud as others."]


def test_a_silent_film_is_not_made_of_noise(bench: Bench, voice: Voice) -> None:
    report = bench.stitch(bench.plan(voice(1, "0*t"), voice(2, "0*t"), loudness=Loudness.R128))

    assert report.loudness_centi_lufs is None
    assert report.warnings == ["The film is silent, so its loudness was left as it is."]


def test_music_that_is_not_there_is_named(bench: Bench, voice: Voice) -> None:
    plan = bench.plan(voice(1, QUIET), voice(2, QUIET), music=MUSIC_URI)

    with pytest.raises(StitchFailed, match=r"bed\.mp3 under the film: there is no such object") as failed:
        bench.stitch(plan)

    assert failed.value.code == "music_missing"


@pytest.mark.parametrize(
    "data",
    [
        b"These are only words, and no music at all. " * 40,
        b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n",
        b"ffconcat version 1.0\nfile /etc/passwd\n",
        b"",
    ],
)
def test_music_that_is_none_is_refused_and_opens_nothing_else(data: bytes, bench: Bench, voice: Voice) -> None:
    plan = with_music(bench, bench.plan(voice(1, QUIET), voice(2, QUIET)), data)

    with pytest.raises(StitchFailed, match=re.escape(MUSIC_URI)) as failed:
        bench.stitch(plan)

    assert failed.value.code == "music_unusable"
    assert not failed.value.retryable
