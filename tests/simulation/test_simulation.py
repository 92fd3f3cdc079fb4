"""Act one: faults everywhere, and no promise is ever broken. Act two: no more faults, and every job ends.

The same histories in every run of the tests, and some that nobody has seen before; `make sim` plays ten thousand.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.simulation.__main__ import aim_at
from tests.simulation.cells import UNREACHABLE, all_cells, impossible, missing
from tests.simulation.faults import USUAL, Chance, UnknownFault, parse_options, written_options
from tests.simulation.history import Shape, cells_entered, play
from tests.simulation.shrink import Case, report, shrink

REPOSITORY = Path(__file__).parents[2]
#: How many histories each test plays.
BATCH = 50
FIXED = range(0, 100, BATCH)


def keep_every_promise(seeds: range) -> None:
    entered: Counter[str] = Counter()
    for seed in seeds:
        case = Case(seed, USUAL)
        with cells_entered(entered):
            outcome = case.play()
        if outcome.violation is not None:
            pytest.fail(report(*shrink(case)), pytrace=False)
    assert impossible(entered) == [], f"seeds {seeds}: tests/simulation/cells.py says that these cannot be entered"


@pytest.mark.parametrize("first", FIXED)
def test_no_history_breaks_a_promise(first: int) -> None:
    keep_every_promise(range(first, first + BATCH))


def test_no_history_that_nobody_has_seen_before_breaks_a_promise() -> None:
    first = random.SystemRandom().randrange(10**6, 10**9)
    keep_every_promise(range(first, first + BATCH))


def test_a_cell_that_none_can_enter_is_one_that_there_is_and_has_a_reason() -> None:
    assert UNREACHABLE.keys() <= all_cells()
    assert all(len(why.split()) > 8 for why in UNREACHABLE.values())


def test_a_cell_that_is_not_entered_is_missing_and_one_that_cannot_be_is_wrong() -> None:
    possible = all_cells() - UNREACHABLE.keys()
    rare = "segment skipped SegmentClosed"

    assert (missing(possible), impossible(possible)) == ([], [])
    assert missing(possible - {rare}) == [rare]
    assert impossible({*possible, "job queued StitchDone"}) == ["job queued StitchDone"]


@pytest.mark.parametrize("cell", ["segment done SegmentReopened", "job completed SegmentsClosed"])
def test_a_history_that_aims_at_a_cell_enters_what_chance_hardly_ever_does_and_keeps_every_promise(cell: str) -> None:
    tally = aim_at(cell, USUAL)

    assert tally.cells[cell], f"{tally.count} histories aimed at it"
    assert tally.broken == []


def test_without_faults_every_film_is_made_at_once() -> None:
    none = parse_options("none")
    for seed in range(20):
        outcome = play(Chance(seed, none))

        assert outcome.violation is None
        assert dict(outcome.states) == {"completed": 1}
        assert "sweep" not in str(outcome.world.trace), "nothing has to be mended"


@pytest.mark.parametrize("seed", [3, 98, 768])
def test_a_seed_tells_the_same_story_in_every_process(seed: int) -> None:
    case = Case(seed, USUAL)
    told = {str(case.play().world.trace)}
    for hash_seed in ("1", "2"):
        command = [sys.executable, "-m", "tests.simulation", "--seed", str(seed), "--count", "1"]
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "TZ": "Asia/Tokyo"}
        done = subprocess.run(
            command, capture_output=True, text=True, check=True, cwd=REPOSITORY, env=environment, timeout=60
        )
        told.add(done.stdout.partition("\n\nseed ")[0])

    assert len(told) == 1


@given(st.dictionaries(st.sampled_from(sorted(USUAL)), st.integers(0, 100).map(lambda percent: percent / 100)))
def test_options_are_read_as_they_are_written(changed: dict[str, float]) -> None:
    options = {**USUAL, **changed}

    assert parse_options(written_options(options)) == options


def test_an_unknown_option_names_those_that_there_are() -> None:
    with pytest.raises(UnknownFault, match="'gravity'; there are: reordered, "):
        parse_options("gravity=1")


def test_every_fault_happens() -> None:
    """A fault that never fires proves nothing."""
    missed = set(USUAL)
    for seed in range(1000):
        missed -= set(Case(seed, USUAL).play().world.chance.fired)
        if not missed:
            return

    assert missed == set()


@pytest.mark.parametrize(
    "shape",
    [Shape(segments=2, width=1, daisy_chain=True), Shape(segments=2, embedded=True)],
    ids=["a chain in the cloud", "embedded"],
)
def test_of_a_film_of_two_segments_every_single_fault_at_every_step_is_survived(shape: Shape) -> None:
    plain = play(Chance(0, USUAL, script=frozenset()), shape)
    assert plain.violation is None
    assert plain.asked > 250

    for number in range(plain.asked):
        outcome = play(Chance(0, USUAL, script=frozenset({number})), shape)
        fault = plain.world.chance.asked[number]
        assert outcome.violation is None, f"{fault} at question {number}: {outcome.violation}\n{outcome.world.trace}"


#: Every pair takes minutes; each run of the tests takes its turn with one of so many parts.
PARTS = int(os.environ.get("LONGREEL_PAIRS_PARTS", "100"))


@pytest.mark.parametrize("policy", ["fail", "skip"])
def test_of_a_film_of_one_segment_every_pair_of_faults_is_survived(policy: str) -> None:
    shape = Shape(segments=1, policy=policy, embedded=policy == "skip")
    part = random.SystemRandom().randrange(PARTS)
    plain = play(Chance(0, USUAL, script=frozenset()), shape)
    for first in range(plain.asked):
        alone = play(Chance(0, USUAL, script=frozenset({first})), shape)
        for second in range(first + 1 + part, alone.asked, PARTS):
            outcome = play(Chance(0, USUAL, script=frozenset({first, second})), shape)
            asked = outcome.world.chance.asked
            faults = f"{asked[first]} at question {first} and {asked[second]} at question {second}"
            assert outcome.violation is None, f"{faults}: {outcome.violation}\n{outcome.world.trace}"
