"""The sample tables of one track: how long each sample lasts, how large it is and where it lies.

Source: ISO/IEC 14496-12, 8.6 and 8.7.
"""

from __future__ import annotations

import struct
from array import array
from itertools import accumulate, pairwise

from events.errors import BadMedia
from media.boxes import find, unpack_words
from media.movie import Run

#: Eighteen hours at 60 frames a second; a small file can claim billions.
SAMPLES_MAX = 4_000_000
#: Rows of a table of times that differ from all others: a clip whose frame rate varies has some thousand. Each costs a
#: hundred bytes of memory, the others eight.
DIFFERENT_RUNS_MAX = 200_000


class SampleTables:
    """The tables inside one `stbl` box, taken out one by one.

    Every method raises BadMedia where its table is missing, cut off or claims the impossible.
    """

    def __init__(self, moov: bytes, start: int, end: int) -> None:
        self._moov = moov
        self._start = start
        self._end = end
        self.sizes = self._read_sizes()

    def _table(self, kind: bytes) -> int | None:
        """Give where the contents of a table start, behind version and flags."""
        found = find(self._moov, self._start, self._end, kind)
        if found is None:
            return None
        if found.end - found.body < 8:
            raise BadMedia(f"the {kind.decode()} table in its index is cut off")
        return found.body + 4

    def _required(self, kind: bytes) -> int:
        at = self._table(kind)
        if at is None:
            raise BadMedia(f"its index has no {kind.decode()} table")
        return at

    def _word(self, at: int) -> int:
        return unpack_words(self._moov, at, 1)[0]

    def _read_sizes(self) -> array[int]:
        if find(self._moov, self._start, self._end, b"stz2"):
            return self._read_compact_sizes()
        at = self._required(b"stsz")
        same, count = self._word(at), self._word(at + 4)
        if count > SAMPLES_MAX:
            raise BadMedia(f"its index lists {count} samples; {SAMPLES_MAX} are the most that Longreel reads")
        return array("I", [same]) * count if same else unpack_words(self._moov, at + 8, count)

    def _read_compact_sizes(self) -> array[int]:
        at = self._required(b"stz2")
        field_bits, count = self._word(at) & 0xFF, self._word(at + 4)
        if count > SAMPLES_MAX or field_bits not in (4, 8, 16):
            raise BadMedia("the stz2 table in its index is damaged")
        data = self._moov[at + 8 : at + 8 + (count * field_bits + 7) // 8]
        sizes = array("I")
        if field_bits == 16:
            sizes.extend(struct.unpack(f">{len(data) // 2}H", data))
        elif field_bits == 8:
            sizes.extend(data)
        else:
            sizes.extend([nibble for byte in data for nibble in (byte >> 4, byte & 15)][:count])
        if len(sizes) != count:
            raise BadMedia("the stz2 table in its index is cut off")
        return sizes

    def durations(self) -> list[Run]:
        """Read how many ticks each sample lasts."""
        runs = self._runs(self._required(b"stts"))
        self._expect_all(runs, "durations")
        return runs

    def compositions(self) -> list[Run]:
        """Read how many ticks after its decoding each sample is shown; nothing where all are zero."""
        at = self._table(b"ctts")
        if at is None:
            return []
        # Version 0 says unsigned, but writers put negative numbers there as well and all players read them so.
        runs = self._runs(at, is_signed=True)
        self._expect_all(runs, "composition offsets")
        return runs if any(run.value for run in runs) else []

    def _runs(self, at: int, *, is_signed: bool = False) -> list[Run]:
        words = unpack_words(self._moov, at + 4, 2 * self._word(at))
        # Equal rows are one object: a long film has millions of rows but few different ones.
        different: dict[tuple[int, int], Run] = {}
        runs = []
        for row in zip(words[::2], words[1::2], strict=True):
            run = different.get(row)
            if run is None:
                if len(different) == DIFFERENT_RUNS_MAX:
                    raise BadMedia(f"its index has more than {DIFFERENT_RUNS_MAX} different times")
                count, value = row
                run = different[row] = Run(count, value - (value >> 31 << 32) if is_signed else value)
            if run.length:
                runs.append(run)
        return runs

    def _expect_all(self, runs: list[Run], what: str) -> None:
        count = sum(run.length for run in runs)
        if count != len(self.sizes):
            raise BadMedia(f"its index disagrees with itself: {len(self.sizes)} samples, {count} {what}")

    def sync(self) -> array[int] | None:
        """Read the 1-based numbers of the samples where decoding can start; None when it can start at each."""
        at = self._table(b"stss")
        if at is None:
            return None
        numbers = unpack_words(self._moov, at + 4, self._word(at))
        if any(a >= b for a, b in pairwise(numbers)) or (
            numbers and not 1 <= numbers[0] <= numbers[-1] <= len(self.sizes)
        ):
            raise BadMedia("the table of sync samples in its index is out of order")
        return numbers

    def chunk_offsets(self) -> array[int]:
        """Read where each chunk starts in the file."""
        at = self._table(b"stco")
        if at is not None:
            return array("Q", unpack_words(self._moov, at + 4, self._word(at)))
        at = self._required(b"co64")
        return unpack_words(self._moov, at + 4, self._word(at), size=8)

    def chunk_firsts(self, chunk_count: int) -> tuple[array[int], list[int]]:
        """Give the 0-based first sample of each chunk with the sample count behind them, and the used descriptions."""
        at = self._required(b"stsc")
        words = unpack_words(self._moov, at + 4, 3 * self._word(at))
        starts = [*words[::3], chunk_count + 1]
        lengths = array("I")
        for start, end, samples in zip(words[::3], starts[1:], words[1::3], strict=True):
            if not 1 <= start <= end <= chunk_count + 1 or samples > len(self.sizes):
                raise BadMedia("the table of chunks in its index is damaged")
            lengths.extend(array("I", [samples]) * (end - start))
        if len(lengths) != chunk_count:
            raise BadMedia("the table of chunks in its index does not start with the first chunk")
        firsts = array("Q", accumulate(lengths, initial=0))
        if firsts[-1] != len(self.sizes):
            raise BadMedia(f"its index disagrees with itself: {len(self.sizes)} samples, {firsts[-1]} in chunks")
        return firsts, sorted(set(words[2::3]))
