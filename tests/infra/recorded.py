"""Programs that write down how they are called, in the places of gcloud, terraform and what would speak to Google.

Only for the order of deploy.sh's steps and for what it says when one fails: they know what was made before, and nothing
of what Google or Terraform really do. That is in test_smoke.py (the film), rehearsal.py (a real terraform) and
test_deploy_commands.py (the real gcloud's own list of commands and flags).

Each program is a few lines of bash that ask this process, so that a run of sixty calls takes no minute.
"""

from __future__ import annotations

import json
import re
import socketserver
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Self

#: Asks this process: how many arguments, the arguments, and what a console reads; prints what it answers and ends so.
_SHIM = """#!/bin/bash
read=""
[[ " $* " != *" console "* ]] || read="$(cat)"
exec 3<>/dev/tcp/127.0.0.1/{port}
printf '%s\\0' "$(($# + 2))" {name} "$@" "$read" >&3
IFS= read -r status <&3
# Of a key that it makes, gcloud tells all on stderr.
[[ "$*" != *"api-keys create"* ]] || exec >&2
cat <&3
[[ $status == 0 ]] || echo "that failed, as it was told to" >&2
exit "$status"
"""
#: Python itself, but for the four programs that would speak to Google.
_PYTHON = """#!/bin/bash
case "$* " in
*film.py*--price*) exec {python} "$@" ;;
*film.py* | *sign_in.py* | *firebase.py* | *releases.py*) exec "${{0%/*}}/python-that-asks" "$@" ;;
esac
exec {python} -S "$@"
"""

BUCKET = "gs://my-films-4711-longreel-production-media"
#: What an `apply` of the ground and of the whole make.
GROUND = ("google_artifact_registry_repository.images", "google_storage_bucket.source")
WHOLE = (*GROUND, "google_storage_bucket.media", "google_firestore_database.main")

Answer = tuple[int, str]


def option(arguments: list[str], name: str) -> str:
    """Give the value of `--name=value`, empty where it is not given."""
    return next((each.partition("=")[2] for each in arguments if each.startswith(f"{name}=")), "")


