"""A loopback Vertex: Veo's `predictLongRunning` and `fetchPredictOperation`, and Omni's interactions.

It makes real clips and uploads them with Google's storage client under the prefix that the order names, some time
after the order was answered. Whatever it accepts is on `bought`.

    with VertexServer() as server:
        server.rule(Ending.FILTERED, prompt="a dragon")
        server.rule(refuse=429)
        server.rule(cut=True)                    # accepted, and no answer
        server.misbehave(kind="veo.poll", status=503)

Kinds of requests: `veo.submit`, `veo.poll`, `omni.submit`, `omni.poll`, `omni.cancel`.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Self
from uuid import uuid4

from pipeline.models import model_of
from tests.cloud.servers.http import Answer, LoopbackServer, Refused, Request
from tests.cloud.servers.vertex_clips import ClipMaker
from tests.cloud.servers.vertex_orders import Ending, Order, Rule, read_omni, read_veo
from tests.media.clips import read_picture

__all__ = ["Ending", "Order", "Rule", "VertexServer"]

#: A PNG of one pixel.
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d49444154789c6360606060000000050001a5f645400000000049454e44ae426082"
)
_PROJECT = r"/v1beta1/projects/(?P<project>[^/]+)/locations/(?P<location>[^/]+)"
_MODEL = _PROJECT + r"/publishers/google/models/(?P<model>[^/:]+)"
_SAID = {
    400: "The prompt could not be submitted. This prompt contains sensitive words that violate Google's Responsible "
    "AI practices. Try rephrasing the prompt. If you think this was an error, send feedback. Support codes: 42876398",
    401: "Request had invalid authentication credentials.",
    403: "Permission 'aiplatform.endpoints.predict' denied on resource.",
    404: "Publisher Model `{model}` was not found or your project does not have access to it. Please ensure you are "
    "using a valid model version.",
    429: "Quota exceeded for aiplatform.googleapis.com/long_running_online_prediction_requests_per_base_model with "
    "base model: {model}. Please submit a quota increase request.",
    500: "Internal error encountered.",
    503: "The service is currently unavailable.",
}
_STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
}


class Uploader:
    """Writes and reads objects with Google's storage client, which goes to STORAGE_EMULATOR_HOST."""

    def __init__(self) -> None:
        self._client: Any = None

    def __call__(self, uri: str, content: bytes, content_type: str) -> None:
        self._blob(uri).upload_from_string(content, content_type=content_type)

    def read(self, uri: str) -> bytes:
        """Give an object."""
        return bytes(self._blob(uri).download_as_bytes())

    def _blob(self, uri: str) -> Any:
        from google.auth.credentials import AnonymousCredentials
        from google.cloud import storage

        if self._client is None:
            self._client = storage.Client(project="vertex", credentials=AnonymousCredentials())
        bucket, _, name = uri.removeprefix("gs://").partition("/")
        return self._client.bucket(bucket).blob(name)

    def close(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None


class VertexServer(LoopbackServer):
    """Speaks both formats on one port.

    Args:
        port: 0 for a free one.
        latency_seconds: time from an order to its clip; None holds everything back until `work` is called.
        put: writes an object, given its URI, content and media type; None does it with Google's storage client.
        clips: makes the clips; servers may share one.
    """

    def __init__(
        self,
        port: int = 0,
        latency_seconds: float | None = 0.02,
        put: Callable[[str, bytes, str], None] | None = None,
        clips: ClipMaker | None = None,
    ) -> None:
        super().__init__(port)
        self.latency_seconds = latency_seconds
        #: Every order that was accepted, in order.
        self.bought: list[Order] = []
        #: Requests for a clip, also refused ones, by prefix.
        self.submits: Counter[str] = Counter()
        #: Questions by operation.
        self.polls: Counter[str] = Counter()
        #: Whether a clip begins with the picture that it is to start from; else that is ignored, as models may do.
        self.starts_from_images = False
        #: Models that are gone.
        self.retired: set[str] = set()
        self._uploader = Uploader()
        self._put = put or self._uploader
        self._clips = clips or ClipMaker()
        #: Answers instead of everything else, where a test needs words that no rule has.
        self.answers: Callable[[Request], Answer] | None = None
        self._rules: list[Rule] = []
        self._orders: dict[str, Order] = {}
        self._due: list[tuple[float, int, Order]] = []
        self._numbers = itertools.count()
        self._changed = threading.Condition()
        self._working = False
        self.route("POST", _MODEL + ":predictLongRunning", "veo.submit", self._submit_veo)
        self.route("POST", _MODEL + ":fetchPredictOperation", "veo.poll", self._poll_veo)
        self.route("POST", _PROJECT + "/interactions", "omni.submit", self._submit_omni)
        self.route("GET", _PROJECT + "/interactions/(?P<id>[^/]+)", "omni.poll", self._poll_omni)
        self.route("POST", _PROJECT + "/interactions/(?P<id>[^/]+)/cancel", "omni.cancel", self._cancel_omni)

    def handler_of(self, request: Request) -> tuple[str, Callable[[Request], Answer]]:
        kind, handler = super().handler_of(request)
        return kind, self.answers or handler

    def start(self) -> Self:
        super().start()
        threading.Thread(target=self._make_what_is_due, daemon=True).start()
        return self

    def stop(self) -> None:
        self.stopping.set()
        with self._changed:
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._working, 30)
        self._uploader.close()
        super().stop()

    def rule(self, ending: Ending = Ending.CLIP, **fields: Any) -> None:
        """Say what happens to some of the orders; the fields are those of `Rule`. The first that fits is meant."""
        with self._changed:
            self._rules.append(Rule(ending, **fields))

    def work(self, seconds: float = 60) -> None:
        """Make all that was ordered, however long it was to take, and come back when it is there."""
        with self._changed:
            self._due = [(0.0, number, order) for _, number, order in self._due]
            heapq.heapify(self._due)
            self._changed.notify_all()
            done = self._changed.wait_for(lambda: not self._due and not self._working, seconds)
        assert done, "the clips were not made in time"

    def pending(self) -> int:
        """Count the orders that will still be made."""
        with self._changed:
            return len(self._due) + self._working

    def forget(self) -> None:
        """Know no operation any more; what was ordered is made all the same."""
        with self._changed:
            self._orders.clear()

    def times_bought(self, prefix: str) -> int:
        """Count the accepted orders for a prefix."""
        return sum(order.prefix == prefix for order in self.bought)

    def billed_micro_usd(self) -> int:
        """Give what Google would bill: a clip that was made, once."""
        with self._changed:
            return sum(order.price_micro_usd for order in self.bought if order.objects)

    # Orders

    def _submit_veo(self, request: Request) -> Answer:
        _authorised(request)
        name, body = request.found["model"], request.json()
        self._count(str(body.get("parameters", {}).get("storageUri")))
        self._check_model(name)
        operation = f"{request.path.removeprefix('/v1beta1/').partition(':')[0]}/operations/{uuid4()}"
        rule = self._accept(read_veo(name, body), operation)
        return Answer.of_json({} if rule.nameless else {"name": operation})

    def _submit_omni(self, request: Request) -> Answer:
        _authorised(request)
        if request.found["location"] != "global":
            raise Refused(400, "Interactions are served in the location global only.", "FAILED_PRECONDITION")
        body = request.json()
        self._count(str(body.get("response_format", {}).get("gcs_uri")))
        self._check_model(str(body.get("model")))
        order = read_omni(body)
        rule = self._accept(order, f"v1_{uuid4().hex}")
        return Answer.of_json({"status": "in_progress"} if rule.nameless else self._interaction(order))

    def _count(self, prefix: str) -> None:
        with self._changed:
            self.submits[prefix] += 1

    def _check_model(self, name: str) -> None:
        if name in self.retired or model_of(name) is None:
            raise Refused(404, _SAID[404].format(model=name), "NOT_FOUND")

    def _accept(self, order: Order, operation: str) -> Rule:
        with self._changed:
            rule = self._rule_for(order)
            if rule.refuse:
                raise _refusal(rule, rule.refuse, order.model)
            order.operation, order.rule = operation, rule
            self.bought.append(order)
            self._orders[operation] = order
            if rule.ending is not Ending.NEVER:
                latency = self.latency_seconds if rule.latency_seconds is None else rule.latency_seconds
                at = float("inf") if latency is None else time.monotonic() + latency
                heapq.heappush(self._due, (at, next(self._numbers), order))
                self._changed.notify_all()
        if rule.cut:
            raise ConnectionAbortedError
        if rule.answer:
            raise _refusal(rule, rule.answer, order.model)
        return rule

    def _rule_for(self, order: Order) -> Rule:
        for rule in self._rules:
            if rule.prompt in order.prompt:
                if rule.times is not None:
                    rule.times -= 1
                    if rule.times == 0:
                        self._rules.remove(rule)
                return rule
        return Rule()

    # Answers

    def _poll_veo(self, request: Request) -> Answer:
        _authorised(request)
        body = request.json()
        name = str(body.get("operationName"))
        if set(body) != {"operationName"} or not request.path.endswith(
            name.partition("/operations/")[0] + ":fetchPredictOperation"
        ):
            raise Refused(400, f"operationName {name!r} does not belong to this model.", "INVALID_ARGUMENT")
        order = self._known(name)
        answer: dict[str, Any] = {"name": name}
        if order.done:
            answer |= {"done": True, **_veo_result(order)}
        return Answer.of_json(answer)

    def _poll_omni(self, request: Request) -> Answer:
        _authorised(request)
        return Answer.of_json(self._interaction(self._known(request.found["id"])))

    def _cancel_omni(self, request: Request) -> Answer:
        _authorised(request)
        order = self._known(request.found["id"])
        with self._changed:
            if order.done:
                raise Refused(400, "The interaction is not running.", "FAILED_PRECONDITION")
            order.done = order.cancelled = True
            order.updated_at = datetime.now(UTC)
            self._due = [each for each in self._due if each[2] is not order]
            heapq.heapify(self._due)
        return Answer.of_json(self._interaction(order))

    def _known(self, operation: str) -> Order:
        with self._changed:
            self.polls[operation] += 1
            order = self._orders.get(operation)
        if order is None:
            raise Refused(404, f"The operation {operation} does not exist.", "NOT_FOUND")
        return order

    def _interaction(self, order: Order) -> dict[str, Any]:
        updated = order.updated_at.strftime("%Y-%m-%dT%H:%M:%SZ")
        value = {"id": order.operation, "object": "interaction", "model": order.model, "updated": updated}
        return value | _omni_result(order)

    # Work

    def _make_what_is_due(self) -> None:
        while (order := self._next()) is not None:
            try:
                self._make(order)
            except Exception as exc:  # noqa: BLE001 `stop` shows it
                self.failures.append(f"making {order.prefix}: {exc!r}")
            with self._changed:
                order.done, order.updated_at = True, datetime.now(UTC)
                self._working = False
                self._changed.notify_all()

    def _next(self) -> Order | None:
        with self._changed:
            while not self.stopping.is_set():
                wait = self._due[0][0] - time.monotonic() if self._due else None
                if wait is not None and wait <= 0:
                    self._working = True
                    return heapq.heappop(self._due)[2]
                self._changed.wait(None if wait is None else min(wait, 1))
        return None

    def _make(self, order: Order) -> None:
        ending = order.rule.ending
        if ending in {Ending.FILTERED, Ending.ERROR, Ending.NOTHING}:
            return
        start = order.start_image if self.starts_from_images else None
        begins_with = read_picture(self._uploader.read(start)) if start else None
        clip = self._clips.clip(order.prefix, order.seconds, order.ratio, order.operation, begins_with)
        content = {Ending.PICTURE: PNG, Ending.TRUNCATED: clip[: len(clip) // 2]}.get(ending, clip)
        folders = [uuid4().int % 10**19 for _ in range(2 if ending is Ending.TWO else 1)]
        for folder in folders * (2 if ending is Ending.TWICE else 1):
            uri = f"{order.prefix}{folder}/sample_0.mp4"
            self._put(uri, content, "video/mp4")
            order.objects.append(uri)


def _authorised(request: Request) -> None:
    if not (request.headers.get("Authorization") or "").startswith("Bearer "):
        raise Refused(401, _SAID[401], "UNAUTHENTICATED")


def _refusal(rule: Rule, status: int, model: str) -> Refused:
    said = rule.said or _SAID[status].format(model=model)
    return Refused(status, said, _STATUS[status])


def _veo_result(order: Order) -> dict[str, Any]:
    kind = {"@type": "type.googleapis.com/cloud.ai.large_models.vision.GenerateVideoResponse"}
    match order.rule.ending:
        case Ending.ERROR:
            return {"error": {"code": order.rule.code, "message": order.rule.said}}
        case Ending.FILTERED:
            reasons = list(order.rule.reasons)
            return {"response": kind | {"raiMediaFilteredCount": 1, "raiMediaFilteredReasons": reasons}}
        case Ending.NOTHING:
            return {}
        case Ending.UNSAID:
            return {"response": kind}
    videos = [{"gcsUri": uri, "mimeType": "video/mp4"} for uri in dict.fromkeys(order.objects)]
    return {"response": kind | {"raiMediaFilteredCount": 0, "videos": videos}}


def _omni_result(order: Order) -> dict[str, Any]:
    if order.cancelled:
        return {"status": "cancelled"}
    if not order.done:
        return {"status": "in_progress"}
    match order.rule.ending:
        case Ending.ERROR:
            step = {"type": "model_output", "error": {"code": order.rule.code, "message": order.rule.said}}
            return {"status": "failed", "steps": [step]}
        case Ending.FILTERED:
            said = "; ".join(order.rule.reasons)
            return {"status": "failed", "errors": [{"code": "SAFETY", "message": f"Filtered for safety: {said}"}]}
        case Ending.NOTHING | Ending.UNSAID:
            return {"status": "completed", "steps": []}
    content = [{"type": "video", "uri": uri, "mime_type": "video/mp4"} for uri in dict.fromkeys(order.objects)]
    return {"status": "completed", "steps": [{"type": "model_output", "content": content}]}


def main() -> None:
    """Run alone until it is interrupted; STORAGE_EMULATOR_HOST says where the clips go."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--latency-seconds", type=float, default=2.0)
    arguments = parser.parse_args()
    with VertexServer(arguments.port, arguments.latency_seconds) as server:
        print(f"LONGREEL_VERTEX_ENDPOINT={server.url}", flush=True)  # noqa: T201 whoever starts it reads it
        try:
            server.stopping.wait()
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main()
