"""The film that the tables of `deploying.md` reckon with: what it is made of, and what it takes."""

from __future__ import annotations

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
#: Calls of each function that a film takes, and how long one is taken to last. An assumption: no machine here has made
#: one in Google's cloud.
CALLS_OF_A_FILM = {
    "create_job": 1,
    "on_requested": 1,
    "on_segment_requested": SEGMENTS,
    "on_object_finalized": SEGMENTS * OBJECTS_OF_A_SEGMENT + OBJECTS_OF_A_JOB,
    "on_segment_done": SEGMENTS,
    "on_stitch_requested": 1,
}
CALL_SECONDS, SPLICE_SECONDS = 1, 10


def new_bytes(films: int) -> int:
    """Give what films and their clips weigh; a film is as long as its clips together."""
    return films * 2 * SEGMENTS * SEGMENT_SECONDS * CLIP_BITRATE_BPS // 8
