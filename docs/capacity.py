"""What breaks first as the number of films a day grows, on paper, and what a film costs: the tables of `deploying.md`.

`python -m docs.capacity` prints the tables; with `--write` it puts them between the page's markers.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from docs import film_price
from docs.film import (
    CALL_SECONDS,
    CALLS_OF_A_FILM,
    L4_SECONDS,
    MESSAGES_OF_A_JOB,
    MESSAGES_OF_A_SEGMENT,
    OBJECTS_OF_A_JOB,
    OBJECTS_OF_A_SEGMENT,
    SEGMENTS,
    SPLICE_SECONDS,
    TRANSCODER_SECONDS,
    WRITES_OF_A_JOB,
    WRITES_OF_A_SEGMENT,
    new_bytes,
)
from docs.marked import table, write_filled
from functions.on_sweep import SWEEP_LIMIT

PAGE = Path(__file__).parent / "deploying.md"
#: Where every function has its `concurrency` and its `instances_max`, and where what none may exceed is.
FUNCTIONS, VARIABLES = (Path(__file__).parents[1] / "infra" / name for name in ("names.tf", "variables.tf"))

DAY_SECONDS = 86_400

#: Share of the segments that the sweep has to look at, in percent: a quiet day has none. An assumption.
OVERDUE_PERCENT = 1
#: The busiest minutes are taken to have this many times the day's mean.
PEAK = 3


VEO, FIRESTORE = "Veo requests", "Firestore writes to one ordered index"


@dataclass(frozen=True, slots=True)
class Limit:
    """One thing that there is only so much of."""

    name: str
    #: What there is, for a second: of the unit that `of_a_film` counts.
    a_second: Fraction
    #: What one film takes.
    of_a_film: Fraction
    #: The limit in words, with where it is from.
    said: str
    #: What is seen when it is reached.
    then: str
    #: What to do about it.
    remedy: str

    @property
    def films_a_day(self) -> int:
        """Films a day at which the busiest minutes reach it."""
        return int(self.a_second * DAY_SECONDS / self.of_a_film / PEAK)


def limits() -> list[Limit]:
    """Give every limit that we know of, the first to be reached first."""
    return sorted([*_of_engines(), *_of_functions(), *_of_state()], key=lambda limit: limit.films_a_day)


def slots() -> dict[str, tuple[int, int]]:
    """Give how many calls an instance of each function takes at once, and how many instances there may be."""
    text = FUNCTIONS.read_text(encoding="utf-8")
    found = re.findall(r"^    (\w+) = \{[^}]*?concurrency += (\d+)\s+instances_max += (\d+)", text, re.M)
    return {name: (int(concurrency), min(int(instances), processors())) for name, concurrency, instances in found}


def _processor_seconds() -> Fraction:
    """Give how long a film keeps one processor busy, where every instance has as many calls as it takes."""
    return sum((Fraction(_seconds_of(name), slots()[name][0]) for name in CALLS_OF_A_FILM), Fraction(0))


def processors() -> int:
    """Give how many instances no function may exceed unless a team says otherwise: a new project's processors."""
    text = VARIABLES.read_text(encoding="utf-8").partition('variable "instances_max"')[2]
    return int(re.findall(r"default += (\d+)", text)[0])


def _seconds_of(function: str) -> int:
    """Give how long all calls of a function for one film last together."""
    return CALLS_OF_A_FILM[function] * (SPLICE_SECONDS if function == "on_stitch_requested" else CALL_SECONDS)


def _of_functions() -> list[Limit]:
    """Give the processors of all functions together, and the function that has too few instances first."""
    there = slots()
    first = min(CALLS_OF_A_FILM, key=lambda name: Fraction(there[name][0] * there[name][1], _seconds_of(name)))
    at_once, instances = there[first]
    later = "messages wait and come again; one that was turned away 20 times, in some two hours, is a dead letter"
    return [
        Limit(
            "Cloud Run's processors, of all functions together",
            Fraction(processors()),
            busy := _processor_seconds(),
            f"{processors()} to {2 * processors()} in a region of a new project; a film takes {round(busy)} s of one",
            later,
            "Cloud Run's quota `CPU allocation` in the region",
        ),
        Limit(
            f"instances of `{first}`",
            Fraction(at_once * instances),
            Fraction(_seconds_of(first)),
            f"{instances} by default, {at_once} at once in each; a film takes {_seconds_of(first)} s of one (taken)",
            later,
            "the variable `instances_max`, as far as that quota goes; then the function's own in `infra/names.tf`",
        ),
    ]


def _of_engines() -> list[Limit]:
    return [
        Limit(
            VEO,
            Fraction(10, 60),
            Fraction(SEGMENTS),
            "10 a minute for a project and model",
            "segments wait with `waitingQuota`; no try is used up, films are late, after 24 hours they fail",
            "Veo's quota (requests a minute); or name another model (`LONGREEL_VEO_MODEL`), each has its own",
        ),
        Limit(
            "L4 cards (only films that must be encoded)",
            Fraction(3, L4_SECONDS),
            Fraction(1),
            "3 at once where a project asked for none (from memory)",
            "the next engine is taken, with a warning",
            "Cloud Run's quota of L4 without zonal redundancy in the GPU's region",
        ),
        Limit(
            "Transcoder jobs (only films that must be encoded)",
            Fraction(20 + 10, TRANSCODER_SECONDS),
            Fraction(1),
            "20 interactive and 10 batch jobs at once",
            "interactive full → batch → the next engine, with a warning",
            "the Transcoder API's quotas of concurrent jobs",
        ),
    ]


