"""What a film costs: the tables of prices of `deploying.md`."""

from __future__ import annotations

from fractions import Fraction

from docs.film import (
    CALL_SECONDS,
    CALLS_OF_A_FILM,
    L4_SECONDS,
    MESSAGES_OF_A_JOB,
    MESSAGES_OF_A_SEGMENT,
    OBJECTS_OF_A_JOB,
    OBJECTS_OF_A_SEGMENT,
    READS_OF_A_JOB,
    READS_OF_A_SEGMENT,
    SEGMENT_SECONDS,
    SEGMENTS,
    WRITES_OF_A_JOB,
    WRITES_OF_A_SEGMENT,
    new_bytes,
)
from docs.marked import table
from events.requests import Resolution
from pipeline import models, prices

#: A call's machine: one processor, and a GiB at most.
CALL_MICRO_USD = (
    prices.FUNCTION_VCPU_SECOND_MICRO_USD + Fraction(prices.FUNCTION_GIB_SECOND_NANO_USD, 1000)
) * CALL_SECONDS + Fraction(prices.FUNCTION_REQUEST_NANO_USD, 1000)
#: Cloud Storage, a GiB kept for a month; Pub/Sub, a TiB, of which a message is a kB when it is published and again when
#: it is pushed. In micro USD.
KEPT_GIB_MICRO_USD, PUBSUB_TIB_MICRO_USD = 20_000, 40_000_000


def tables() -> dict[str, str]:
    """Give each table as Markdown by the name of its marker."""
    return {"price": _price(), "choices": _choices(), "month": _month()}


def clips_micro_usd() -> Fraction:
    """Give what the clips of a film cost."""
    return _items()[0][2]


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
    calls = sum(CALLS_OF_A_FILM.values())
    messages = SEGMENTS * MESSAGES_OF_A_SEGMENT + MESSAGES_OF_A_JOB
    kept = Fraction(new_bytes(1) * KEPT_GIB_MICRO_USD, 2**30)
    return [
        ("clips by Veo 3.1 fast, 1080p", f"{seconds} s × ${_usd(Fraction(veo))}", Fraction(seconds * veo)),
        ("clips and film, for each month", f"{new_bytes(1) // 10**6} MB × $0.02 a GiB", kept),
        (
            "functions",
            f"{calls} calls, {CALL_SECONDS} s of a processor and a GiB taken for each",
            calls * CALL_MICRO_USD,
        ),
        ("Firestore", f"{reads} reads, {writes} writes", firestore),
        ("Cloud Storage requests", f"{objects} writes", Fraction(objects * prices.WRITE_REQUEST_NANO_USD, 1000)),
        ("Pub/Sub", f"{messages} messages, out and in", Fraction(messages * 2000 * PUBSUB_TIB_MICRO_USD, 2**40)),
    ]


def _choices() -> str:
    """What the same film costs by other models, and what encoding it adds."""
    seconds = SEGMENTS * SEGMENT_SECONDS
    rows = []
    for name, model in (("Veo 3.1", "veo-3.1-generate-"), ("Veo 3.1 lite", "veo-3.1-lite-generate-")):
        rows.append(
            _by_the_second(f"clips by {name}", seconds, models.MODELS[model].second_micro_usd[Resolution.FULL_HD])
        )
    omni = models.MODELS["gemini-omni-1.2-"].second_micro_usd[Resolution.FULL_HD]
    rows.append(_by_the_second("clips by Gemini Omni, whose price at 1080p is not published", seconds, omni))
    rows.append(["encoded by the Transcoder API", "2 min × $0.03", _usd(Fraction(2 * prices.TRANSCODER_HD_MICRO_USD))])
    card = (
        8 * prices.VCPU_SECOND_MICRO_USD + 16 * prices.GIB_SECOND_MICRO_USD + Fraction(prices.L4_SECOND_NANO_USD, 1000)
    )
    rows.append(_by_the_second("encoded on an L4 with 8 processors, at twice its own speed", L4_SECONDS, card))
    return table(["instead, or as well", "arithmetic", "USD"], rows, figures=False) + "\n"


def _by_the_second(name: str, seconds: int, second_micro_usd: Fraction | int) -> list[str]:
    price = Fraction(second_micro_usd)
    return [name, f"{seconds} s × ${_usd(price)}", _usd(seconds * price)]


def _month() -> str:
    """What a month of some films comes to, in words."""
    films = 300
    clips, *others = (micro_usd for _, _, micro_usd in _items())
    return (
        f"{films} such films in a month, a hundred projects with three tries each, are "
        f"${round(films * clips / 10**6):,} for the clips and ${float(films * sum(others)) / 10**6:.2f} for everything "
        "else.\n"
    )


def _usd(micro_usd: Fraction) -> str:
    return f"{float(micro_usd) / 10**6:.6f}".rstrip("0").rstrip(".")
