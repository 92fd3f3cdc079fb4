"""The stitch plan: all that a stitcher needs to know, in one JSON document. `pipeline/` writes it."""

from __future__ import annotations

from enum import StrEnum

from pydantic import AwareDatetime, Field

from events.clip import Clip
from events.digital_source import DigitalSourceType
from events.wire import SCHEMA_VERSION, WireModel

#: How loud music is under the clips' sound, in decibels relative to it: usually, and at least.
MUSIC_DB_USUAL, MUSIC_DB_MIN = -18, -60
#: Longest title of a clip.
TITLE_MAX_CHARACTERS = 80


class Orientation(StrEnum):
    """Which way the film lies."""

    #: As most of the clips are.
    SOURCE = "source"
    LANDSCAPE = "landscape"
    PORTRAIT = "portrait"
    SQUARE = "square"


class Fit(StrEnum):
    """What to do with a clip whose shape is not the film's."""

    #: Fill the frame; what sticks out is cut off.
    CROP = "crop"
    #: Show all of it, with black bars.
    PAD = "pad"
    #: Show all of it over a blurred copy of itself.
    BLUR = "blur"


class Transition(StrEnum):
    """How one clip becomes the next."""

    #: At once: the last frame of the one, then the first frame of the other.
    CUT = "cut"
    #: The end of the one turns into the beginning of the other: both are seen, and the film is that much shorter.
    CROSSFADE = "crossfade"
    #: The one goes to black, then the other comes out of it: half of the time each, and the film is as long as before.
    FADE_BLACK = "fadeBlack"


#: How long a fade may be, in milliseconds.
TRANSITION_MS_MIN, TRANSITION_MS_MAX = 100, 2000
#: How long it is when nothing is said.
TRANSITION_MS_USUAL = 500


class Compression(StrEnum):
    """How much the bytes may be changed."""

    #: Clips that conform are kept bit for bit; one that must be encoded is encoded visually lossless.
    LOSSLESS = "lossless"
    #: Clips that conform are kept bit for bit; one that must be encoded looks the same to most people.
    OPTIMIZED = "optimized"
    #: Everything is encoded for a small file.
    SMALL = "small"


class Seams(StrEnum):
    """What a job does about joins that people would notice."""

    #: They are in the report, and warnings say so.
    WARN = "warn"
    #: There is no film.
    FAIL = "fail"


class Loudness(StrEnum):
    """How loud the film is."""

    #: As its clips are.
    KEEP = "keep"
    #: As EBU R128 measures it, one level for all films: by one gain for the whole of it.
    R128 = "r128"


class Engine(StrEnum):
    """What can make the film."""

    #: A new index over the old bytes; no frame is encoded.
    SPLICE = "splice"
    #: Google's Transcoder API.
    TRANSCODER = "transcoder"
    #: The encoding program with an NVENC card, on Cloud Run.
    GPU = "gpu"
    #: The encoding program without a card: on Cloud Run, or on this machine.
    CPU = "cpu"


class PlannedClip(Clip):
    """One clip of the film, in order; another generation of its object is refused."""

    #: Index of the segment that it came from; indexes rise but may have gaps where a clip was skipped.
    segment_index: int = Field(ge=0)
    #: Only so much of it is shown, from its start, to the nearest clean cut; None for all of it.
    keep_ms: int | None = Field(default=None, ge=1)
    #: What people call it; the title of its chapter. None for none.
    title: str | None = Field(default=None, max_length=TITLE_MAX_CHARACTERS)
    #: It was made from the last frame of the clip before it in the plan, so that it may begin with that very picture.
    continues: bool = False


class StitchPlan(WireModel):
    """Join these clips, in this order, to that object."""

    schema_version: int = Field(default=SCHEMA_VERSION, ge=1, le=SCHEMA_VERSION)
    job_id: str
    #: 1-based number of this try.
    attempt: int = Field(ge=1)
    title: str = ""
    clips: list[PlannedClip] = Field(min_length=1)
    orientation: Orientation = Orientation.SOURCE
    fit: Fit = Fit.PAD
    compression: Compression = Compression.OPTIMIZED
    #: How each clip becomes the next, and how long that takes; a cut takes no time.
    transition: Transition = Transition.CUT
    transition_ms: int = Field(default=TRANSITION_MS_USUAL, ge=TRANSITION_MS_MIN, le=TRANSITION_MS_MAX)
    loudness: Loudness = Loudness.KEEP
    #: `gs://bucket/object` of the music under the clips' sound, and how many decibels it is above that (so below 0).
    music: str | None = None
    music_db: int = Field(default=MUSIC_DB_USUAL, ge=MUSIC_DB_MIN, le=0)
    #: Whether a join that is worth a warning is an error instead.
    fail_on_seams: bool = False
    #: The only engine that may make it; None for the cheapest that can.
    engine: Engine | None = None
    #: Whether an earlier attempt was too large for its machine: take a larger one, or do less at a time.
    larger: bool = False
    #: When its job has failed; None where nothing says.
    deadline_at: AwareDatetime | None = None
    #: When its job was created, which is the film's date; None where nothing says.
    created_at: AwareDatetime | None = None
    #: How all of its pictures came to be; None where that is not known, as of clips that a user gave.
    digital_source_type: DigitalSourceType | None = None
    #: `gs://bucket/object` of the film and of its StitchReport.
    output_uri: str
    report_uri: str

    @property
    def has_fades(self) -> bool:
        """Tell whether there are joins that are no cuts."""
        return self.transition is not Transition.CUT and len(self.clips) > 1

    @property
    def continued_clips(self) -> list[int]:
        """Give the numbers of the clips whose first frame may be shown twice; none where fades hide it."""
        return [] if self.has_fades else [n for n, clip in enumerate(self.clips) if n and clip.continues]