class Recorded:
    """A project in which what was made stays made, and the calls that did it; a context manager.

    Args:
        folder: where the programs are put.
    """

    def __init__(self, folder: Path) -> None:
        self.bin = folder
        self.calls: list[list[str]] = []
        #: Calls that fail; empty for none.
        self.failing = ""
        self.cards = 3
        self.identity: Answer = (0, "")
        self.app_check = False
        self.releases_rules = True
        self.deletes_films = self.deletes_sources = False
        self.terraform_version = "1.11.4"
        self.made: dict[str, list[str]] = {}
        self._server = _Server(("127.0.0.1", 0), _Call)
        self._server.recorded = self

    def __enter__(self) -> Self:
        port = self._server.server_address[1]
        programs = {name: _SHIM.format(port=port, name=name) for name in ("gcloud", "terraform")}
        programs["python-that-asks"] = _SHIM.format(port=port, name="python")
        programs["python"] = _PYTHON.format(python=sys.executable)
        for name, text in programs.items():
            (self.bin / name).write_text(text)
            (self.bin / name).chmod(0o755)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, program: str, arguments: list[str], read: str) -> Answer:
        """Write a call down and answer it: the exit status, and what is printed."""
        self.calls.append([program, *arguments])
        if self.failing and re.search(self.failing, " ".join([program, *arguments, read])):
            return 1, ""
        if program == "gcloud":
            return self._gcloud(arguments)
        return self._python(arguments) if program == "python" else self._terraform(arguments, read.strip())

    # What is there

    def has(self, kind: str, name: str) -> bool:
        """Tell whether something was made."""
        return name in self.made.get(kind, [])

    def all(self, kind: str) -> list[str]:
        """Give everything of a kind."""
        return list(self.made.get(kind, []))

    def keep(self, kind: str, *names: str) -> Answer:
        """Make something."""
        self.made[kind] = [*dict.fromkeys([*self.all(kind), *names])]
        return 0, ""

    def remove(self, kind: str, beginning: str) -> Answer:
        """Remove what begins so."""
        self.made[kind] = [each for each in self.all(kind) if not each.startswith(beginning)]
        return 0, ""

    def _is_there(self, kind: str, name: str, said: str = "") -> Answer:
        return (0, said) if self.has(kind, name) else (1, "")

    # gcloud

    def _gcloud(self, arguments: list[str]) -> Answer:
        words = [each for each in arguments if not each.startswith("-")]
        answers: dict[str, Callable[[list[str]], Answer]] = {
            "auth list": lambda _: (0, "me@example.com"),
            "auth print-access-token": lambda _: (0, "a-token"),
            "projects describe": lambda _: (0, "ACTIVE"),
            "billing projects describe": lambda _: (0, "True"),
            "services list": lambda _: (0, "\n".join(self.all("apis"))),
            "services enable": lambda names: self.keep("apis", *names),
            "beta services identity create": lambda _: self.identity,
            "logging buckets describe": lambda names: self._is_there("deleted logs", names[0], "DELETE_REQUESTED"),
            "logging buckets undelete": lambda names: self.remove("deleted logs", names[0]),
            "beta quotas info list": lambda _: (0, self._quotas(option(arguments, "--service"))),
            "storage buckets describe": lambda names: self._is_there("buckets", names[0]),
            "storage buckets create": lambda names: self.keep("buckets", names[0]),
            "storage buckets update": lambda _: (0, ""),
            "storage objects describe": lambda names: self._is_there("objects", names[0], "12345"),
            "storage cp": lambda names: self.keep("objects", names[1]),
            "storage ls": lambda names: (0 if self._objects(names[0]) else 1, ""),
            "storage rm": lambda names: self.remove("objects", names[0].removesuffix("**")),
            "artifacts docker images describe": lambda names: self._is_there("images", names[0], f"sha256:{'ab' * 32}"),
            "builds submit": lambda _: self._build(option(arguments, "--substitutions")),
            "firestore databases describe": lambda _: (0 if self.all("databases") else 1, ""),
            "iam service-accounts add-iam-policy-binding": lambda _: (0, ""),
            "services api-keys list": lambda _: (0, "".join(self.all("keys"))),
            "services api-keys create": lambda _: self._make_key(),
            "services api-keys delete": lambda _: self.remove("keys", ""),
            "services api-keys get-key-string": lambda _: (0, "a-key"),
        }
        for beginning, answer in answers.items():
            count = len(beginning.split())
            if words[:count] == beginning.split():
                return answer(words[count:])
        return 2, f"nobody told me about {arguments}"

    def _quotas(self, service: str) -> str:
        dimensions = [{"dimensions": {"region": "us-east4"}, "details": {"value": str(self.cards)}}]
        cards = {"quotaId": "NvidiaL4GpuAllocNoZonalRedundancyPerProjectRegion", "dimensionsInfos": dimensions}
        thousandths = [{"applicableLocations": ["us-east4"], "details": {"value": "20000"}}]
        processors = {"quotaId": "CpuAllocPerProjectRegion", "dimensionsInfos": thousandths}
        return json.dumps([cards, processors] if service == "run.googleapis.com" else [])

    def _objects(self, pattern: str) -> list[str]:
        return [each for each in self.all("objects") if each.startswith(pattern.removesuffix("**"))]

    def _build(self, substitutions: str) -> Answer:
        given = dict(each.split("=", 1) for each in substitutions.split(","))
        return self.keep(
            "images", *(f"{given['_REPOSITORY']}/stitch-{kind}:{given['_TAG']}" for kind in ("cpu", "gpu"))
        )

    # What would speak to Google

    def _python(self, arguments: list[str]) -> Answer:
        if arguments[0].endswith("film.py"):
            film = f"{BUCKET}/jobs/job_abc/output/1/film.mp4"
            self.keep("objects", film)
            return 0, film
        if arguments[0].endswith("releases.py"):
            return 0, "\n".join(name for name in arguments if self.has("releases", name))
        return 0, "an-id-token" if arguments[0].endswith("sign_in.py") else ""

    def _make_key(self) -> Answer:
        self.keep("keys", "projects/1/locations/global/keys/k")
        return 0, 'Operation [o] complete. Result: {"keyString": "a-key"}'

    # terraform

    def _terraform(self, arguments: list[str], read: str) -> Answer:
        command, *rest = [each for each in arguments if not each.startswith("-chdir")]
        answers: dict[str, Callable[[], Answer]] = {
            "version": lambda: (0, json.dumps({"terraform_version": self.terraform_version})),
            "init": lambda: (0, ""),
            "plan": lambda: self._plan(rest),
            "show": lambda: (0, self._shown(Path(rest[-1]))),
            "apply": lambda: self._apply(Path(rest[-1])),
            "console": lambda: (0, f'"{self._values()[read]}"'),
            "output": lambda: (0, _OUTPUTS.get(rest[-1]) or _ALL_OUTPUTS),
            "state": lambda: self.remove("state", rest[1]) if rest[0] == "rm" else (0, "\n".join(self.all("state"))),
        }
        return answers[command]()

    def _values(self) -> dict[str, str]:
        return {
            '"${local.bucket_prefix}-media"': BUCKET.removeprefix("gs://"),
            "local.database": "(default)",
            "var.app_check": str(self.app_check).lower(),
            "var.release_firestore_rules": str(self.releases_rules).lower(),
            "var.veo_model": "veo-3.1-fast-generate-001",
        }

    def _shown(self, plan: Path) -> str:
        held = "google_storage_bucket.source" if plan.read_text() == "ground" else "google_storage_bucket.media"
        gone = self.deletes_sources if held.endswith("source") else self.deletes_films
        change = {"address": held, "change": {"actions": ["delete", "create"] if gone else ["no-op"]}}
        prior = {"values": {"root_module": {"resources": [{"address": each} for each in self.all("state")]}}}
        return json.dumps({"planned_values": {"root_module": {}}, "resource_changes": [change], "prior_state": prior})

    def _plan(self, rest: list[str]) -> Answer:
        if "-destroy" in rest:
            wanted = "end"
        elif any(each.startswith("-target") for each in rest):
            wanted = "ground"
        else:
            given = Path(option(rest, "-var-file"))
            wanted = given.read_text()
            # It lies beside the other files only while the whole is planned: infra/.deploy/PROJECT/given.tfvars.json.
            adopted = given.parents[2] / "adopted.tf"
            blocks = re.findall(r"import \{\n(.+?)\n\}", adopted.read_text(), re.S) if adopted.exists() else []
            self.keep("adopted", *(" ".join(each.split()) for each in blocks))
        Path(option(rest, "-out")).write_text(wanted)
        done = all(self.has("state", each) for each in GROUND) if wanted == "ground" else self.has("applied", wanted)
        return 2 if "-detailed-exitcode" in rest and not done else 0, ""

    def _apply(self, plan: Path) -> Answer:
        wanted = plan.read_text() if plan.exists() else ""
        if wanted == "ground":
            return self.keep("state", *GROUND)
        if wanted == "end":
            return self._end()
        if wanted:
            self.made["applied"] = [wanted]
            self.keep("databases", "(default)")
            self.keep("buckets", BUCKET)
            self.keep("state", *WHOLE)
        return 0, ""

    def _end(self) -> Answer:
        if self.has("state", "google_storage_bucket.media"):
            self.remove("buckets", BUCKET)
        if self.has("state", "google_firestore_database.main"):
            self.remove("databases", "")
        self.made |= {"applied": [], "state": []}
        return 0, ""


