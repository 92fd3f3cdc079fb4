"""Where each document is.

videoJobs/{jobId}                       the job
videoJobs/{jobId}/segments/{index}      a segment that something has happened to
videoJobs/{jobId}/scripts/{name}        what many segments begin with
locks/{collection}:{kind}:{scope}       which job its user's project is busy with
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from urllib.parse import quote

from pipeline.ports import Overdue
from pipeline.records import Job

SEGMENTS = "segments"
SCRIPTS = "scripts"
#: Firestore takes ids of 1,500 bytes; a longer scope is named by its digest.
_SCOPE_BYTES_MAX = 1000


@dataclass(frozen=True, slots=True)
class Paths:
    """The paths of one deployment's documents."""

    #: Collection of the jobs.
    jobs: str
    #: Collection of the locks.
    locks: str

    def job(self, job_id: str) -> str:
        """Give the path of a job."""
        return f"{self.jobs}/{job_id}"

    def segments(self, job_id: str) -> str:
        """Give the path of the collection of a job's segments."""
        return f"{self.jobs}/{job_id}/{SEGMENTS}"

    def segment(self, job_id: str, index: int) -> str:
        """Give the path of a segment."""
        return f"{self.jobs}/{job_id}/{SEGMENTS}/{index}"

    def script(self, job_id: str, name: str) -> str:
        """Give the path of a script."""
        return f"{self.jobs}/{job_id}/{SCRIPTS}/{name}"

    def lock(self, job: Job) -> str:
        """Give the path of the lock that the job needs to be active."""
        scope = quote(job.scope, safe="")
        if len(scope) > _SCOPE_BYTES_MAX:
            scope = hashlib.sha256(scope.encode()).hexdigest()
        return f"{self.locks}/{self.jobs}:{job.kind.value}:{scope}"

    def overdue(self, path: str) -> Overdue | None:
        """Tell which job or segment a document is; None for somebody else's document.

        Other collections of the user's app may be called `segments` too.
        """
        parts = path.split("/")
        if parts[0] != self.jobs:
            return None
        if len(parts) == 2:
            return Overdue(parts[1], None)
        if len(parts) == 4 and parts[2] == SEGMENTS and parts[3].isascii() and parts[3].isdecimal():
            return Overdue(parts[1], int(parts[3]))
        return None


def is_id(job_id: str) -> bool:
    """Tell whether a document can be called so."""
    return bool(job_id) and "/" not in job_id and job_id not in {".", ".."} and len(job_id) <= 100
