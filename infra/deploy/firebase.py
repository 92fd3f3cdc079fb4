"""Make a project and its bucket known to Firebase, with Authentication; what is there already stays as it is.

    LONGREEL_ACCESS_TOKEN=… python infra/deploy/firebase.py --project P --bucket B

Authentication is needed: without it nobody can be signed in, and every callable refuses. Firebase itself and the bucket
are not, unless an app reads films by the Firebase SDK: where they are refused, which happens to whoever has not yet
accepted Firebase's terms, it is said how to go on, and that is all. Runs with Python's own library alone.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from infra.smoke.callables import Refused, ask_json
from infra.smoke.sign_in import ensure_authentication

#: Adding Firebase to a project takes some seconds; longest that it is waited for.
_ADDED_SECONDS = 60
_LOOK_EVERY_SECONDS = 2.0


@dataclass(frozen=True)
class Doors:
    """Where Google's APIs are asked."""

    identity: str = "https://identitytoolkit.googleapis.com"
    firebase: str = "https://firebase.googleapis.com"
    storage: str = "https://firebasestorage.googleapis.com"


def is_there(doing: str, url: str, project: str, token: str) -> bool:
    """Tell whether something is there.

    Raises:
        Refused: nobody says so.
    """
    try:
        ask_json(doing, "GET", url, token, X_Goog_User_Project=project)
    except Refused as exc:
        if exc.status == 404:
            return False
        raise
    return True


def ensure_firebase(project: str, token: str, doors: Doors) -> bool:
    """Add Firebase to a project that has none; tell whether it was done.

    Raises:
        Refused: it cannot be added, or is not there after a minute.
    """
    url = f"{doors.firebase}/v1beta1/projects/{project}"
    if is_there("look for Firebase", url, project, token):
        return False
    ask_json("add Firebase", "POST", f"{url}:addFirebase", token, {}, X_Goog_User_Project=project)
    until = time.monotonic() + _ADDED_SECONDS
    while not is_there("look for Firebase", url, project, token):
        if time.monotonic() > until:
            raise Refused("add Firebase", 0, f"it is not there after {_ADDED_SECONDS} s")
        time.sleep(_LOOK_EVERY_SECONDS)
    return True


def ensure_bucket(project: str, bucket: str, token: str, doors: Doors) -> bool:
    """Make a bucket known to Firebase; tell whether it was done.

    Raises:
        Refused: it cannot be made known.
    """
    url = f"{doors.storage}/v1beta/projects/{project}/buckets/{bucket}"
    if is_there("look for the bucket in Firebase", url, project, token):
        return False
    ask_json("make the bucket known to Firebase", "POST", f"{url}:addFirebase", token, {}, X_Goog_User_Project=project)
    return True


def ensure_all(project: str, bucket: str, token: str, doors: Doors | None = None) -> list[str]:
    """Do all of it; give what is to be said.

    Raises:
        Refused: there is no Authentication, and none can be made.
    """
    at = doors or Doors()
    said = []
    if ensure_authentication(project, token, at.identity):
        said.append("Firebase Authentication was not there yet and is now")
    try:
        if ensure_firebase(project, token, at):
            said.append("Firebase was added to the project")
        if ensure_bucket(project, bucket, token, at):
            said.append(f"the bucket {bucket} is known to Firebase now")
    except Refused as exc:
        said.append(f"{exc}")
        said.append(
            "Apps that read films by the Firebase SDK need that; everything else works without. Add "
            f"{project} at https://console.firebase.google.com, where its terms are accepted, and deploy again"
        )
    return said


def main() -> int:
    """Read the command line and do it; give the exit status."""
    parser = argparse.ArgumentParser(description="Make a project and its bucket known to Firebase.")
    parser.add_argument("--project", required=True)
    parser.add_argument("--bucket", required=True)
    options = parser.parse_args()
    token = os.environ.get("LONGREEL_ACCESS_TOKEN")
    if not token:
        parser.error("give LONGREEL_ACCESS_TOKEN in the environment")
    try:
        for line in ensure_all(options.project, options.bucket, token):
            sys.stderr.write(f"  {line}\n")
    except Refused as exc:
        sys.stderr.write(f"  {exc}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
