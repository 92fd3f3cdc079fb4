"""Upload URLs: what they allow is one object, once, of one type and length; and who signs them."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import google.auth.iam
import pytest
import requests
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from google.auth.compute_engine import _metadata
from google.auth.credentials import Signing
from google.auth.crypt import RSASigner
from google.cloud.storage.client import Client

from adapters.gcs import CloudObjectStore
from adapters.gcs_client import storage_client
from adapters.gcs_upload_urls import UploadUrl, UploadUrls, by_service_account, by_throwaway_key
from events.errors import BadMessage, InvalidRequest, NotAllowed, Unavailable
from pipeline.upload_port import SignedUpload, Uploads
from tests.cloud.servers.http import Answer, LoopbackServer, Request
from tests.cloud.servers.storage import StorageServer
from tests.contract.cloud_object_rigs import BUCKET

SECONDS = 30
NAME = "users/u1/uploads/abc/höhle 1.mp4"
MINUTE = timedelta(minutes=1)


@pytest.fixture
def urls(client: Client) -> UploadUrls:
    return UploadUrls(lambda: client, BUCKET, lambda: by_throwaway_key(client))


def put(signed: UploadUrl, content: bytes, **changed: str | None) -> requests.Response:
    said = {**signed.headers, **{name.replace("_", "-"): value for name, value in changed.items()}}
    headers = {name: value for name, value in said.items() if value is not None}
    return requests.put(signed.url, data=content, headers=headers, timeout=SECONDS)


def test_it_is_the_port_of_uploads(urls: UploadUrls) -> None:
    port: Uploads = urls
    signed: SignedUpload = port.sign(NAME, "video/mp4", 5, MINUTE)

    assert timedelta(seconds=55) < signed.expires_at - datetime.now(UTC) <= MINUTE


def test_an_upload_by_url_becomes_the_object_and_is_told_of(
    server: StorageServer, client: Client, urls: UploadUrls
) -> None:
    told: list[str] = []
    server.events.listeners.append(lambda made: told.append(made.name))

    answer = put(urls.sign(NAME, "video/mp4", 5, MINUTE), b"hello")

    assert answer.status_code == 200, answer.text
    assert CloudObjectStore(lambda: client).read(f"gs://{BUCKET}/{NAME}") == b"hello"
    found = server.find(f"gs://{BUCKET}/{NAME}")
    assert found is not None
    assert found.content_type == "video/mp4"
    assert told == [NAME]


def test_what_was_not_signed_is_refused_and_leaves_nothing(server: StorageServer, urls: UploadUrls) -> None:
    signed = urls.sign(NAME, "video/mp4", 5, MINUTE)

    refused = {
        "another type": put(signed, b"hello", Content_Type="text/html"),
        "longer": put(signed, b"hello!"),
        "shorter": put(signed, b"hell"),
        "another length said": put(signed, b"hello!", x_goog_content_length_range="0,100"),
        "no length said": put(signed, b"hello", x_goog_content_length_range=None),
        "over what is there": put(signed, b"hello", x_goog_if_generation_match=None),
        "another name": requests.put(
            signed.url.replace("/uploads/", "/secrets/"), b"hello", headers=signed.headers, timeout=SECONDS
        ),
        "another verb": requests.get(signed.url, headers=signed.headers, timeout=SECONDS),
    }

    assert {why: answer.status_code // 100 for why, answer in refused.items()} == dict.fromkeys(refused, 4)
    assert server.objects.listed(BUCKET) == []


def test_a_url_works_once(server: StorageServer, urls: UploadUrls) -> None:
    signed = urls.sign(NAME, "video/mp4", 5, MINUTE)

    assert [put(signed, content).status_code for content in (b"first", b"other")] == [200, 412]

    found = server.find(f"gs://{BUCKET}/{NAME}")
    assert found is not None
    assert found.content.read() == b"first"


def test_a_url_ends_when_it_says(urls: UploadUrls) -> None:
    signed = urls.sign(NAME, "video/mp4", 5, timedelta(seconds=1))
    end = datetime.now(UTC) + timedelta(seconds=10)
    answer = put(signed, b"hell")
    while "ExpiredToken" not in answer.text and datetime.now(UTC) < end:
        # Refused for its length as long as it may be used at all, so that asking changes nothing.
        answer = put(signed, b"hell")

    assert "ExpiredToken" in answer.text
    assert datetime.now(UTC) >= signed.expires_at


@pytest.mark.parametrize("name", ["../x", "a//b", "a\nb", "", "a/"])
def test_a_name_that_no_object_may_have_is_refused(urls: UploadUrls, name: str) -> None:
    with pytest.raises(BadMessage):
        urls.sign(name, "video/mp4", 5, MINUTE)


@pytest.mark.parametrize(
    ("content_type", "size_bytes", "expires_in", "field"),
    [
        ("video/mp4\r\nX-Evil: 1", 5, MINUTE, "contentType"),
        ("video", 5, MINUTE, "contentType"),
        ("vidéo/mp4", 5, MINUTE, "contentType"),
        ("video/mp4", 0, MINUTE, "sizeBytes"),
        ("video/mp4", 5, timedelta(0), "expiresIn"),
        ("video/mp4", 5, timedelta(days=8), "expiresIn"),
    ],
)
def test_what_cannot_be_signed_is_refused_by_name(
    urls: UploadUrls, content_type: str, size_bytes: int, expires_in: timedelta, field: str
) -> None:
    with pytest.raises(InvalidRequest) as told:
        urls.sign(NAME, content_type, size_bytes, expires_in)

    assert told.value.field == field


def test_threads_share_one_signer(client: Client) -> None:
    made: list[Signing] = []

    def make() -> Signing:
        made.append(by_throwaway_key(client))
        return made[-1]

    urls = UploadUrls(lambda: client, BUCKET, make)
    with ThreadPoolExecutor(8) as pool:
        signed = list(pool.map(lambda number: urls.sign(f"{number}.mp4", "video/mp4", 1, MINUTE), range(8)))

    assert len(made) == 1
    assert [put(each, b"x").status_code for each in signed] == [200] * 8


def test_a_throwaway_key_is_only_for_emulators(tmp_path: Path) -> None:
    with LoopbackServer() as other, pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORAGE_EMULATOR_HOST", other.url)
        client = storage_client("demo-longreel")
        with pytest.raises(NotAllowed, match="no emulator"):
            by_throwaway_key(client)
        client.close()


# Who signs in the cloud.

EMAIL = "longreel@demo-longreel.iam.gserviceaccount.test"


class Google(LoopbackServer):
    """The metadata server of a machine in the cloud, and IAM's `signBlob`."""

    def __init__(self) -> None:
        super().__init__()
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        account = "/computeMetadata/v1/instance/service-accounts/default/"
        self.route("GET", "/computeMetadata/v1/project/project-id", "metadata", lambda _: self._said(b"demo-longreel"))
        # Another universe than Google's own: the library then asks nobody outside for boundaries of regions.
        universe = "/computeMetadata/v1/universe/universe-domain"
        self.route("GET", universe, "metadata", lambda _: self._said(b"longreel.test"))
        self.route("GET", account + "token", "token", lambda _: Answer.of_json(self._token()))
        self.route("GET", account, "metadata", lambda _: Answer.of_json({"email": EMAIL, "scopes": []}))
        self.route("GET", "/?", "ping", lambda _: self._said(b""))
        self.route("POST", "/sign/(?P<email>.+):signBlob", "sign", self._sign)

    def decorate(self, request: Request, answer: Answer) -> None:
        answer.headers["Metadata-Flavor"] = "Google"

    def public_pem(self) -> str:
        return self.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    def _said(self, text: bytes) -> Answer:
        return Answer(200, text, content_type="application/text")

    def _token(self) -> dict[str, object]:
        return {"access_token": "told-by-metadata", "expires_in": 3600, "token_type": "Bearer"}

    def _sign(self, request: Request) -> Answer:
        assert request.headers["Authorization"] == "Bearer told-by-metadata"
        assert request.found["email"] == EMAIL
        words = base64.b64decode(request.json()["payload"])
        signature = RSASigner(self.key).sign(words)  # type: ignore[no-untyped-call]  # google-auth has no types
        return Answer.of_json({"keyId": "1", "signedBlob": base64.b64encode(signature).decode()})


