"""What lies beside the plan of a film that a Cloud Run job makes: our own record, and what the program's tasks leave.

execution.json    ours: who claimed the attempt, which execution runs for it, when its tasks were last heard of
progress.json     the first task's: how far it is, written again and again as long as it lives; `ended` at its end
progress-K.json   the same of task K, from 1
error.json        of any task: what it failed by
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from events.errors import NotFound, PipelineError
from events.names import parse_uri, stitch_name
from events.plan import StitchPlan
from pipeline.object_port import ObjectStore

#: Up to here a task is at its own share, in percent; whoever is behind it joins the film (`gpu_job/stitch.py`).
SHARE_PERCENT = 85


@dataclass(frozen=True, slots=True)
class Sight:
    """A paper as it was when it was last seen to change."""

    generation: int
    #: When that was seen, aware, UTC, by whoever looked: no clocks of two machines are compared.
    at: datetime


@dataclass(frozen=True, slots=True)
class Record:
    """What `execution.json` says."""

    job: str
    #: Aware, UTC.
    claimed_at: datetime
    #: None as long as no answer of Cloud Run was written down.
    execution: str | None = None
    #: Why no machine was found for it; None where one was.
    starved: str | None = None
    #: The tasks' papers by name; one of an empty name stands for none at all.
    seen: Mapping[str, Sight] = field(default_factory=dict)

    def to_json(self) -> bytes:
        """Give the JSON text."""
        said = {
            "job": self.job,
            "claimedAt": self.claimed_at.isoformat(),
            "execution": self.execution,
            "starved": self.starved,
            "seen": {name: [sight.generation, sight.at.isoformat()] for name, sight in self.seen.items()},
        }
        return json.dumps(said).encode()

    @classmethod
    def from_json(cls, content: bytes) -> Record:
        """Read a record.

        Raises:
            PipelineError: it is none of ours.
        """
        try:
            said = json.loads(content)
            seen = {
                name: Sight(int(generation), datetime.fromisoformat(at))
                for name, (generation, at) in said.get("seen", {}).items()
            }
            claimed_at = datetime.fromisoformat(said["claimedAt"])
            return cls(said["job"], claimed_at, said["execution"], said["starved"], seen)
        except (ValueError, KeyError, TypeError, AttributeError) as exc:
            raise PipelineError(f"read execution.json: {exc!r}; delete it if nothing runs for this attempt") from exc

    def looked_at(self, generations: Mapping[str, int], now: datetime) -> Record:
        """Give the record after a look at the tasks' papers."""
        seen = {}
        for name, generation in (generations or {"": 0}).items():
            before = self.seen.get(name)
            seen[name] = before if before and before.generation == generation else Sight(generation, now)
        return replace(self, seen=seen)


@dataclass(frozen=True, slots=True)
class Papers:
    """The papers of one attempt."""

    objects: ObjectStore
    #: `gs://bucket/jobs/{job}/stitch/{attempt}`.
    folder: str

    @classmethod
    def of(cls, objects: ObjectStore, plan: StitchPlan, attempt: int) -> Papers:
        """Give those of an attempt (1-based) at a plan's film."""
        bucket = parse_uri(plan.output_uri).bucket
        return cls(objects, f"gs://{bucket}/{stitch_name(plan.job_id, attempt, '').rstrip('/')}")

    def record(self) -> tuple[int, Record]:
        """Give the record, and its generation.

        Raises:
            NotFound: nobody has claimed the attempt.
        """
        uri = f"{self.folder}/execution.json"
        info = self.objects.stat(uri)
        if info is None:
            raise NotFound(f"read {uri}: there is no such object")
        return info.generation, Record.from_json(self.objects.read(uri, generation=info.generation))

    def write_record(self, record: Record, if_generation: int) -> int:
        """Write the record over this generation of it, 0 for none, and give its new one.

        Raises:
            PreconditionFailed: somebody else has written it.
        """
        return self.objects.write(f"{self.folder}/execution.json", record.to_json(), if_generation).generation

    def delete_record(self) -> None:
        """Give the attempt up for others."""
        self.objects.delete(f"{self.folder}/execution.json")

    def of_tasks(self) -> dict[str, int]:
        """Give the generations of the papers that tell how far the tasks are, by name."""
        found = self.objects.list(f"{self.folder}/progress")
        return {info.uri.rpartition("/")[2]: info.generation for info in found}

    def error(self, execution: str) -> dict[str, Any]:
        """Give what a task of an execution failed by; nothing where none has said."""
        said = self.read("error.json")
        return said if said.get("execution") == execution.rpartition("/")[2] else {}

    def has_ended(self, name: str) -> bool:
        """Tell whether the task of a paper has said that nothing more comes of it."""
        return bool(name) and self.read(name).get("ended") is True

    def percent(self) -> int | None:
        """Give how far all tasks are: as far as the slowest, or as the one that joins the film; None if none says."""
        said = [self.read(name).get("percent") for name in self.of_tasks()]
        percents = [each for each in said if isinstance(each, int) and 0 <= each <= 100]
        if not percents:
            return None
        return max(percents) if max(percents) > SHARE_PERCENT else min(percents)

    def read(self, name: str) -> dict[str, Any]:
        """Read what the program left; nothing where it left nothing that can be read."""
        try:
            said = json.loads(self.objects.read(f"{self.folder}/{name}"))
        except (NotFound, ValueError):
            return {}
        return said if isinstance(said, dict) else {}
