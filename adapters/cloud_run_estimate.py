"""How long a film takes on a Cloud Run job, what it needs there, and what that costs: a model, written down.

    seconds = start + fetch + decode and encode + splice + upload

Only clips that really are encoded count for encoding: `media.target.choose_target` tells which. NVENC can only make
films that are encoded whole (`encoders_for`); elsewhere a card is paid for and not used.
"""

from __future__ import annotations

from dataclasses import dataclass

from events.plan import StitchPlan
from media.size import encoded_bytes_max
from media.target import choose_target
from media.treatment import Target, Treatment
from media.video_encoders import encoders_for
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
#: Encoding a clip's sound alone: many times faster than it plays, an estimate.
SOUND_SPEED = 50

#: The most frames of a picture that are encoded before they are put away (`gpu_job/chunks.py`).
CHUNK_FRAMES_MAX = 300

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
    """What one film takes on one machine."""

    seconds: float
    #: Room that is needed for files at the same time.
    disk_bytes: int
    #: How many clips' pictures are encoded.
    encoded_count: int
    #: What encodes them: `h264_nvenc` or `libx264`.
    encoder: str


def estimate(plan: StitchPlan, machine: Machine) -> Estimate:
    """Give what a film takes on a machine. A clip whose headers tell no length counts as nothing."""
    target = choose_target(plan)
    able = encoders_for(target)
    encoder = able[0] if machine.gpu else able[-1]
    fetched = sum(clip.facts.size_bytes for clip in plan.clips)
    encoded, film = _bytes(plan, target)
    seconds = float(START_SECONDS) + (CARD_START_SECONDS if machine.gpu else 0)
    seconds += OBJECT_SECONDS * len(plan.clips) + fetched / FETCH_BYTES_PER_SECOND
    seconds += _encode_seconds(plan, target, machine, encoder)
    seconds += film / SPLICE_BYTES_PER_SECOND + film / UPLOAD_BYTES_PER_SECOND
    count = sum(clip.treatment is Treatment.ENCODE for clip in target.clips)
    # As `gpu_job/room.py` asks for room: the clips, the film, and chunks that are being made or joined.
    in_hand = min(encoded, (machine.vcpus + 1) * encoded_bytes_max(target, CHUNK_FRAMES_MAX))
    return Estimate(seconds, fetched + in_hand + film, count, encoder)


def _bytes(plan: StitchPlan, target: Target) -> tuple[int, int]:
    """Give the bytes of the encoded clips, and of the film, from above."""
    encoded = film = 0
    for clip, treated in zip(plan.clips, target.clips, strict=True):
        if treated.treatment is Treatment.COPY:
            film += clip.facts.size_bytes
            continue
        is_sound = treated.treatment is Treatment.SOUND
        made = clip.facts.size_bytes if is_sound else encoded_bytes_max(target, treated.frame_count)
        encoded += made
        film += made
    return encoded, film


def _encode_seconds(plan: StitchPlan, target: Target, machine: Machine, encoder: str) -> float:
    seconds = 0.0
    picture = target.picture
    out_px = picture.width_px * picture.height_px
    for clip, treated in zip(plan.clips, target.clips, strict=True):
        if treated.treatment is Treatment.COPY:
            continue
        seconds += CLIP_SECONDS
        if treated.treatment is Treatment.SOUND:
            seconds += clip.facts.duration_ms / 1000 / SOUND_SPEED
            continue
        source_px = clip.facts.width_px * clip.facts.height_px
        seconds += treated.frame_count * _frame_seconds(source_px, out_px, target, machine, encoder)
    return seconds


def _frame_seconds(source_px: int, out_px: int, target: Target, machine: Machine, encoder: str) -> float:
    if encoder != "libx264":
        # Processors and card work side by side: the slower of the two tells.
        decoding = max(source_px, out_px) / (DECODE_PIXELS_PER_SECOND * machine.vcpus)
        return max(decoding, out_px / NVENC_PIXELS_PER_SECOND)
    larger = max(0, source_px - out_px) / (DECODE_PIXELS_PER_SECOND * machine.vcpus)
    return larger + out_px / (X264_PIXELS_PER_SECOND[target.quality.preset] * machine.vcpus)
