"""The sound of the whole film: music under it, and its loudness made right. The picture is copied.

First everything is measured, then the sound is made anew by what was found, then the film is written with it, once,
and measured again. Until then the film lies nowhere: what FFmpeg hears is a file with its sound alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from events.clip import StitchReport
from events.errors import BadMedia, StitchFailed
from events.plan import Loudness, StitchPlan
from gpu_job.ffmpeg import Encoded, FFmpeg
from gpu_job.objects import Objects
from media.clip_file import AssembledClip, ClipFile
from media.film_tags import tags_of
from media.loudness import (
    GAIN_DB_MAX,
    TARGET_LUFS,
    TOLERANCE_LU,
    Gain,
    Measured,
    bed_for,
    gain_for,
    loudness_warnings,
    read_measured,
)
from media.moved_bytes import Moving
from media.music_file import music_fault
from media.reader import FileReader
from media.sound_args import (
    FilmInput,
    finish_args,
    finished_graph,
    measure_args,
    mix_graph,
    music_graph,
    own_graph,
)
from media.unwritten_film import UnwrittenFilm
from media.write import FilmPart, write_film

#: How often the gain is corrected where peaks are held down.
_TRIES_MAX = 5


class FinishedSound:
    """Makes the sound of one film.

    Args:
        plan: what is wished.
        film: where the finished film goes.
        folder: for what is made on the way.
        objects: have the music.
        ffmpeg: gives the FFmpeg to use; called only when there is something to do.
        moving: as `media.write.write_film` takes it.
        stall_seconds: how long FFmpeg may make no progress.
        on_step: hears what is at work.
    """

    def __init__(
        self,
        plan: StitchPlan,
        film: Path,
        folder: Path,
        objects: Objects,
        ffmpeg: Callable[[], FFmpeg],
        *,
        moving: Moving | None = None,
        stall_seconds: float,
        on_step: Callable[[str], None],
    ) -> None:
        self._plan = plan
        self._film = film
        self._folder = folder
        self._moving = moving
        self._objects = objects
        self._ffmpeg = ffmpeg
        self._stall_seconds = stall_seconds
        self._on_step = on_step

    def finish(self, report: StitchReport, unwritten: UnwrittenFilm) -> StitchReport:
        """Write the film with the sound that the plan wishes, and give the report of it as it is then.

        Args:
            report: what is known of the film with the sound that its clips have.
            unwritten: that film.

        Raises:
            StitchFailed: `music_missing`, `music_unusable`; or the film read back is not what it should be.
            PipelineError: FFmpeg is missing, hangs or was killed, or the disk is full.
        """
        if unwritten.movie.sound is None and self._plan.music is None:
            unwritten.write(self._film, self._moving)
            said = "The film has no sound that could be made as loud as others."
            return report.model_copy(update={"warnings": [*report.warnings, said]})
        source = FilmInput.of(self._own_sound(unwritten), unwritten.movie, self._fetched_music())
        graph = self._graph(source)
        made, heard = self._made(unwritten, source, graph)
        return report.model_copy(
            update={
                "size_bytes": made.size_bytes,
                "sound": "encoded",
                "loudness_centi_lufs": heard.centi_lufs,
                "true_peak_centi_db": heard.true_peak_centi_db,
                "warnings": [*report.warnings, *loudness_warnings(self._plan, heard)],
            }
        )

    def _own_sound(self, unwritten: UnwrittenFilm) -> Path | None:
        if unwritten.movie.sound is None:
            return None
        path = (self._folder / "own-sound.mp4").absolute()
        unwritten.write_sound(path)
        return path

    def _fetched_music(self) -> Path | None:
        uri = self._plan.music
        if uri is None:
            return None
        self._on_step("Fetching the music…")
        info = self._objects.store.stat(uri)
        if info is None:
            text = f"play {uri} under the film: there is no such object; put it there and resume the job"
            raise StitchFailed(text, code="music_missing")
        path = self._objects.fetch(uri, info.generation, self._folder).absolute()
        # It was looked at when the job was made; another file may lie there by now.
        with FileReader(path) as reader:
            if fault := music_fault(reader):
                raise self._unusable(f"it {fault}")
        return path

    def _graph(self, source: FilmInput) -> str:
        """Choose how sound and music go together; measures both."""
        if source.music is None:
            return own_graph(source)
        self._on_step("Listening to the film and its music…")
        alone = replace(source, music=None)
        film = self._measured(alone, own_graph(alone), "the film's sound") if source.has_sound else None
        try:
            music = self._measured(source, music_graph(source), f"the music {self._plan.music}")
        except BadMedia as exc:
            raise self._unusable("it cannot be decoded") from exc
        if music.is_silent:
            raise self._unusable("it is silent as long as the film goes")
        return mix_graph(source, bed_for(film, music, self._plan.music_db))

    def _unusable(self, why: str) -> StitchFailed:
        text = f"play {self._plan.music} under the film: {why}; put another file there and resume the job"
        return StitchFailed(text, code="music_unusable")

    def _best_gain(self, source: FilmInput, graph: str) -> Gain:
        """Find the gain that makes the film as loud as it should be, also where holding peaks down takes some of it."""
        self._on_step("Measuring the loudness…")
        mix = self._measured(source, graph, "the film's sound")
        gain = gain_for(mix, self._plan.loudness)
        if not gain.limits_peaks or self._plan.loudness is Loudness.KEEP:
            return gain
        for _ in range(_TRIES_MAX):
            heard = self._measured(source, finished_graph(source, graph, gain), "the film's sound")
            missing = TARGET_LUFS - heard.lufs
            if abs(missing) <= TOLERANCE_LU / 4:
                break
            gain = replace(gain, gain_db=min(GAIN_DB_MAX, gain.gain_db + missing))
        return gain

    def _made(self, unwritten: UnwrittenFilm, source: FilmInput, graph: str) -> tuple[StitchReport, Measured]:
        gain = self._best_gain(source, graph)
        self._on_step("Making the sound…")
        sound = self._folder / "sound.mp4"
        self._run(finish_args(source, graph, gain, sound.absolute()), "the film's sound")
        if source.path is not None:
            source.path.unlink()
        clip = AssembledClip([unwritten], ClipFile(sound))
        part, tags = FilmPart(clip), tags_of(self._plan)
        made = write_film([part], self._film, tags=tags, starts=unwritten.starts, moving=self._moving)
        finished = replace(source, path=self._film.absolute(), has_sound=True, music=None)
        return made.to_report(), self._measured(finished, own_graph(finished), "the finished film")

    def _measured(self, source: FilmInput, graph: str, name: str) -> Measured:
        return read_measured(self._run(measure_args(source, graph), name).complaints)

    def _run(self, args: list[str], name: str) -> Encoded:
        return self._ffmpeg().encode(args, name, on_frames=lambda _: None, stall_seconds=self._stall_seconds)
