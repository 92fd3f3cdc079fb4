"""Deploy, deploy again, take down, deploy over what was left, and delete all: by a real terraform, with nothing made.

    python -m tests.infra.rehearsal

deploy.sh and destroy.sh run as they are; Terraform plans, applies, imports and destroys for real against the stub of
Google's provider, with its state in a file. Only gcloud and the programs that would speak to Google are recorded ones.
It takes a minute, so it is no part of the tests; run it after a change of the scripts or of what they read of infra/.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import grpc
import msgpack

from tests.infra import plugin_messages
from tests.infra.plugin_messages import message
from tests.infra.stub_provider import StubProvider, handler
from tests.infra.terraform import environment, found
from tests.infra.test_deploy import Machine, Ran

# What a deployment says to a provider beyond what a plan does; the numbers are tfplugin5.9.proto's.
plugin_messages.MESSAGES.update(
    {
        "Apply": {"type_name": (1, "string"), "planned_state": (3, "DynamicValue")},
        "Applied": {"new_state": (1, "DynamicValue"), "legacy_type_system": (4, "bool")},
        "Refresh": {"type_name": (1, "string"), "current_state": (2, "DynamicValue")},
        "Refreshed": {"new_state": (1, "DynamicValue")},
        "Upgrade": {"type_name": (1, "string"), "raw_state": (3, "DynamicValue")},
        "Upgraded": {"upgraded_state": (1, "DynamicValue")},
        "Import": {"type_name": (1, "string"), "id": (2, "string")},
        "ImportedOne": {"type_name": (1, "string"), "state": (2, "DynamicValue")},
        "Imported": {"imported_resources": (1, "*ImportedOne")},
    }
)

#: A terraform whose state is in a file here: it takes the place of the bucket's.
_TERRAFORM = """#!/bin/bash
given=()
for each in "$@"; do
    [[ "$each" == -backend-config=* ]] || given+=("$each")
done
exec {program} "${{given[@]}}"
"""


class MakingProvider(StubProvider):
    """A stub that also says yes to making, reading again, importing and deleting."""

    def _handlers(self) -> dict[str, grpc.RpcMethodHandler]:
        return super()._handlers() | {
            "ApplyResourceChange": handler(
                "Apply", lambda asked: message("Applied")(new_state=asked.planned_state, legacy_type_system=True)
            ),
            "ReadResource": handler("Refresh", lambda asked: message("Refreshed")(new_state=asked.current_state)),
            "UpgradeResourceState": handler("Upgrade", self._upgrade),
            "ImportResourceState": handler("Import", self._import),
        }

    def _upgrade(self, asked: Any) -> Any:
        # Raw state has its JSON in field 1, where a dynamic value has msgpack.
        return message("Upgraded")(upgraded_state={"json": asked.raw_state.msgpack})

    def _import(self, asked: Any) -> Any:
        block = self._schema["resources"][asked.type_name]
        empty: dict[str, Any] = dict.fromkeys(block["attributes"])
        empty |= {name: [] for name in block["blocks"]}
        # Timeouts is the one block that may be there once at most.
        empty |= {"timeouts": None} if "timeouts" in block["blocks"] else {}
        values = self._complete("resources", asked.type_name, empty | {"name": asked.id.rpartition("/")[2]})
        state = {"type_name": asked.type_name, "state": {"msgpack": msgpack.packb(values)}}
        return message("Imported")(imported_resources=[state])


def prepare(machine: Machine, provider: StubProvider) -> Mapping[str, str]:
    """Let a machine use the real terraform; give the variables that it needs."""
    shim = machine.bin / "terraform"
    shim.write_text(_TERRAFORM.format(program=found()), encoding="utf-8")
    infra = machine.root / "infra"
    state = json.dumps(str(machine.folder / "state"))
    (infra / "backend_override.tf").write_text(f'terraform {{\n  backend "local" {{\n    path = {state}\n  }}\n}}\n')
    kept = ("TF_", "CHECKPOINT_")
    return {
        **{name: value for name, value in environment().items() if name.startswith(kept)},
        **provider.environment,
        "TMPDIR": str(machine.folder),
    }


def say(title: str, ran: Ran) -> None:
    """Print what a run came to, and its words where it failed."""
    last = [
        line for line in ran.stderr.splitlines() if line.startswith(("Apply complete!", "  Nothing is to be changed."))
    ]
    sys.stdout.write(f"{title}: {'; '.join(last)}\n")
    if ran.status:
        sys.stdout.write(ran.stderr[-6000:])
        raise SystemExit(1)


def main() -> int:
    """Rehearse; give the exit status."""
    with tempfile.TemporaryDirectory(prefix="rehearsal") as name, MakingProvider() as provider:
        machine = Machine(Path(name))
        with machine.world as world:
            variables = prepare(machine, provider)
            say("deploy", machine.run(**variables))
            say("deploy again", again := machine.run(**variables))
            assert "Nothing is to be changed." in again.stderr
            say("destroy", machine.run("destroy", **variables))
            # Terraform let go of both, so they are there still.
            world.keep("buckets", "gs://my-films-4711-longreel-production-media")
            world.keep("databases", "(default)")
            # Google, or another app of the project, may have released rules meanwhile.
            world.keep("releases", "cloud.firestore")
            say("deploy over what was left", machine.run(**variables))
            say("destroy all", machine.run("destroy", DELETE_FILMS="1", **variables))
        left = json.loads((machine.folder / "state").read_text(encoding="utf-8"))["resources"]
        sys.stdout.write(f"{len(left)} resources are left in the state\n")
    return 0 if not left else 1


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    sys.exit(main())
