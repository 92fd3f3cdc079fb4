"""CRC-32C of contents in a row against Google's own implementation: the algebra that a composed film is checked by."""

from __future__ import annotations

import google_crc32c
from hypothesis import given
from hypothesis import strategies as st

from media.crc32c import combined_crc32c

contents = st.binary(max_size=300)
checksums = st.integers(0, 2**32 - 1)
lengths = st.integers(0, 2**43)


def theirs(data: bytes) -> int:
    found: int = google_crc32c.value(data)
    return found


@given(st.lists(contents, max_size=6))
def test_that_of_many_contents_in_a_row_needs_only_their_checksums_and_lengths(parts: list[bytes]) -> None:
    combined = 0
    for part in parts:
        combined = combined_crc32c(combined, theirs(part), len(part))

    assert combined == theirs(b"".join(parts))


@given(contents, st.integers(0, 100_000))
def test_a_long_content_costs_no_more_than_a_short_one(first: bytes, zeros: int) -> None:
    assert combined_crc32c(theirs(first), theirs(bytes(zeros)), zeros) == theirs(first + bytes(zeros))


@given(checksums, checksums, lengths, checksums, lengths)
def test_it_does_not_matter_which_of_three_are_combined_first(a: int, b: int, b_len: int, c: int, c_len: int) -> None:
    left = combined_crc32c(combined_crc32c(a, b, b_len), c, c_len)
    right = combined_crc32c(a, combined_crc32c(b, c, c_len), b_len + c_len)

    assert left == right


@given(checksums)
def test_nothing_changes_nothing(crc: int) -> None:
    assert combined_crc32c(crc, 0, 0) == crc
    assert combined_crc32c(0, crc, 12345) == crc


def test_two_contents_swapped_are_noticed() -> None:
    a, b = b"one clip", b"another clip"

    assert combined_crc32c(theirs(a), theirs(b), len(b)) != combined_crc32c(theirs(b), theirs(a), len(a))