def _of_state() -> list[Limit]:
    writes = Fraction(SEGMENTS * WRITES_OF_A_SEGMENT + WRITES_OF_A_JOB)
    return [
        Limit(
            FIRESTORE,
            Fraction(500),
            writes,
            "500 a second where an indexed field only grows (`wakeAt`, `updatedAt`), from memory",
            "commits are slower and some are refused; refused events come again, nothing is lost",
            "another environment beside this one, with a database and topics of its own, and half of the users",
        ),
        Limit(
            "the sweep",
            Fraction(SWEEP_LIMIT, 60),
            Fraction(SEGMENTS * OVERDUE_PERCENT, 100),
            f"{SWEEP_LIMIT} overdue things a minute",
            "what is stuck is mended later; films that are not stuck notice nothing",
            "`SWEEP_LIMIT` in `functions/on_sweep.py`, or another environment",
        ),
        Limit(
            "Cloud Storage writes",
            Fraction(1000),
            Fraction(SEGMENTS * OBJECTS_OF_A_SEGMENT + OBJECTS_OF_A_JOB),
            "1,000 a second for a bucket before it grows by itself (from memory)",
            "some requests are answered 429 and come again",
            "nothing: it grows, since the names begin with random job ids",
        ),
        Limit(
            "Pub/Sub requests",
            Fraction(20_000),
            Fraction(2 * (SEGMENTS * MESSAGES_OF_A_SEGMENT + MESSAGES_OF_A_JOB)),
            "20,000 a second taken as the least of its regional quotas (from memory), published and pushed",
            "messages are late",
            "Pub/Sub's regional quotas",
        ),
    ]


def tables() -> dict[str, str]:
    """Give each table as Markdown by the name of its marker."""
    return film_price.tables() | {"limits": _limits(), "growth": _growth(), "million": _million()}


def _limits() -> str:
    rows = [[limit.name, limit.said, _number(limit.films_a_day), limit.then, limit.remedy] for limit in limits()]
    head = ["what", "how much there is", "reached at films a day", "what happens then", "what to raise"]
    return table(head, rows, figures=False) + "\n"


def _growth() -> str:
    head = [
        "films a day",
        "films a second at the busiest",
        "Veo requests a minute",
        "clips being made at once",
        "Firestore writes a second",
        "messages a second",
        "new objects a day",
        "generation a day",
    ]
    return table(head, [_at(10**power) for power in range(2, 7)]) + "\n"


def _million() -> str:
    """What a million films a day comes to, in words."""
    films = 10**6
    reached = {limit.name: limit.films_a_day for limit in limits()}
    environments = -(-films // reached[FIRESTORE])
    times = round(Fraction(films, reached[VEO]))
    more = ", ".join(f"{wanted} for `{name}`" for name, wanted in _instances_wanted(films // environments).items())
    return (
        f"A million films a day is {environments} such environments, Veo's quota at {_number(times)} times its "
        f"default, and {_number(_new_gigabytes(films) // 1000)} TB of new objects a day. In each of them "
        f"`instances_max` is then {more}; all of them together keep "
        f"{_number(round(Fraction(films * PEAK, DAY_SECONDS) * _processor_seconds()))} processors busy.\n"
    )


def _instances_wanted(films: int) -> dict[str, int]:
    """Give the functions that have too few instances for so many films a day, and how many they want."""
    wanted: dict[str, int] = {}
    for name, (at_once, instances) in slots().items():
        if name in CALLS_OF_A_FILM:
            needed = -(-films * PEAK * _seconds_of(name) // (DAY_SECONDS * at_once))
            wanted |= {name: needed} if needed > instances else {}
    return wanted


#: How long a clip is taken to be made. Source: Google's and others' figures, 30 s to 3 minutes.
GENERATION_SECONDS = 90


def _at(films: int) -> list[str]:
    busiest = Fraction(films * PEAK, DAY_SECONDS)
    writes = SEGMENTS * WRITES_OF_A_SEGMENT + WRITES_OF_A_JOB
    messages = SEGMENTS * MESSAGES_OF_A_SEGMENT + MESSAGES_OF_A_JOB
    return [
        _number(films),
        f"{float(busiest):.3g}",
        _number(round(busiest * SEGMENTS * 60)),
        _number(round(busiest * SEGMENTS * GENERATION_SECONDS)),
        _number(round(busiest * writes)),
        _number(round(busiest * messages)),
        f"{_number(_new_gigabytes(films))} GB",
        f"${_number(round(films * film_price.clips_micro_usd() / 10**6))}",
    ]


def _new_gigabytes(films: int) -> int:
    return round(Fraction(new_bytes(films), 10**9))


def _number(value: int) -> str:
    return f"{value:,}"


def main(argv: Sequence[str] | None = None) -> int:
    """Print the tables, or put them into the page."""
    parser = argparse.ArgumentParser(prog="python -m docs.capacity", description=__doc__)
    parser.add_argument("--write", action="store_true", help="put them into docs/deploying.md")
    if parser.parse_args(argv).write:
        write_filled(PAGE, "capacity", tables())
    else:
        for name, text in tables().items():
            sys.stdout.write(f"{name}\n\n{text}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