@pytest.fixture
def in_the_cloud(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Google]:
    """Give the process the surroundings of a Cloud Function: a service account, and no key."""
    with Google() as it:
        host = it.url.removeprefix("http://")
        # The library reads these two when it is imported, which was long ago.
        monkeypatch.setattr(_metadata, "_GCE_METADATA_HOST", host)
        monkeypatch.setattr(_metadata, "_NO_GCE_CHECK", False)
        monkeypatch.setattr(google.auth.iam, "_IAM_SIGN_ENDPOINT", f"{it.url}/sign/{{}}:signBlob")
        monkeypatch.setenv("GCE_METADATA_IP", host)
        monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
        monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
        yield it


def test_in_the_cloud_iam_signs_for_the_service_account_that_has_no_key(
    server: StorageServer, client: Client, in_the_cloud: Google
) -> None:
    server.trust(EMAIL, in_the_cloud.public_pem())
    urls = UploadUrls(lambda: client, BUCKET, by_service_account)

    signed = [urls.sign(f"{number}.mp4", "video/mp4", 5, MINUTE) for number in range(3)]

    assert [put(each, b"hello").status_code for each in signed] == [200] * 3
    assert in_the_cloud.log.count("sign") == 3
    assert in_the_cloud.log.count("token") == 1, "the token serves for an hour"


