"""The work of a Transcoder job, done for real: inputs out of Cloud Storage, joined by FFmpeg, the film back into it."""

from __future__ import annotations

import math
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction
from pathlib import Path

import imageio_ffmpeg
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage
from google.cloud.exceptions import NotFound
from google.cloud.video.transcoder_v1.types import EditAtom, Input, JobConfig, VideoStream

from events.clip import ClipFacts
from events.errors import BadMedia
from events.names import parse_uri
from media.probe import probe
from media.reader import FileReader

#: google.rpc.Code.
INVALID_ARGUMENT, NOT_FOUND, INTERNAL = 3, 5, 13

INPUT_MIN_MS = 5_000


class JobFailed(Exception):
    """The job ends with this `google.rpc.Status`."""

    def __init__(self, code: int, message: str, reason: str = "InvalidInput", details: str = "") -> None:
        super().__init__(message)
        info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason}
        metadata = {"metadata": {"details": details}} if details else {}
        domain = {"domain": "transcoder.googleapis.com"}
        self.status = {"code": code, "message": message, "details": [info | domain | metadata]}


@dataclass(frozen=True)
class Source:
    """One input, as it lies here."""

    path: Path
    facts: ClipFacts


@contextmanager
def made(config: JobConfig) -> Iterator[Path]:
    """Make the film of a job in a folder that is gone afterwards.

    Raises:
        JobFailed: the first thing that is wrong.
    """
    with tempfile.TemporaryDirectory(prefix="transcoder-") as folder:
        sources = _fetch(config, Path(folder))
        _check(config, sources)
        film = Path(folder) / "film.mp4"
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", "-y", *_arguments(config, sources)]
        done = subprocess.run([*command, str(film)], capture_output=True, check=False)
        if done.returncode:
            raise JobFailed(INTERNAL, "Internal error", "Internal", done.stderr.decode(errors="replace"))
        yield film


def store(config: JobConfig, film: Path) -> None:
    """Write the film where the job wants it."""
    (mux,) = config.mux_streams
    place = parse_uri(config.output.uri + (mux.file_name or f"{mux.key}.mp4"))
    with closing(_storage()) as client:
        client.bucket(place.bucket).blob(place.name).upload_from_filename(film, content_type="video/mp4")


def _storage() -> storage.Client:
    # Read by the client itself: STORAGE_EMULATOR_HOST.
    return storage.Client(project="transcoder", credentials=AnonymousCredentials())


def _fetch(config: JobConfig, folder: Path) -> dict[str, Source]:
    sources = {}
    with closing(_storage()) as client:
        for source in config.inputs:
            place, path = parse_uri(source.uri), folder / f"{source.key}.input"
            try:
                client.bucket(place.bucket).blob(place.name).download_to_filename(path)
            except NotFound as exc:
                raise JobFailed(NOT_FOUND, f"Input file {source.uri} was not found.") from exc
            sources[source.key] = Source(path, _facts(source, path))
    return sources


def _facts(source: Input, path: Path) -> ClipFacts:
    try:
        with FileReader(path) as reader:
            facts = probe(reader, source.uri)
    except BadMedia as exc:
        raise JobFailed(INVALID_ARGUMENT, f"Input file {source.uri} cannot be read.") from exc
    if facts.duration_ms < INPUT_MIN_MS:
        raise JobFailed(INVALID_ARGUMENT, f"Input file {source.uri} must be at least 5 seconds in duration.")
    return facts


def _check(config: JobConfig, sources: dict[str, Source]) -> None:
    sounding = any("audio_stream" in stream for stream in config.elementary_streams)
    for atom in config.edit_list:
        facts = sources[atom.inputs[0]].facts
        if sounding and facts.audio_codec is None:
            text = f"Atom {atom.key} references input {atom.inputs[0]}, which has no audio track."
            raise JobFailed(INVALID_ARGUMENT, text)
        if "end_time_offset" in atom and _milliseconds(atom.end_time_offset) > facts.duration_ms:
            text = f"Atom {atom.key} ends behind the end of input {atom.inputs[0]}."
            raise JobFailed(INVALID_ARGUMENT, text)


