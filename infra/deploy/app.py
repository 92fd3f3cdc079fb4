"""Say what an app, and an operator, need to know of a deployment, from what `terraform output -json` prints.

    terraform output -json | python infra/deploy/app.py PROJECT

Runs with Python's own library alone.
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping
from typing import Any


def words_of(outputs: Mapping[str, Any], project: str) -> str:
    """Give the lines for people: the callables' addresses, where jobs and films are, what an operator's shell needs."""
    told = {name: each["value"] for name, each in outputs.items()}
    lines = ["", "  What your app needs to know. Callables, for httpsCallableFromURL of the Firebase SDK:"]
    lines += [f"    {name:<17} {address}" for name, address in sorted(told["callables"].items())]
    database = f"Firestore's database {told['firestore_database']} in {project}"
    lines += [f"  Jobs: collection {told['jobs_collection']} of {database}", f"  Films: gs://{told['bucket']}"]
    shell = {
        "GOOGLE_CLOUD_PROJECT": project,
        "LONGREEL_BUCKET": told["bucket"],
        "LONGREEL_TOPIC_PREFIX": told["topic_prefix"],
        "LONGREEL_FIRESTORE_DATABASE": told["firestore_database"],
        "LONGREEL_JOBS_COLLECTION": told["jobs_collection"],
    }
    lines += [
        "  For `longreel dead-letters` on your machine, after gcloud auth application-default login:",
        *(f"    export {name}={shlex.quote(value)}" for name, value in shell.items()),
    ]
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    """Read the outputs from stdin and say them; give the exit status."""
    if len(arguments) != 1:
        sys.stderr.write("usage: terraform output -json | python infra/deploy/app.py PROJECT\n")
        return 64
    sys.stdout.write(f"{words_of(json.load(sys.stdin), arguments[0])}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
