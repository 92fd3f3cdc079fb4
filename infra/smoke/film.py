"""The smoke film: what an app does, done once after a deployment. Ends with the film's path, or says what went wrong.

    LONGREEL_ID_TOKEN=… python infra/smoke/film.py --create-job URL --create-upload-url URL --documents URL [--kind veo]

`--kind clips`, the default, uploads the two small clips that lie beside this file and has them spliced: all callables'
doors, the upload, the rules, the topics and the splice are in it, and it costs about $0.0001. `--kind veo` has Veo make
one clip of four seconds instead; `--price` says what that costs, and makes nothing. Only `--price` needs more than
Python's own library.

Progress goes to stderr, the film's path alone to stdout. Exit status: 0 for a film, 1 for none.
"""

from __future__ import annotations

import argparse
import os
import secrets
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from infra.smoke.callables import Refused, ask, ask_json, call, patiently

CLIPS = tuple(Path(__file__).with_name(name) for name in ("one.mp4", "two.mp4"))
PROMPT = "A small paper boat on a still pond at dawn, seen from above; a leaf drifts past it."
#: The shortest that Veo makes.
VEO_MS = 4000
#: Longest that a film may take: cold functions and a splice are a minute, Veo needs two or three.
PATIENCE_SECONDS = 900
_LOOK_EVERY_SECONDS = 2.0
_OVER = {"completed", "failed", "cancelled", "expired"}


@dataclass(frozen=True)
class Deployed:
    """Where what was deployed can be asked."""

    create_job: str
    create_upload_url: str
    #: What a document's path is appended to: `https://firestore.googleapis.com/v1/projects/…/documents`.
    documents: str


class NoFilm(Exception):
    """There is no film; the text says why and where to look."""


def make_film(deployed: Deployed, token: str, kind: str, *, look_every_seconds: float = _LOOK_EVERY_SECONDS) -> str:
    """Have a film made as the signed-in user; give its path, `gs://bucket/object`.

    Args:
        deployed: where to ask.
        token: the user's Firebase ID token.
        kind: `clips` or `veo`.
        look_every_seconds: how often the job is looked at.

    Raises:
        Refused: something was refused, or does not answer.
        NoFilm: the job came to nothing, or takes too long.
    """
    made = call(deployed.create_job, token, _request(deployed, token, kind))
    _say(f"  {made['jobId']}: ${made['estimatedUsd']:.4f} estimated before the stitch")
    until = time.monotonic() + PATIENCE_SECONDS
    said = ""
    while time.monotonic() < until:
        job = _look(deployed, token, made["listen"])
        news = f"  {job.get('progress', 0):>3} %  {job.get('message', job['state'])}"
        if news != said:
            _say(said := news)
        if job["state"] in _OVER:
            return _film_of(made["jobId"], job)
        time.sleep(look_every_seconds)
    raise NoFilm(
        f"{made['jobId']} is not over after {PATIENCE_SECONDS} s. Was its topic's message delivered? Look at the logs "
        f"with jobId={made['jobId']}, and at the dead letters; docs/operating.md goes on from there."
    )


def _request(deployed: Deployed, token: str, kind: str) -> dict[str, Any]:
    # One that hangs from an earlier smoke film gives way; the same call again finds the same job.
    request: dict[str, Any] = {
        "title": "Smoke film",
        "projectId": "smoke",
        "forceRestart": True,
        "requestId": f"smoke-{secrets.token_hex(8)}",
    }
    if kind == "veo":
        return {**request, "generator": "veo", "prompts": [{"prompt": PROMPT, "durationMs": VEO_MS}]}
    return {**request, "engine": "splice", "clips": [_upload(deployed, token, clip) for clip in CLIPS]}


def _upload(deployed: Deployed, token: str, clip: Path) -> str:
    content = clip.read_bytes()
    asked = {"filename": clip.name, "contentType": "video/mp4", "sizeBytes": len(content)}
    leave = call(deployed.create_upload_url, token, asked)
    try:
        ask(f"upload {clip.name}", "PUT", leave["uploadUrl"], leave["headers"], content)
    except Refused as exc:
        # It may be written only once: an upload whose answer got lost is there.
        if exc.status != 412:
            raise
    path: str = leave["clipPath"]
    _say(f"  uploaded {path}")
    return path


def _look(deployed: Deployed, token: str, path: str) -> dict[str, Any]:
    # Rules that were just released are known everywhere within a minute.
    found = patiently(
        lambda: ask_json(f"read {path} as its user", "GET", f"{deployed.documents}/{path}", token),
        lambda exc: exc.status == 403,
    )
    return {name: _plain(value) for name, value in found["fields"].items()}


def _plain(value: Mapping[str, Any]) -> Any:
    """Give a value of Firestore's REST door as Python has it."""
    [(kind, inner)] = value.items()
    if kind == "mapValue":
        return {name: _plain(each) for name, each in inner.get("fields", {}).items()}
    if kind == "arrayValue":
        return [_plain(each) for each in inner.get("values", [])]
    return int(inner) if kind == "integerValue" else None if kind == "nullValue" else inner


def _film_of(job_id: str, job: Mapping[str, Any]) -> str:
    if job["state"] != "completed":
        errors = [each["message"] for each in (job.get("error"), job.get("stitchError")) if each]
        raise NoFilm(f"{job_id} is {job['state']}: {' '.join(errors) or job.get('message')}")
    _say(f"  ${job['cost']['spentUsd']:.4f} spent")
    path: str = job["film"]["uri"]
    return path


def price_usd(kind: str, veo_model: str) -> float:
    """Give what a film costs at list prices, before the stitch."""
    if kind != "veo":
        return 0.0
    try:
        from events.requests import Resolution
        from pipeline.models import clip_micro_usd, model_of
    except ModuleNotFoundError as exc:
        raise SystemExit(f"The price needs {exc.name}: run `make .venv/local` once, then go on") from exc
    model = model_of(veo_model)
    if model is None:
        raise SystemExit(f"There is no price of {veo_model}; pipeline/models.py knows what Veo's models cost")
    return clip_micro_usd(model, Resolution.HD, VEO_MS) / 1_000_000


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def main() -> int:
    """Read the command line and do it; give the exit status."""
    parser = argparse.ArgumentParser(description="Have one small film made by what was deployed.")
    parser.add_argument("--kind", choices=["clips", "veo"], default="clips")
    parser.add_argument("--price", metavar="VEO_MODEL", help="say what it costs and make nothing")
    for name in ("--create-job", "--create-upload-url", "--documents"):
        parser.add_argument(name, metavar="URL")
    options = parser.parse_args()
    if options.price is not None:
        sys.stdout.write(f"{price_usd(options.kind, options.price):.2f}\n")
        return 0
    token = os.environ.get("LONGREEL_ID_TOKEN")
    if not token or not (options.create_job and options.create_upload_url and options.documents):
        parser.error("give all three URLs, and a user's ID token in LONGREEL_ID_TOKEN")
    deployed = Deployed(options.create_job, options.create_upload_url, options.documents.rstrip("/"))
    try:
        sys.stdout.write(f"{make_film(deployed, token, options.kind)}\n")
    except (Refused, NoFilm) as exc:
        _say(f"The smoke film: {exc}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
