"""Every number that the machines wait, count or stop by. Each has a unit and a reason."""

from __future__ import annotations

from datetime import timedelta

from events.messages import Topic

#: Tries that a segment or a stitch gets before it has failed. Source: requirements S0-50.
TRIES_MAX = 3
#: Times that whatever is to begin a stitch may die before the stitch is known to have begun. That is no try: no work
#: has failed, and the clips are paid for. It has an end nevertheless, since the next may die of the same: each takes a
#: lease of three minutes in the cloud, so that a job says within about an hour that it cannot be begun.
DEATHS_MAX = 20
#: Times that a failed job may be resumed. Source: requirements S0-59, `retry_count < 3`.
RESUMES_MAX = 3

#: First wait after a failure; doubles with each further try.
BACKOFF_FIRST = timedelta(seconds=2)
#: Longest wait between tries. Source: Eventarc's own ceiling is 600 s; nobody watches a bar that long.
BACKOFF_LONGEST = timedelta(seconds=60)
#: Wait after a provider said "quota used up": quotas are counted by the minute. Source: Veo, 10 requests a minute.
QUOTA_WAIT = timedelta(seconds=60)
#: Longest wait that a provider may ask for in `Retry-After`: nobody is made to wait for half a day by one header.
RETRY_AFTER_LONGEST = timedelta(hours=1)

#: How long a claim holds while the generator's submit call runs; a submit answers within seconds.
CLAIM_LEASE = timedelta(seconds=90)
#: When a generation without a word becomes worth a look. Source: Veo takes 30 s to 3 min.
GENERATION_PATIENCE = timedelta(minutes=4)
#: Time between looks at a generation that says it is still running.
GENERATION_POLL = timedelta(seconds=60)
#: When an attempt is given up although it is said to run, or although its order can be given again for nothing.
GENERATION_LONGEST = timedelta(hours=1)
#: How long a pending segment waits for its message before the sweep sends another.
REQUEST_PATIENCE = timedelta(seconds=60)

#: How long a claim holds while a stitch is planned, routed and started; a splice on the spot happens in it.
STITCH_LEASE = timedelta(minutes=3)
#: When a running stitch without a word becomes worth a look.
STITCH_PATIENCE = timedelta(minutes=2)

#: When an untouched queued job is asked for again.
QUEUED_PATIENCE = timedelta(seconds=60)
#: When a generating job of which no segment ended is looked at.
JOB_PATIENCE = timedelta(minutes=2)
#: When a job that is over but has open segments is tidied again.
CLOSING_PATIENCE = timedelta(seconds=60)
#: Every job ends: one that is still active this long after it was created or resumed has failed.
JOB_LONGEST = timedelta(hours=24)

#: Share of the progress bar that generation fills; the rest is the stitch. In percent.
GENERATION_PERCENT = 90

#: The Transcoder API takes no clip that is shorter. Source: its own reference, `Input.uri`.
TRANSCODER_SHORTEST_MS = 5000

#: Active jobs that one user may have at once, unless the configuration says otherwise.
ACTIVE_JOBS_MAX = 3

#: How old an event may be when it is handled; an older one is recorded and let go, because the sweep has long
#: mended what it was about. Source: requirements S0-15 and R12; what tells of an object may come as late as it likes
#: within Pub/Sub's own memory, because it brings home what was paid for.
EVENT_LONGEST = {
    Topic.REQUESTED: timedelta(hours=1),
    Topic.SEGMENT_REQUESTED: timedelta(hours=1),
    Topic.SEGMENT_DONE: timedelta(hours=24),
    Topic.STITCH_REQUESTED: timedelta(hours=1),
    Topic.OBJECT_FINALIZED: timedelta(days=7),
    Topic.TRANSCODER_REPORTS: timedelta(hours=24),
    Topic.SWEEP: timedelta(minutes=5),
}
