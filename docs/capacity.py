"""What breaks first as the number of films a day grows, on paper, and what a film costs: the tables of `deploying.md`.

`python -m docs.capacity` prints the tables; with `--write` it puts them between the page's markers.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from docs.marked import table, write_filled
from events.requests import Resolution
from functions.on_sweep import SWEEP_LIMIT
from pipeline import models, prices

PAGE = Path(__file__).parent / "deploying.md"

DAY_SECONDS = 86_400

#: The film of the tables: two minutes of 1080p, as most are.
SEGMENTS = 15
SEGMENT_SECONDS = 8
#: What a 1080p clip of Veo is taken to weigh. An assumption: no machine here has made one.
CLIP_BITRATE_BPS = 8_000_000

#: Documents written and read, at most, for a segment and once for a job. Source: tests/cloud/test_firestore_cost.py.
WRITES_OF_A_SEGMENT, WRITES_OF_A_JOB = 4, 10
READS_OF_A_SEGMENT, READS_OF_A_JOB = 5, 20
#: Messages of a segment (asked for, landed, done) and of a job (asked for, stitch, its objects).
MESSAGES_OF_A_SEGMENT, MESSAGES_OF_A_JOB = 3, 6
#: Objects written for a segment and once for a job (header, parts of the tree, film, report).
OBJECTS_OF_A_SEGMENT, OBJECTS_OF_A_JOB = 1, 6
#: How long the Transcoder API and an L4 are taken to work on such a film, at the speed of the film itself and at twice
#: that. An assumption: neither was measured.
TRANSCODER_SECONDS, L4_SECONDS = 120, 60
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
    return sorted([*_of_engines(), *_of_state()], key=lambda limit: limit.films_a_day)


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
    return {"price": _price(), "limits": _limits(), "growth": _growth(), "million": _million()}


def _limits() -> str:
    rows = [[limit.name, limit.said, _number(limit.films_a_day), limit.then, limit.remedy] for limit in limits()]
    head = ["what", "how much there is", "reached at films a day", "what happens then", "what to raise"]
    return table(head, rows, figures=False) + "\n"


def _price() -> str:
    """What a film costs, dearest first."""
    intro = f"List prices of {prices.PRICED_ON}, without free tiers:\n\n"
    rows = [[name, arithmetic, _usd(micro_usd)] for name, arithmetic, micro_usd in _items()]
    return intro + table(["what", "arithmetic", "USD"], rows, figures=False) + "\n"


def _items() -> list[tuple[str, str, Fraction]]:
    seconds = SEGMENTS * SEGMENT_SECONDS
    model = models.MODELS["veo-3.1-fast-generate-"]
    veo = model.second_micro_usd[Resolution.FULL_HD]
    reads = SEGMENTS * READS_OF_A_SEGMENT + READS_OF_A_JOB
    writes = SEGMENTS * WRITES_OF_A_SEGMENT + WRITES_OF_A_JOB
    objects = SEGMENTS * OBJECTS_OF_A_SEGMENT + OBJECTS_OF_A_JOB
    firestore = Fraction(reads * prices.FIRESTORE_READS_MICRO_USD + writes * prices.FIRESTORE_WRITES_MICRO_USD, 100_000)
    return [
        ("clips by Veo 3.1 fast, 1080p", f"{seconds} s × ${_usd(Fraction(veo))}", Fraction(seconds * veo)),
        ("Firestore", f"{reads} reads, {writes} writes", firestore),
        ("Cloud Storage requests", f"{objects} writes", Fraction(objects * prices.WRITE_REQUEST_NANO_USD, 1000)),
    ]


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
    return (
        f"A million films a day is {environments} such environments, Veo's quota at {_number(times)} times its "
        f"default, and {_number(_new_gigabytes(films) // 1000)} TB of new objects a day.\n"
    )


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
        f"${_number(round(films * _items()[0][2] / 10**6))}",
    ]


def _new_gigabytes(films: int) -> int:
    clip_bytes = SEGMENT_SECONDS * CLIP_BITRATE_BPS // 8
    # The clips, and the film, which is as long.
    return round(Fraction(films * 2 * SEGMENTS * clip_bytes, 10**9))


def _number(value: int) -> str:
    return f"{value:,}"


def _usd(micro_usd: Fraction) -> str:
    return f"{float(micro_usd) / 10**6:.5f}".rstrip("0").rstrip(".")


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
