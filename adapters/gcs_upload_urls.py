"""URLs by which a user's own program uploads straight into the bucket: one object, once, of one type and length."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from adapters.gcs_client import SOCKET_SECONDS, storage_errors
from events.errors import InvalidRequest, NotAllowed, Unavailable
from events.names import parse_uri

if TYPE_CHECKING:
    from google.auth.credentials import Signing
    from google.auth.crypt import Signer
    from google.cloud.storage.client import Client

#: Source: https://cloud.google.com/storage/docs/access-control/signed-urls
EXPIRES_IN_MAX = timedelta(days=7)
_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_TOKEN_URI = "https://oauth2.googleapis.com/token"  # noqa: S105 an address, and no secret


@dataclass(frozen=True, slots=True)
class UploadUrl:
    """Leave to PUT one object."""

    url: str
    #: The PUT must carry them as they are; its body must have the length that was signed.
    headers: Mapping[str, str]
    expires_at: datetime


class UploadUrls:
    """Signs upload URLs (V4). Safe to use from many threads.

    Args:
        client: makes the client; its endpoint is where the URLs lead.
        bucket: the bucket that uploads go to.
        signing: makes what signs, once: `by_service_account`, or by a throw-away key against an emulator.
    """

    def __init__(self, client: Callable[[], Client], bucket: str, signing: Callable[[], Signing]) -> None:
        self._client = client
        self._bucket = bucket
        self._make_signing = signing
        self._signing: Signing | None = None
        self._lock = threading.Lock()

    def sign(self, name: str, content_type: str, size_bytes: int, expires_in: timedelta) -> UploadUrl:
        """Sign a URL that writes exactly this many bytes of this type to an object that is not there yet.

        Args:
            name: the object's name.
            content_type: such as `video/mp4`.
            size_bytes: length of the body, at least 1.
            expires_in: 1 second to 7 days.

        Raises:
            BadMessage: the name is none that an object may have.
            InvalidRequest: another argument cannot be signed; names it.
            NotAllowed: this service account may not sign.
            Unavailable: nothing can be signed now.
        """
        named = parse_uri(f"gs://{self._bucket}/{name}")
        _check(content_type, size_bytes, expires_in)
        headers = {
            "Content-Type": content_type,
            "x-goog-content-length-range": f"{size_bytes},{size_bytes}",
            # An upload URL must not replace anything, and so it works once.
            "x-goog-if-generation-match": "0",
        }
        with _signing_errors(f"sign an upload to {named}"):
            expires_at = datetime.now(UTC).replace(microsecond=0) + expires_in
            blob = self._client().bucket(named.bucket).blob(named.name)
            url = blob.generate_signed_url(
                version="v4", method="PUT", expiration=expires_in, headers=dict(headers), credentials=self._signs()
            )
        return UploadUrl(str(url), headers, expires_at)

    def _signs(self) -> Signing:
        with self._lock:
            if self._signing is None:
                self._signing = self._make_signing()
            return self._signing


def by_service_account() -> Signing:
    """Sign as the service account that runs this; without a key file, Google signs for it (IAM signBlob).

    The account needs the role `roles/iam.serviceAccountTokenCreator` on itself.

    Raises:
        NotAllowed: whoever runs this is no service account.
    """
    import google.auth
    from google.auth import iam
    from google.auth.credentials import Signing
    from google.auth.transport.requests import Request

    with storage_errors("find out who signs uploads"):
        credentials, _project = google.auth.default(scopes=[_SCOPE])
        if isinstance(credentials, Signing):
            return credentials
        # Without a limit of our own, a signature may take as long as two of our functions.
        request = partial(Request(), timeout=SOCKET_SECONDS[1])
        # Only then does it know its own name.
        credentials.refresh(request)  # type: ignore[no-untyped-call]  # google-auth has no types
    email = getattr(credentials, "service_account_email", None)
    if not email:
        raise NotAllowed(
            "sign uploads: only a service account can; set GOOGLE_APPLICATION_CREDENTIALS to one's key file"
        )
    return _signing(iam.Signer(request, credentials, email), email)  # type: ignore[no-untyped-call]  # google-auth has no types


def by_throwaway_key(client: Client) -> Signing:
    """Sign with a key made on the spot; the emulator is told its public half at `/_signers/{email}`.

    Args:
        client: speaks to the emulator.

    Raises:
        NotAllowed: there is no emulator on the other side.
    """
    from cryptography.hazmat.primitives.asymmetric import rsa
    from google.auth.crypt import RSASigner

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    email = f"signer-{secrets.token_hex(6)}@longreel.invalid"
    _introduce(client, email, key.public_key())
    return _signing(RSASigner(key), email)  # type: ignore[no-untyped-call]  # google-auth has no types


def _signing(signer: Signer, email: str) -> Signing:
    """Give credentials that only sign: the class of service accounts takes any signer."""
    from google.oauth2.service_account import Credentials

    signs: Signing = Credentials(signer, email, _TOKEN_URI)  # type: ignore[no-untyped-call]  # google-auth has no types
    return signs


@contextmanager
def _signing_errors(doing: str) -> Iterator[None]:
    try:
        with storage_errors(doing):
            yield
    except Unavailable as exc:
        # The library reports a missing role as if the connection were at fault.
        if "PERMISSION_DENIED" in str(exc.__cause__):
            text = f"{doing}: this service account may not sign; give it roles/iam.serviceAccountTokenCreator on itself"
            raise NotAllowed(text) from exc
        raise


def _introduce(client: Client, email: str, public_key: Any) -> None:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    pem = public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    answer = client._http.put(f"{client.api_endpoint}/_signers/{email}", data=pem, timeout=SOCKET_SECONDS)
    if not answer.ok:
        raise NotAllowed(f"sign uploads: {client.api_endpoint} is no emulator that takes a key ({answer.status_code})")


def _check(content_type: str, size_bytes: int, expires_in: timedelta) -> None:
    if not content_type.isascii() or not content_type.isprintable() or content_type.count("/") != 1:
        raise InvalidRequest("contentType", f"should be of the form type/subtype, not {content_type!r}")
    if size_bytes < 1:
        raise InvalidRequest("sizeBytes", f"should be at least 1, not {size_bytes}")
    if not timedelta(seconds=1) <= expires_in <= EXPIRES_IN_MAX:
        raise InvalidRequest("expiresIn", f"should be from 1 second to 7 days, not {expires_in}")
