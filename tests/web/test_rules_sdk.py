"""The rules as an app meets them: through the Firebase JS SDK, in Node."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.web.firestore_rest import FirestoreRest

JOB = "videoJobs/job_abc123"
PLACES = (JOB, f"{JOB}/segments/0", f"{JOB}/scripts/0", f"{JOB}/checkpoints/plan", "users/alice", "locks/lock")


def test_the_firebase_sdk_gives_the_owner_their_own_and_everybody_else_a_permission_denied(
    node_modules: Path, database: FirestoreRest
) -> None:
    for path in PLACES:
        database.seed(path, {"userId": "alice", "state": "queued"})
    where = {"FIRESTORE_EMULATOR_HOST": database.host, "GOOGLE_CLOUD_PROJECT": database.project}

    ran = subprocess.run(
        ["node", "--test", "--test-reporter=tap", "rules.test.mjs"],
        cwd=node_modules.parent,
        env=os.environ | where,
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert ran.returncode == 0, f"{ran.stdout}\n{ran.stderr}"
    # 3 callers × (15 reads + 8 writes), and what is found.
    assert "# pass 70\n" in ran.stdout
    assert "# skipped 0\n" in ran.stdout