def _arguments(config: JobConfig, sources: dict[str, Source]) -> list[str]:
    inputs = {source.key: source for source in config.inputs}
    picture = next(s.video_stream.h264 for s in config.elementary_streams if "video_stream" in s)
    sounds = [s.audio_stream for s in config.elementary_streams if "audio_stream" in s]
    rate = _frame_rate(picture, sources[config.edit_list[0].inputs[0]].facts)
    files, chains, labels = [], [], ""
    for number, atom in enumerate(config.edit_list):
        source = sources[atom.inputs[0]]
        files += ["-i", str(source.path)]
        shown = _shown(atom, source)
        chains.append(f"[{number}:v]{_picture(inputs[atom.inputs[0]], picture, rate, shown)}[v{number}]")
        labels += f"[v{number}]"
        if sounds:
            chains.append(f"[{number}:a]aresample=48000:async=1:first_pts=0,aformat=channel_layouts=stereo,")
            chains[-1] += f"apad,atrim=end={shown},asetpts=PTS-STARTPTS[a{number}]"
            labels += f"[a{number}]"
    outputs = "[v][a]" if sounds else "[v]"
    chains.append(f"{labels}concat=n={len(config.edit_list)}:v=1:a={len(sounds)}{outputs}")
    coded = ["-c:v", "libx264", "-preset", picture.preset or "veryfast", "-b:v", str(picture.bitrate_bps)]
    coded += ["-pix_fmt", "yuv420p", "-bf", str(picture.b_frame_count), "-threads", "1", "-r", str(rate)]
    mapped = ["-map", "[v]"]
    if sounds:
        mapped += ["-map", "[a]"]
        coded += ["-c:a", "aac", "-b:a", str(sounds[0].bitrate_bps), "-ar", "48000", "-ac", "2"]
    return [*files, "-filter_complex", ";".join(chains), *mapped, *coded]


def _picture(source: Input, picture: VideoStream.H264CodecSettings, rate: Fraction, shown: str) -> str:
    crop, pad = source.preprocessing_config.crop, source.preprocessing_config.pad
    steps = [f"fps={rate}:start_time=0", f"trim=end={shown}", "setpts=PTS-STARTPTS"]
    if crop:
        steps.append(
            f"crop=iw-{crop.left_pixels + crop.right_pixels}:ih-{crop.top_pixels + crop.bottom_pixels}"
            f":{crop.left_pixels}:{crop.top_pixels}"
        )
    if pad:
        steps.append(
            f"pad=iw+{pad.left_pixels + pad.right_pixels}:ih+{pad.top_pixels + pad.bottom_pixels}"
            f":{pad.left_pixels}:{pad.top_pixels}:color=black"
        )
    return ",".join([*steps, f"scale={picture.width_pixels}:{picture.height_pixels}", "setsar=1"])


def _frame_rate(picture: VideoStream.H264CodecSettings, first: ClipFacts) -> Fraction:
    """Give the film's rate; by default frames are only left out, every n-th is kept."""
    wanted = Fraction(picture.frame_rate).limit_denominator(1001)
    strategy = VideoStream.FrameRateConversionStrategy.DROP_DUPLICATE
    if picture.frame_rate_conversion_strategy == strategy or first.frame_rate is None:
        return wanted
    own = Fraction(first.frame_rate)
    return own / math.ceil(own / wanted)


def _shown(atom: EditAtom, source: Source) -> str:
    ends = "end_time_offset" in atom
    return f"{_milliseconds(atom.end_time_offset) if ends else source.facts.duration_ms}ms"


def _milliseconds(length: timedelta) -> int:
    return length // timedelta(milliseconds=1)
