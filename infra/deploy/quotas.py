"""Say what a project may use of the cards, the Transcoder API and Veo, from what `gcloud beta quotas info list` prints.

    gcloud beta quotas info list --service=run.googleapis.com --format=json | python infra/deploy/quotas.py gpu REGION
    … --service=run.googleapis.com … | python infra/deploy/quotas.py processors REGION
    … --service=transcoder.googleapis.com … | python infra/deploy/quotas.py transcoder REGION
    … --service=aiplatform.googleapis.com … | python infra/deploy/quotas.py veo REGION

Prints one line for people; for `gpu` the first word is the number of cards, or `unknown`. A quota that is 0 or not
listed is no error: films are made another way, or wait. Runs with Python's own library alone.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

#: Cloud Run's L4 without zonal redundancy, the only kind that its jobs take.
GPU_QUOTA = "NvidiaL4GpuAllocNoZonalRedundancyPerProjectRegion"
#: Processors of all that runs on Cloud Run in a region, in thousandths; the console calls it `CPU allocation`.
PROCESSORS_QUOTA = "CpuAllocPerProjectRegion"
#: What orders of clips count against. Source: what Vertex AI answers with 429, and its list of metrics of quotas.
_VEO_METRIC = "long_running_online_prediction_requests_per_base_model"

Info = Mapping[str, Any]


def limits(infos: Sequence[Info], region: str) -> Iterator[tuple[str, Mapping[str, str], int]]:
    """Give every limit that holds in a region: its quota's id, its dimensions, its value; -1 for no limit."""
    for info in infos:
        for each in info.get("dimensionsInfos", []):
            dimensions = each.get("dimensions", {})
            where = dimensions.get("region") or dimensions.get("location")
            here = (
                region in each.get("applicableLocations", [])
                if where is None and each.get("applicableLocations")
                else True
            )
            value = each.get("details", {}).get("value")
            if value is not None and (where == region or (where is None and here)):
                yield info["quotaId"], dimensions, int(value)


def gpu_cards(infos: Sequence[Info], region: str) -> int | None:
    """Give how many L4 may run at once in a region; None where it is not listed."""
    return _largest(infos, region, GPU_QUOTA)


def processors(infos: Sequence[Info], region: str) -> int | None:
    """Give how many processors Cloud Run gives at once in a region; None where it is not listed, -1 for no limit."""
    found = _largest(infos, region, PROCESSORS_QUOTA)
    return found // 1000 if found is not None and found > 0 else found


def _largest(infos: Sequence[Info], region: str, quota: str) -> int | None:
    return max((value for name, _, value in limits(infos, region) if name == quota), default=None)


def transcoder_jobs(infos: Sequence[Info], region: str) -> int | None:
    """Give how many jobs of the Transcoder API may run at once in a region; None where it is not listed."""
    found = [value for name, _, value in limits(infos, region) if re.search(r"concurrent", name, re.I)]
    return max(found, default=None)


def veo_requests(infos: Sequence[Info], region: str) -> dict[str, int]:
    """Give how many orders a minute each Veo model takes in a region: the model's name → its limit."""
    told: dict[str, int] = {}
    orders = [info for info in infos if _VEO_METRIC in info.get("metric", "")]
    for _, dimensions, value in limits(orders, region):
        model = dimensions.get("base_model", "")
        if model.startswith("veo"):
            told[model] = max(value, told.get(model, 0))
    return told


def words_of(kind: str, infos: Sequence[Info], region: str) -> str:
    """Give the line for people."""
    if kind == "gpu":
        cards = gpu_cards(infos, region)
        return f"{'unknown' if cards is None else cards} L4 cards at once for Cloud Run jobs in {region}"
    if kind == "processors":
        there = processors(infos, region)
        said = "unknown" if there is None else "unlimited" if there < 0 else str(there)
        return f"{said} processors at once for Cloud Run in {region}; the variable instances_max may be no more"
    if kind == "transcoder":
        jobs = transcoder_jobs(infos, region)
        return f"{'unknown' if jobs is None else jobs} jobs of the Transcoder API at once in {region}"
    models = veo_requests(infos, region)
    listed = ", ".join(f"{name} {value}" for name, value in sorted(models.items())) or "unknown"
    return f"orders a minute of Veo in {region}: {listed}"


def main(arguments: list[str]) -> int:
    """Read the list from stdin and say it; give the exit status."""
    if len(arguments) != 2 or arguments[0] not in {"gpu", "processors", "transcoder", "veo"}:
        sys.stderr.write("usage: … | python infra/deploy/quotas.py gpu|processors|transcoder|veo REGION\n")
        return 64
    kind, region = arguments
    sys.stdout.write(f"{words_of(kind, json.load(sys.stdin), region)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
