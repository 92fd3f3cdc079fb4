"""The XML side of the storage server: signed URLs, and what a browser asks before it uses one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tests.cloud.servers.http import Answer, LoopbackServer, Refused, Request
from tests.cloud.servers.storage_objects import Objects
from tests.cloud.servers.storage_signing import XmlRefused, check_length, check_signature, conditions_of, fields_of
from tests.cloud.servers.storage_uploads import Uploads, sums_of

_PATH = r"/(?!(?:storage|upload|download|resumable|batch)/)(?P<bucket>[a-z0-9][a-z0-9._-]{1,61}[a-z0-9])/(?P<name>.+)"


class SignedUrls:
    """Adds the routes of signed URLs to a server; they come last, since their paths are any two words.

    Args:
        server: gets the routes.
        objects: what is read and written.
        uploads: takes resumable uploads.
        download: answers a GET whose signature is good.
    """

    def __init__(
        self, server: LoopbackServer, objects: Objects, uploads: Uploads, download: Callable[[Request], Answer]
    ) -> None:
        #: Public keys in PEM, by the signer's email.
        self.signers: dict[str, str] = {}
        self._server, self._objects, self._uploads, self._download = server, objects, uploads, download
        server.route("PUT", r"/_signers/(?P<email>[^/]+)", "signer", self._trust)
        server.route("OPTIONS", r"(?:/.*)?/b/(?P<bucket>[^/]+)/o.*", "cors", self._preflight)
        server.route("OPTIONS", _PATH, "cors", self._preflight)
        server.route("GET HEAD", _PATH, "signed_get", self._get)
        server.route("PUT", _PATH, "signed_put", self._put)
        server.route("POST", _PATH, "signed_begin", self._begin)

    def _trust(self, request: Request) -> Answer:
        self.signers[request.found["email"]] = request.body().decode()
        return Answer(204)

    def _get(self, request: Request) -> Answer:
        check_signature(request, self.signers)
        return self._as_xml(lambda: self._download(request))

    def _put(self, request: Request) -> Answer:
        check_signature(request, self.signers)
        check_length(request)
        return self._as_xml(lambda: self._take(request))

    def _take(self, request: Request) -> Answer:
        bucket, name = request.found["bucket"], request.found["name"]
        conditions = conditions_of(request.headers)
        conditions.check(self._objects.find(bucket, name))
        content = self._objects.take(request.stream.pieces())
        fields = fields_of(request.headers) | sums_of(request.headers)
        made = self._objects.put(bucket, name, content, fields, conditions)
        headers = {"ETag": f'"{made.etag}"', "X-Goog-Generation": str(made.generation)}
        return Answer(200, headers=headers | {"X-Goog-Hash": f"crc32c={made.content.crc32c}"})

    def _begin(self, request: Request) -> Answer:
        if request.headers.get("x-goog-resumable") != "start":
            raise XmlRefused(400, "This server takes a POST only to begin a resumable upload.", "InvalidArgument")
        check_signature(request, self.signers)
        return self._as_xml(lambda: self._start(request))

    def _start(self, request: Request) -> Answer:
        bucket, headers = request.found["bucket"], request.headers
        fields, conditions = fields_of(headers), conditions_of(headers)
        upload_id = self._uploads.begin_session(bucket, request.found["name"], fields, conditions)
        path = f"/upload/storage/v1/b/{bucket}/o?uploadType=resumable&upload_id={upload_id}"
        return Answer(201, headers={"Location": self._server.url + path, "X-GUploader-UploadID": upload_id})

    def _as_xml(self, answer: Callable[[], Answer]) -> Answer:
        codes = {404: "NoSuchKey", 412: "PreconditionFailed", 416: "InvalidRange"}
        try:
            return answer()
        except XmlRefused:
            raise
        except Refused as refused:
            code = codes.get(refused.status, refused.reason)
            raise XmlRefused(refused.status, refused.message, code, refused.headers) from refused

    def _preflight(self, request: Request) -> Answer:
        rule = cors_rule(self._objects.buckets.get(request.found["bucket"], {}), request)
        if rule is None:
            return Answer(200)
        asked = request.headers.get("Access-Control-Request-Headers", "")
        allowed = {name.lower() for name in rule.get("responseHeader", [])}
        if "*" not in allowed and not {name.strip().lower() for name in asked.split(",") if name.strip()} <= allowed:
            return Answer(200)
        headers = {
            "Access-Control-Allow-Methods": ",".join(rule["method"]),
            "Access-Control-Allow-Headers": asked,
            "Access-Control-Max-Age": str(rule.get("maxAgeSeconds", 3600)),
        }
        return Answer(200, headers=headers)


def cors_rule(bucket: Mapping[str, Any], request: Request) -> dict[str, Any] | None:
    """Give the CORS rule of a bucket that a page's request meets; None when there is none."""
    origin = request.headers.get("Origin")
    method = request.headers.get("Access-Control-Request-Method") or request.method
    for rule in bucket.get("cors") or ():
        if {origin, "*"} & set(rule.get("origin", ())) and {method, "*"} & set(rule.get("method", ())):
            return dict(rule)
    return None