def test_a_missing_role_is_named_and_an_outage_may_pass(client: Client, in_the_cloud: Google) -> None:
    urls = UploadUrls(lambda: client, BUCKET, by_service_account)

    in_the_cloud.misbehave(kind="sign", status=403, reason="PERMISSION_DENIED")
    with pytest.raises(NotAllowed, match=r"roles/iam\.serviceAccountTokenCreator"):
        urls.sign(NAME, "video/mp4", 5, MINUTE)
    in_the_cloud.misbehave(kind="sign", status=400)
    with pytest.raises(Unavailable):
        urls.sign(NAME, "video/mp4", 5, MINUTE)
    assert urls.sign(NAME, "video/mp4", 5, MINUTE).url


def test_a_key_file_signs_on_the_spot(
    server: StorageServer, client: Client, in_the_cloud: Google, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pem = in_the_cloud.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    account = {"type": "service_account", "client_email": EMAIL, "private_key": pem, "project_id": "demo-longreel"}
    (tmp_path / "key.json").write_text(json.dumps({**account, "token_uri": in_the_cloud.url}))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "key.json"))
    server.trust(EMAIL, in_the_cloud.public_pem())

    signed = UploadUrls(lambda: client, BUCKET, by_service_account).sign(NAME, "video/mp4", 5, MINUTE)

    assert put(signed, b"hello").status_code == 200
    assert in_the_cloud.log.count() == 0


def test_a_person_cannot_sign(client: Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with LoopbackServer() as tokens:
        granted = {"access_token": "a-persons", "expires_in": 3600, "token_type": "Bearer"}
        tokens.route("POST", "/token", "token", lambda _: Answer.of_json(granted))
        account = {"type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "r"}
        (tmp_path / "person.json").write_text(json.dumps({**account, "token_uri": f"{tokens.url}/token"}))
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "person.json"))
        monkeypatch.setattr("google.oauth2.credentials._GOOGLE_OAUTH2_TOKEN_ENDPOINT", f"{tokens.url}/token")

        with pytest.raises(NotAllowed, match="only a service account"):
            UploadUrls(lambda: client, BUCKET, by_service_account).sign(NAME, "video/mp4", 5, MINUTE)
        assert tokens.log.count("token") == 1
