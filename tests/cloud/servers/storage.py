"""A loopback server that speaks Cloud Storage to Google's own client, by STORAGE_EMULATOR_HOST.

    with StorageServer(folder, buckets=["films"]) as server:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.url)
        server.put("gs://films/a.mp4", content)
        server.misbehave(kind="download", cut_after_bytes=1000)
        server.events.misbehave("double", prefix="jobs/")

Kinds of requests: `get`, `list`, `download`, `upload`, `resumable_begin`, `resumable_chunk`, `compose`, `copy`,
`patch`, `delete`, `bucket`, `signed_get`, `signed_put`, `signed_begin`, `signer`, `cors`. What it lacks answers 501.
"""

from __future__ import annotations

import argparse
import re
import signal
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from tests.cloud.servers.http import Answer, LoopbackServer, Refused, Request
from tests.cloud.servers.storage_events import FinalizeEvents
from tests.cloud.servers.storage_listing import listing
from tests.cloud.servers.storage_objects import Conditions, Objects, StoredObject
from tests.cloud.servers.storage_uploads import Uploads
from tests.cloud.servers.storage_xml import SignedUrls, cors_rule

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_BUCKET = r"/storage/v1/b/(?P<bucket>[^/]+)"
_OBJECT = _BUCKET + r"/o/(?P<name>[^/]+)"
_DOWNLOAD = r"(?:/download)?" + _OBJECT
_UPLOAD = r"(?:/resumable)?/upload" + _BUCKET + "/o"
#: Source: https://cloud.google.com/storage/docs/composite-objects
COMPOSE_SOURCES_MAX = 32
#: A CORS setting with which any page may read and upload.
ANY_PAGE = [{"origin": ["*"], "method": ["*"], "responseHeader": ["*"], "maxAgeSeconds": 3600}]