_OUTPUTS: dict[str, str] = {
    "source_bucket": "my-films-4711-longreel-production-source",
    "build_account": "lr-production-build@my-films-4711.iam.gserviceaccount.com",
    "bucket": BUCKET.removeprefix("gs://"),
    "smoke_account": "lr-production-smoke@my-films-4711.iam.gserviceaccount.com",
    "firestore_database": "(default)",
    "callables": json.dumps({"createJob": "https://create.example", "createUploadUrl": "https://upload.example"}),
}
_ALL_OUTPUTS = json.dumps(
    {
        **{name: {"value": value} for name, value in _OUTPUTS.items()},
        "callables": {"value": json.loads(_OUTPUTS["callables"])},
        "jobs_collection": {"value": "videoJobs"},
        "topic_prefix": {"value": "production-"},
    }
)


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    recorded: Recorded


class _Call(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        count = int(self._word())
        program, *arguments, read = [self._word() for _ in range(count)]
        assert isinstance(self.server, _Server)
        status, said = self.server.recorded.answer(program, arguments, read)
        self.wfile.write(f"{status}\n{said}{chr(10) if said else ''}".encode())

    def _word(self) -> str:
        found = bytearray()
        while (byte := self.rfile.read(1)) not in {b"\0", b""}:
            found += byte
        return found.decode()
