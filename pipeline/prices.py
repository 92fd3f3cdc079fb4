"""What the ways to make a film cost, in millionths of a US dollar. List prices without free tiers, us-central1.

Source: Google's price lists as collected on 2026-11-22; those of storage requests are from general knowledge.
"""

from __future__ import annotations

#: When these prices were looked at.
PRICED_ON = "2026-11-22"

#: Cloud Run, instance-based billing, for a second.
VCPU_SECOND_MICRO_USD = 18
GIB_SECOND_MICRO_USD = 2
#: An L4 without zonal redundancy, for a second.
L4_SECOND_NANO_USD = 186_700
#: Cloud Run, request-based billing (functions), for a second.
FUNCTION_VCPU_SECOND_MICRO_USD = 24
FUNCTION_GIB_SECOND_NANO_USD = 2_500
#: The same, for a request.
FUNCTION_REQUEST_NANO_USD = 400

#: Cloud Storage: a request that writes, lists or composes; and one that reads. In billionths.
WRITE_REQUEST_NANO_USD = 5_000
READ_REQUEST_NANO_USD = 400

#: Transcoder API, for a minute of output: below HD, up to Full HD, above.
TRANSCODER_SD_MICRO_USD = 15_000
TRANSCODER_HD_MICRO_USD = 30_000
TRANSCODER_UHD_MICRO_USD = 60_000

#: Firestore, for 100,000 operations in us-central1: reads, writes.
FIRESTORE_READS_MICRO_USD = 30_000
FIRESTORE_WRITES_MICRO_USD = 90_000


def job_second_micro_usd(vcpus: int, memory_gib: int, *, gpu: bool) -> int:
    """Give what a second of a Cloud Run job costs.

    >>> job_second_micro_usd(4, 16, gpu=True)
    290
    """
    card_nano = L4_SECOND_NANO_USD if gpu else 0
    return (1000 * (vcpus * VCPU_SECOND_MICRO_USD + memory_gib * GIB_SECOND_MICRO_USD) + card_nano) // 1000


def transcoder_micro_usd(duration_ms: int, width_px: int, height_px: int) -> int:
    """Give what the Transcoder API bills for an output of this length and size."""
    pixels = width_px * height_px
    if pixels < 1280 * 720:
        minute = TRANSCODER_SD_MICRO_USD
    elif pixels <= 1920 * 1080:
        minute = TRANSCODER_HD_MICRO_USD
    else:
        minute = TRANSCODER_UHD_MICRO_USD
    return -(-minute * duration_ms // 60_000)
