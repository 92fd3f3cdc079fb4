"""How long a film takes on a Cloud Run job, in how many tasks, what it needs there, and what that costs: a model.

    a task's share = start + fetch + decode and encode / tasks
    the last one   = its share + fetch the pieces + render fades + splice + make the sound + look at joins + upload

Only clips that really are encoded count for encoding: `media.target.choose_target` tells which. NVENC can only make
films that are encoded whole (`encoders_for`); elsewhere a card is paid for and not used. What a fade or
the sound of the whole film takes is done by the last task alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from events.plan import Loudness, StitchPlan
from media.loudness import needs_sound_work
from media.seam_choice import FRAMES, LOOK_US_MAX
from media.size import encoded_bytes_max, sound_bytes_max
from media.target import choose_target
from media.transition import fade_frames, fade_of
from media.treatment import Treatment
from media.video_encoders import encoders_for, keyframe_interval
from pipeline.prices import job_second_micro_usd

#: From the order to the first line of Python, without a card: an estimate, to be measured.
START_SECONDS = 15
#: More with a card: 5 s for the driver (Google's GPU documentation), the rest for the larger image: an estimate.
CARD_START_SECONDS = 15
#: Cloud Storage to the container and back, in the same region: estimates, to be measured.
FETCH_BYTES_PER_SECOND = 100_000_000
UPLOAD_BYTES_PER_SECOND = 50_000_000
#: Each object's own round trips: an estimate.
OBJECT_SECONDS = 0.2
#: Joining and reading the film back: `make bench` needs 0.9 s of a slow core for 110 MB.
SPLICE_BYTES_PER_SECOND = 100_000_000
#: Starting FFmpeg, and its first frames: an estimate.
CLIP_SECONDS = 0.5
#: libx264 with its decoding and filters, for a vCPU: measured on two slow cores with noisy 1280x720 pictures, 4,320
#: frames in 291 s at `veryfast` and in 639 s at `medium`.
X264_PIXELS_PER_SECOND = {"veryfast": 6_800_000, "medium": 3_100_000}
#: Decoding and scaling alone, for a vCPU: an estimate, to be measured. All that is left to do beside a card.
DECODE_PIXELS_PER_SECOND = 30_000_000
#: NVENC on an L4 at preset p5, one stream: an estimate from 1080p at 200 frames a second, to be measured.
NVENC_PIXELS_PER_SECOND = 400_000_000
#: Encoding or measuring sound: so many times faster than it plays, on one processor; an estimate.
SOUND_SPEED = 50
#: How often the sound of the whole film is gone through: measured, made, measured again; where it is made as loud as
#: others, peaks are held down by trial; music is listened to as well.
SOUND_PASSES, LOUDNESS_PASSES, MUSIC_PASSES = 3, 3, 2
#: How long a group of pictures may be of which nothing is known: Veo makes 8 s in one. A fade renders what is left of
#: the group behind it, and before a cut within one the group is decoded.
GROUP_SECONDS = 8
#: What one core decodes in a second to look at a join, where nothing is done with most of it: pixels, and bytes, which
#: take most of the time; each join takes as long again to compare and to listen to. The same as `media/seam_choice.py`,
#: held together by a test; our looks at joins that must all be seen use several cores, and are sooner done.
LOOK_PIXELS_PER_SECOND, LOOK_BYTES_PER_SECOND = 1_700_000_000, 8_000_000
LOOK_SECONDS = 0.01

#: The most frames of a picture that are encoded before they are put away (`gpu_job/chunks.py`).
CHUNK_FRAMES_MAX = 300

#: How long a task should encode; a film that takes longer is shared out. Each further task costs another start, about
#: a fortieth of that, and whatever stops one costs less time.
SHARE_SECONDS = 600
#: The most tasks of one film; every chunk is made exactly once by any number up to that.
TASKS_MAX = 50

#: What Python and FFmpeg take of the memory: 0.1 GiB and, with 1080p pictures, up to 1.5 GiB; the rest is the disk.
PROGRAM_BYTES = 2 * 1024**3


@dataclass(frozen=True, slots=True)
class Machine:
    """One instance of a Cloud Run job; infra/ sets its jobs up alike."""

    vcpus: int
    memory_gib: int
    gpu: bool
    #: A task is stopped after this long, whatever it does.
    task_seconds_max: int

    @property
    def disk_bytes(self) -> int:
        """Room for files: the container's own file system lies in its memory.

        Source: https://cloud.google.com/run/docs/container-contract#filesystem.
        """
        return self.memory_gib * 1024**3 - PROGRAM_BYTES

    def price_micro_usd(self, seconds: float) -> int:
        """Give what so many seconds cost; begun ones count."""
        return job_second_micro_usd(self.vcpus, self.memory_gib, gpu=self.gpu) * -int(-seconds // 1)


#: An L4 needs 4 vCPUs and 16 GiB at least; twice the vCPUs cost a quarter more and decode twice as fast, which is
#: what holds NVENC up. A task with a card may run for an hour. Source: Cloud Run's documentation, GPUs for jobs.
GPU_MACHINE = Machine(vcpus=8, memory_gib=16, gpu=True, task_seconds_max=3600)
#: The most vCPUs that there are, as x264 uses all. Cloud Run lets a task run longer; a job of ours has 24 hours.
CPU_MACHINE = Machine(vcpus=8, memory_gib=16, gpu=False, task_seconds_max=24 * 3600)


@dataclass(frozen=True, slots=True)
class Estimate:
    """What one film takes on machines of one kind."""

    #: How many work at it at the same time.
    task_count: int
    #: What each of them takes for its share.
    share_seconds: float
    #: What the last one takes more.
    join_seconds: float
    #: Room that is needed for files at the same time.
    disk_bytes: int
    #: How many clips' pictures are encoded.
    encoded_count: int
    #: How many fades are rendered.
    fade_count: int
    #: What encodes them: `h264_nvenc` or `libx264`.
    encoder: str

    @property
    def seconds(self) -> float:
        """Give how long the film takes, which is how long the task takes that joins it."""
        return self.share_seconds + self.join_seconds

    def price_micro_usd(self, machine: Machine) -> int:
        """Give what all tasks cost together; each pays its begun seconds."""
        others = (self.task_count - 1) * machine.price_micro_usd(self.share_seconds)
        return machine.price_micro_usd(self.seconds) + others


def estimate(plan: StitchPlan, machine: Machine, tasks_max: int = 1) -> Estimate:
    """Give what a film takes on a machine, or on several. A clip whose headers tell no length counts as nothing."""
    return _Model(plan, machine).estimate(tasks_max)


def look_seconds(plan: StitchPlan, machine: Machine) -> float:
    """Give what of that goes into looking at the joins, on one core."""
    return _Model(plan, machine).look_seconds()


class _Model:
    """One film on one kind of machine."""

    def __init__(self, plan: StitchPlan, machine: Machine) -> None:
        self._plan = plan
        self._machine = machine
        self._target = choose_target(plan)
        able = encoders_for(self._target)
        self._encoder = able[0] if machine.gpu else able[-1]
        self._clips = list(zip(plan.clips, self._target.clips, strict=True))
        picture = self._target.picture
        self._out_px = picture.width_px * picture.height_px
        self._faded_frames = self._rendered_frames()

    def estimate(self, tasks_max: int) -> Estimate:
        chunk_count, encoding = self._chunk_count(), self._encode_seconds()
        task_count = max(1, min(tasks_max, chunk_count, -int(-encoding // SHARE_SECONDS)))
        made, copied = self._made_bytes()
        odd = sum(clip.facts.size_bytes for clip, treated in self._clips if treated.treatment is not Treatment.COPY)
        fetched = sum(clip.facts.size_bytes for clip in self._plan.clips)
        share = float(START_SECONDS) + (CARD_START_SECONDS if self._machine.gpu else 0)
        # Chunks of a clip go to all tasks, so that each fetches nearly all clips of which something is encoded.
        share += odd / FETCH_BYTES_PER_SECOND + encoding / task_count
        share += OBJECT_SECONDS * chunk_count / task_count
        join = OBJECT_SECONDS * len(self._clips) + (fetched - odd + made) / FETCH_BYTES_PER_SECOND
        join += self._finish_seconds(made + copied)
        # As `gpu_job/room.py` asks for room: the clips, the film, and chunks or windows that are being made or joined.
        in_hand = min(made, (self._machine.vcpus + 1) * encoded_bytes_max(self._target, CHUNK_FRAMES_MAX))
        windows = 2 * encoded_bytes_max(self._target, self._faded_frames)
        count = sum(treated.treatment is Treatment.ENCODE for _, treated in self._clips)
        fades = len(self._clips) - 1 if self._plan.has_fades else 0
        disk = fetched + in_hand + windows + made + copied
        if needs_sound_work(self._plan):
            disk += 3 * sound_bytes_max(self._target, sum(treated.frame_count for _, treated in self._clips))
        return Estimate(task_count, share, join, disk, count, fades, self._encoder)

    def _chunk_count(self) -> int:
        """Give how many chunks there are at least."""
        encoded = [treated for _, treated in self._clips if treated.treatment is Treatment.ENCODE]
        return sum(max(1, -(-treated.frame_count // CHUNK_FRAMES_MAX)) for treated in encoded)

    def _made_bytes(self) -> tuple[int, int]:
        """Give the bytes of the film from above: what is encoded of it, and what is copied."""
        made = copied = 0
        for clip, treated in self._clips:
            if treated.treatment is Treatment.ENCODE:
                made += encoded_bytes_max(self._target, treated.frame_count)
            else:
                copied += clip.facts.size_bytes
        return made, copied

    def _encode_seconds(self) -> float:
        """Give how long it takes one task to encode the odd clips."""
        seconds = 0.0
        for clip, treated in self._clips:
            if treated.treatment is Treatment.COPY:
                continue
            seconds += CLIP_SECONDS + clip.facts.duration_ms / 1000 / SOUND_SPEED / self._machine.vcpus
            if treated.treatment is Treatment.ENCODE:
                source_px = clip.facts.width_px * clip.facts.height_px
                seconds += treated.frame_count * self._frame_seconds(source_px)
        return seconds

    def _finish_seconds(self, film_bytes: int) -> float:
        """Give how long it takes to make the film once all clips conform."""
        splice = film_bytes / SPLICE_BYTES_PER_SECOND
        seconds = splice + film_bytes / UPLOAD_BYTES_PER_SECOND
        seconds += self.look_seconds()
        # Around a chain's repeated frames a group is decoded to look at them, and again to encode the end of a clip.
        seconds += sum(CLIP_SECONDS + 2 * self._join_seconds(number) for number in self._plan.continued_clips)
        if self._plan.has_fades:
            joins = len(self._clips) - 1
            seconds += joins * CLIP_SECONDS + self._faded_frames * self._frame_seconds(self._out_px)
        if needs_sound_work(self._plan):
            seconds += splice + self._sound_passes() * self._film_seconds() / SOUND_SPEED
        return seconds

    def look_seconds(self) -> float:
        """Give how long it takes one core to look at the joins, from above: at all of them or, as it is spared in
        `media/seam_report.py`, at few of a film of clips that were there.
        """
        if self._plan.has_fades:
            return 0.0
        seconds = sum(map(self._join_seconds, range(1, len(self._clips))))
        if self._plan.fail_on_seams or self._plan.digital_source_type is not None:
            return seconds
        return min(seconds, LOOK_US_MAX / 1_000_000 + LOOK_SECONDS * (len(self._clips) - 1))

    def _join_seconds(self, number: int) -> float:
        """Give how long it takes to look at the join before a clip: at the end of the group before it."""
        (clip, before), (_, after) = self._clips[number - 1], self._clips[number]
        rate, is_encoded = self._target.picture.frame_rate, before.treatment is Treatment.ENCODE
        group = min(before.frame_count, keyframe_interval(rate) if is_encoded else int(rate * GROUP_SECONDS))
        if is_encoded:
            size_bytes = encoded_bytes_max(self._target, group)
        else:
            size_bytes = clip.facts.size_bytes * group // max(1, before.frame_count)
        # What is looked at behind the join has a key frame, which may be large, and is counted as the group before it.
        pixels, share = (group + FRAMES) * self._out_px, 1 + Fraction(min(FRAMES, after.frame_count), max(1, group))
        return LOOK_SECONDS + pixels / LOOK_PIXELS_PER_SECOND + float(size_bytes * share) / LOOK_BYTES_PER_SECOND

    def _rendered_frames(self) -> int:
        """Give how many frames lie in the windows around fades, from above."""
        if not self._plan.has_fades:
            return 0
        rate = self._target.picture.frame_rate
        fade = fade_of(self._plan.transition, fade_frames(self._plan.transition_ms, rate))
        frames = 0
        for _, treated in self._clips[1:]:
            encoded = treated.treatment is Treatment.ENCODE
            group = keyframe_interval(rate) if encoded else int(rate * GROUP_SECONDS)
            frames += fade.out_frames - fade.overlap_frames + min(treated.frame_count, max(group, fade.in_frames))
        return frames

    def _sound_passes(self) -> int:
        passes = SOUND_PASSES + (LOUDNESS_PASSES if self._plan.loudness is not Loudness.KEEP else 0)
        return passes + (MUSIC_PASSES if self._plan.music is not None else 0)

    def _film_seconds(self) -> Fraction:
        return sum(treated.frame_count for _, treated in self._clips) / self._target.picture.frame_rate

    def _frame_seconds(self, source_px: int) -> float:
        machine, out_px = self._machine, self._out_px
        if self._encoder != "libx264":
            # Processors and card work side by side: the slower of the two tells.
            decoding = max(source_px, out_px) / (DECODE_PIXELS_PER_SECOND * machine.vcpus)
            return max(decoding, out_px / NVENC_PIXELS_PER_SECOND)
        larger = max(0, source_px - out_px) / (DECODE_PIXELS_PER_SECOND * machine.vcpus)
        return larger + out_px / (X264_PIXELS_PER_SECOND[self._target.quality.preset] * machine.vcpus)
