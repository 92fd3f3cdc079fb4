"""What docs/stitching.md says of `compression` is what the encoder is told."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from events.plan import Compression
from events.requests import StitchRequest
from media.encoder import AUDIO_BITRATE_BPS
from media.target import QUALITIES

PAGE = (Path(__file__).parents[2] / "docs" / "stitching.md").read_text(encoding="utf-8")
TABLE = PAGE.partition("## How much is encoded: `compression`")[2].partition("\n## ")[0]
ROWS = {
    found[1]: [cell.strip() for cell in found[2].split("|")]
    for found in re.finditer(r"^\| `(\w+)`[^|]*\|(.*)\|$", TABLE, re.MULTILINE)
}


def test_every_compression_has_its_row_and_no_other_does() -> None:
    assert list(ROWS) == [each.value for each in Compression]


@pytest.mark.parametrize("compression", Compression)
def test_a_row_says_with_which_preset_and_quality_is_encoded(compression: Compression) -> None:
    quality = QUALITIES[compression]

    assert f"(x264 `{quality.preset}`, CRF {quality.crf})" in ROWS[compression.value][1]


@pytest.mark.parametrize("compression", Compression)
def test_a_row_says_whether_clips_that_conform_are_kept(compression: Compression) -> None:
    kept = ROWS[compression.value][0]

    assert kept == ("encoded" if compression is Compression.SMALL else "kept bit for bit")


def test_the_usual_one_is_marked_as_such() -> None:
    usual = StitchRequest.model_fields["compression"].default

    assert f"| `{usual.value}` (usual) |" in TABLE


def test_the_sound_of_a_small_film_is_what_the_page_says() -> None:
    assert ROWS["small"][2] == f"encoded, AAC-LC, {AUDIO_BITRATE_BPS // 1000} kb/s a channel"
