"""What the chapters of a film are called, and how its pictures came to be."""

from __future__ import annotations

import re

from events.digital_source import DigitalSourceType
from events.names import parse_uri
from events.plan import TITLE_MAX_CHARACTERS
from events.requests import SegmentSpec
from pipeline.models import EXAMPLES

#: Generators that draw; those that have models are in `pipeline/models.py`.
_DRAWING = frozenset({"storyboard"})

#: What the door puts before a file's own name, so that two clips of one name are two objects.
_NUMBERED_UPLOAD = re.compile(r"uploads/[0-9a-f]+/\d{3,}-(.+)", re.DOTALL)


def clip_name(uri: str) -> str:
    """Give the name by which a user knows a clip: the file's own, without what the door put before it.

    >>> clip_name("gs://longreel/uploads/5d1e/002-beach day.mp4")
    'beach day.mp4'
    >>> clip_name("gs://longreel/reels/002-beach.mp4")
    '002-beach.mp4'
    """
    name = parse_uri(uri).name
    numbered = _NUMBERED_UPLOAD.fullmatch(name)
    return numbered[1] if numbered else name.rpartition("/")[2]


def title_of(spec: SegmentSpec) -> str | None:
    """Give the title of a segment: the first line of its prompt, or the file name of its clip; None where it has none.

    >>> title_of(SegmentSpec.model_validate({"scene": {"prompt": "A lighthouse at dusk.\\nWaves."}}))
    'A lighthouse at dusk.'
    >>> title_of(SegmentSpec.model_validate({"clip": {"clip": "gs://media/uploads/a/harbour walk.mp4"}}))
    'harbour walk'
    """
    if spec.scene is not None:
        return _shortened(spec.scene.prompt.strip().partition("\n")[0])
    assert spec.clip is not None
    name = clip_name(spec.clip.clip)
    return _shortened(name.rpartition(".")[0] or name)


def _shortened(text: str) -> str | None:
    """Give a text in one line of printable characters, no longer than a title may be."""
    line = " ".join("".join(each if each.isprintable() else " " for each in text).split())
    if len(line) <= TITLE_MAX_CHARACTERS:
        return line or None
    return line[: TITLE_MAX_CHARACTERS - 1].rstrip() + "…"


def source_type_of(generator: str) -> DigitalSourceType | None:
    """Tell how the clips of a generator come to be; None where that is not known, as of clips that a user gave."""
    if generator in EXAMPLES:
        return DigitalSourceType.TRAINED_ALGORITHMIC_MEDIA
    return DigitalSourceType.ALGORITHMIC_MEDIA if generator in _DRAWING else None