class StorageServer(LoopbackServer):
    """Cloud Storage on the loopback interface.

    Args:
        folder: where the bytes lie while it runs; None for a temporary one.
        buckets: names of buckets that are there from the start.
        port: 0 for a free one.
    """

    def __init__(self, folder: Path | None = None, buckets: Iterable[str] = (), port: int = 0) -> None:
        super().__init__(port)
        self._temporary = None if folder else tempfile.TemporaryDirectory(prefix="longreel-storage-")
        place = folder or Path(self._temporary.name if self._temporary else "")
        place.mkdir(parents=True, exist_ok=True)
        #: Who hears of new objects, and what goes wrong with that.
        self.events = FinalizeEvents(self._resource)
        #: What is stored; a second hand for tests.
        self.objects = Objects(place, self.events.finalized)
        self._uploads = Uploads(self.objects, self._resource)
        for name in buckets:
            self.objects.create_bucket(name)
        self._add_bucket_routes()
        self._add_object_routes()
        self._add_upload_routes()
        self._signed_urls = SignedUrls(self, self.objects, self._uploads, self._download)

    def stop(self) -> None:
        """Stop, after Pub/Sub has every event; the objects are gone where the folder was temporary."""
        try:
            self.events.close()
        finally:
            super().stop()
            if self._temporary is not None:
                self._temporary.cleanup()

    @property
    def downloaded_bytes(self) -> int:
        """Bytes of objects that clients have fetched."""
        return self.log.sent_bytes["download"] + self.log.sent_bytes["signed_get"]

    @property
    def uploaded_bytes(self) -> int:
        """Bytes of bodies that clients have sent."""
        return self.log.received_bytes.total()

    def put(self, uri: str, content: bytes, **fields: Any) -> StoredObject:
        """Write an object without a request; fields such as `contentType="video/mp4"`; an event follows."""
        bucket, _, name = uri.removeprefix("gs://").partition("/")
        return self.objects.put(bucket, name, self.objects.take([content]), fields)

    def find(self, uri: str) -> StoredObject | None:
        """Give an object without a request; None when there is none. `.content.read()` gives its bytes."""
        bucket, _, name = uri.removeprefix("gs://").partition("/")
        return self.objects.find(bucket, name)

    def notify(self, topic_path: str, prefix: str = "") -> None:
        """Publish finalize events of objects below `prefix` on `projects/p/topics/t`, by PUBSUB_EMULATOR_HOST."""
        self.events.notify(topic_path, prefix)

    def trust(self, email: str, public_key_pem: str) -> None:
        """Take URLs that this signer signed; an emulated one introduces itself by `PUT /_signers/{email}`."""
        self._signed_urls.signers[email] = public_key_pem

    def decorate(self, request: Request, answer: Answer) -> None:
        """Let a page of another origin read the answer, where the bucket's CORS setting says so."""
        rule = cors_rule(self.objects.buckets.get(request.found.get("bucket", ""), {}), request)
        if rule is not None:
            answer.headers["Access-Control-Allow-Origin"] = request.headers["Origin"]
            answer.headers["Access-Control-Expose-Headers"] = ",".join(rule.get("responseHeader", ()))

    def _add_bucket_routes(self) -> None:
        self.route("POST", "/storage/v1/b", "bucket", self._create_bucket)
        self.route("GET", "/storage/v1/b", "bucket", self._list_buckets)
        self.route("GET", _BUCKET, "bucket", lambda request: Answer.of_json(self._bucket(request)))
        self.route("PATCH PUT", _BUCKET, "bucket", self._patch_bucket)
        self.route("DELETE", _BUCKET, "bucket", self._delete_bucket)

    def _add_object_routes(self) -> None:
        self.route("GET", _BUCKET + "/o", "list", self._list)
        self.route("GET HEAD", "/download" + _OBJECT, "download", self._download)
        self.route("GET HEAD", _OBJECT, "download", self._download, lambda request: request.query.get("alt") == "media")
        self.route("GET", _OBJECT, "get", self._get)
        self.route("PATCH PUT", _OBJECT, "patch", self._patch)
        self.route("DELETE", _OBJECT, "delete", self._delete)
        self.route("POST", _OBJECT + "/compose", "compose", self._compose)
        target = r"/b/(?P<to_bucket>[^/]+)/o/(?P<to_name>[^/]+)"
        self.route("POST", _OBJECT + "/(?P<how>copyTo|rewriteTo)" + target, "copy", self._copy)

    def _add_upload_routes(self) -> None:
        def is_type(kind: str) -> Callable[[Request], bool]:
            return lambda request: request.query.get("uploadType") == kind

        def is_session(request: Request) -> bool:
            return "upload_id" in request.query

        self.route("PUT POST", _UPLOAD, "resumable_chunk", self._uploads.resume, is_session)
        self.route("DELETE", _UPLOAD, "resumable_chunk", self._uploads.cancel, is_session)
        self.route(
            "POST", _UPLOAD, "upload", lambda request: self._made(self._uploads.media(request)), is_type("media")
        )
        multipart = is_type("multipart")
        self.route("POST", _UPLOAD, "upload", lambda request: self._made(self._uploads.multipart(request)), multipart)
        self.route("POST PUT", _UPLOAD, "resumable_begin", self._begin, is_type("resumable"))

    def _made(self, made: StoredObject) -> Answer:
        return Answer.of_json(self._resource(made))

    def _resource(self, made: StoredObject) -> dict[str, Any]:
        return made.resource(self.url)

    def _create_bucket(self, request: Request) -> Answer:
        fields = request.json()
        return Answer.of_json(self.objects.create_bucket(str(fields.pop("name", "")), fields))

    def _list_buckets(self, request: Request) -> Answer:
        return Answer.of_json({"kind": "storage#buckets", "items": list(self.objects.buckets.values())})

    def _bucket(self, request: Request) -> dict[str, Any]:
        return self.objects.bucket(request.found["bucket"])

    def _patch_bucket(self, request: Request) -> Answer:
        bucket = self._bucket(request)
        bucket.update(request.json(), metageneration=str(int(bucket["metageneration"]) + 1))
        return Answer.of_json(bucket)

    def _delete_bucket(self, request: Request) -> Answer:
        self.objects.delete_bucket(request.found["bucket"])
        return Answer(204)

    def _list(self, request: Request) -> Answer:
        found = self.objects.listed(request.found["bucket"])
        return Answer.of_json(listing(found, request.query, self._resource))

    def _present(self, request: Request) -> StoredObject:
        present = self.objects.get(request.found["bucket"], request.found["name"], request.query.get("generation"))
        # A condition that is not met says 304 to a reader that has that version already.
        Conditions.of_query(request.query).check(present, refusal=304)
        return present

    def _get(self, request: Request) -> Answer:
        return self._made(self._present(request))

    def _download(self, request: Request) -> Answer:
        """Give an object's bytes, or the asked range of them."""
        present = self._present(request)
        start, end, status = _range(request.headers.get("Range"), present.content.size_bytes)
        headers = _download_headers(present)
        if status == 206:
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{present.content.size_bytes}"
        return Answer(status, present.content.pieces(start, end), headers, present.content_type, end - start)

    def _patch(self, request: Request) -> Answer:
        conditions = Conditions.of_query(request.query)
        found = request.found
        return self._made(self.objects.patch(found["bucket"], found["name"], request.json(), conditions))

    def _delete(self, request: Request) -> Answer:
        query = request.query
        bucket, name = request.found["bucket"], request.found["name"]
        self.objects.delete(bucket, name, query.get("generation"), Conditions.of_query(query))
        return Answer(204)

    def _compose(self, request: Request) -> Answer:
        order, bucket = request.json(), request.found["bucket"]
        wanted = order.get("sourceObjects") or []
        if not 1 <= len(wanted) <= COMPOSE_SOURCES_MAX:
            raise Refused(400, f"The number of source components provided ({len(wanted)}) is not 1 to 32.", "invalid")
        sources = [self._source(bucket, source) for source in wanted]
        whole = self.objects.take(piece for source in sources for piece in source.content.pieces())
        count = sum(source.component_count or 1 for source in sources)
        fields = order.get("destination") or {}
        conditions = Conditions.of_query(request.query)
        return self._made(self.objects.put(bucket, request.found["name"], whole, fields, conditions, count))

    def _source(self, bucket: str, source: dict[str, Any]) -> StoredObject:
        found = self.objects.get(bucket, str(source.get("name")), source.get("generation"))
        wanted = (source.get("objectPreconditions") or {}).get("ifGenerationMatch")
        Conditions(None if wanted is None else int(wanted)).check(found)
        return found

    def _copy(self, request: Request) -> Answer:
        found, query = request.found, request.query
        source = self.objects.get(found["bucket"], found["name"], query.get("sourceGeneration"))
        Conditions.of_query(query, "ifSource").check(source)
        fields, conditions = {**source.fields, **request.json()}, Conditions.of_query(query)
        content, count = source.content, source.component_count
        made = self.objects.put(found["to_bucket"], found["to_name"], content, fields, conditions, count)
        if found["how"] == "copyTo":
            return self._made(made)
        size = str(made.content.size_bytes)
        done = {"kind": "storage#rewriteResponse", "done": True, "objectSize": size, "totalBytesRewritten": size}
        return Answer.of_json({**done, "resource": self._resource(made)})

    def _begin(self, request: Request) -> Answer:
        upload_id = self._uploads.begin(request)
        where = f"{self.url}{request.path}?uploadType=resumable&upload_id={upload_id}"
        return Answer(200, headers={"Location": where, "X-GUploader-UploadID": upload_id})


