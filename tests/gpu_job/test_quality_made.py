"""What comes out of each `compression` is what docs/stitching.md says: kept, or encoded as the table tells."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import av
import pytest

from events.plan import Compression
from media.target import QUALITIES
from tests.gpu_job.bench import Bench
from tests.gpu_job.film_reading import video_packets


@pytest.mark.parametrize("compression", Compression)
def test_what_conforms_is_kept_and_the_odd_clip_has_the_quality_of_the_page(
    bench: Bench, make_clip: Callable[..., Path], compression: Compression
) -> None:
    # Clips that say nothing of an encoder of their own: what the film says of one is of ours.
    clips = [make_clip(number, video="-bsf:v filter_units=remove_types=6") for number in (0, 1)]
    clips.append(make_clip(2, size="128x96", video="-bsf:v filter_units=remove_types=6"))

    bench.stitch(bench.plan(*clips, compression=compression))

    words = re.findall(rb"x264 - core.*?\0", bench.film.read_bytes(), re.DOTALL)
    quality = QUALITIES[compression]
    assert words
    assert {re.search(rb"crf=([\d.]+)", word)[1] for word in words} == {b"%d.0" % quality.crf}  # type: ignore[index] # each has one
    # x264 tells a preset by what it does: `veryfast` refines with subme 2, `medium` with subme 7.
    assert {re.search(rb"subme=(\d+)", word)[1] for word in words} == {  # type: ignore[index] # each has one
        {"veryfast": b"2", "medium": b"7"}[quality.preset]
    }
    kept = [video_packets(bench.film)[24 * at : 24 * at + 24] == video_packets(clip) for at, clip in enumerate(clips)]
    assert kept == [compression is not Compression.SMALL, compression is not Compression.SMALL, False]


def test_a_small_film_has_its_sound_encoded_at_96_kilobits_a_channel(
    bench: Bench, make_clip: Callable[..., Path]
) -> None:
    clips = [make_clip(number, frames=96, after="-b:a 256k") for number in (0, 1)]

    bench.stitch(bench.plan(*clips, compression=Compression.SMALL))

    with av.open(str(bench.film)) as film:
        sound = film.streams.audio[0]
        assert (sound.codec_context.name, sound.profile) == ("aac", "LC")
        size_bytes = sum(packet.size for packet in film.demux(sound))
    # A pure tone needs less than it is allowed.
    assert 8 * size_bytes / 8 <= 2 * 96_000 * 1.1
