"""Refuse a plan that would delete films or jobs, or what a deployment runs on; `make destroy` does, when it is told to.

    terraform show -json PLAN > plan.json; python infra/deploy/plan_guard.py plan.json

Exit status: 0 when nothing of the kind is in it, 1 when something is. Runs with Python's own library alone.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

#: What holds what was paid for.
HOLDERS = {"google_storage_bucket.media": "films and clips", "google_firestore_database.main": "jobs"}
#: What a deployment runs on, once it is there; before, both are as good as empty and may be made anew elsewhere.
RUN_ON = {
    "google_artifact_registry_repository.images": "images of its jobs",
    "google_storage_bucket.source": "sources of its functions",
}


def losses(plan: Mapping[str, Any]) -> list[str]:
    """Give what of a plan, as `terraform show -json` has it, would lose something for good."""
    found = []
    there = plan.get("prior_state", {}).get("values", {}).get("root_module", {}).get("resources", [])
    deployed = "google_storage_bucket.media" in {each["address"] for each in there}
    holders = HOLDERS | RUN_ON if deployed else HOLDERS
    for change in plan.get("resource_changes", []):
        held = holders.get(change["address"])
        if held and "delete" in change["change"]["actions"]:
            why = ", ".join(".".join(map(str, path)) for path in change["change"].get("replace_paths", []))
            because = f", because it cannot be changed in place: {why}" if why else ""
            found.append(f"{change['address']} would be deleted, and with it the {held}{because}")
    return found


def main(arguments: list[str]) -> int:
    """Read the plan; give the exit status."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python infra/deploy/plan_guard.py PLAN.json\n")
        return 64
    found = losses(json.loads(Path(arguments[0]).read_text(encoding="utf-8")))
    for each in found:
        sys.stderr.write(f"  {each}\n")
    if found:
        sys.stderr.write("  Set it back, or choose another ENVIRONMENT; nothing was changed.\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