def _range(said: str | None, size: int) -> tuple[int, int, int]:
    """Give start, end and status of what a `Range` header asks for; a header of another kind asks for everything."""
    found = _RANGE.fullmatch(said or "")
    if found is None or not any(found.groups()):
        return 0, size, 200
    first, last = found.groups()
    start = int(first) if first else max(0, size - int(last))
    end = min(size, int(last) + 1) if first and last else size
    if start >= size or end <= start:
        raise Refused(416, "The requested range cannot be satisfied.", headers={"Content-Range": f"bytes */{size}"})
    return start, end, 206


def _download_headers(present: StoredObject) -> dict[str, str]:
    sums = f"crc32c={present.content.crc32c}"
    if present.component_count is None:
        sums += f",md5={present.content.md5}"
    return {
        "X-Goog-Generation": str(present.generation),
        "X-Goog-Metageneration": str(present.metageneration),
        "X-Goog-Hash": sums,
        "X-Goog-Stored-Content-Length": str(present.content.size_bytes),
        "X-Goog-Stored-Content-Encoding": "identity",
        "Accept-Ranges": "bytes",
        "ETag": f'"{present.etag}"',
    }


def main() -> None:
    """Serve until the process is told to end; prints the URL once it answers."""
    parser = argparse.ArgumentParser(description="Cloud Storage on the loopback interface")
    parser.add_argument("--port", type=int, default=0, help="0 for a free one")
    parser.add_argument("--folder", type=Path, help="where the bytes lie; a temporary one when left out")
    parser.add_argument("--bucket", action="append", default=[], help="a bucket to make; any page may upload to it")
    parser.add_argument("--notify", metavar="TOPIC_PATH", help="projects/p/topics/t that hears of new objects")
    parser.add_argument("--prefix", default="", help="of the objects that the topic hears of")
    said = parser.parse_args()
    with StorageServer(said.folder, port=said.port) as server:
        for bucket in said.bucket:
            server.objects.create_bucket(bucket, {"cors": ANY_PAGE})
        if said.notify:
            server.notify(said.notify, said.prefix)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: server.stopping.set())
        sys.stdout.write(f"{server.url}\n")
        sys.stdout.flush()
        server.stopping.wait()


if __name__ == "__main__":
    main()
