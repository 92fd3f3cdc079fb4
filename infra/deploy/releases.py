"""Say which rules are released already: Terraform cannot make a release that is there, only take it in.

    LONGREEL_ACCESS_TOKEN=… python infra/deploy/releases.py --project P cloud.firestore firebase.storage/BUCKET

Prints those of the names that are there, a line each. A project may have a release before it has ours: one of its own
app, or one that Google made with the database. Runs with Python's own library alone.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from infra.deploy.firebase import is_there
from infra.smoke.callables import Refused

#: Where Google's API of rules is asked.
RULES = "https://firebaserules.googleapis.com"


def released(project: str, names: list[str], token: str, rules: str = RULES) -> list[str]:
    """Give those of the releases that are there.

    Raises:
        Refused: nobody says so.
    """
    return [
        name
        for name in names
        if is_there(f"look for the release {name}", f"{rules}/v1/projects/{project}/releases/{name}", project, token)
    ]


def main() -> int:
    """Read the command line, print what is there; give the exit status."""
    parser = argparse.ArgumentParser(description="Say which rules of Firebase are released already.")
    parser.add_argument("--project", required=True)
    parser.add_argument("names", nargs="+", metavar="NAME")
    options = parser.parse_args()
    token = os.environ.get("LONGREEL_ACCESS_TOKEN")
    if not token:
        parser.error("give LONGREEL_ACCESS_TOKEN in the environment")
    try:
        sys.stdout.writelines(f"{name}\n" for name in released(options.project, options.names, token))
    except Refused as exc:
        sys.stderr.write(f"  {exc}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
