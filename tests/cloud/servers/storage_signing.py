"""V4 signed URLs: built again from the request, and held against the signer's public key.

Source: https://cloud.google.com/storage/docs/authentication/canonical-requests
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.message import Message
from urllib.parse import quote, unquote
from xml.sax.saxutils import escape

from google.auth.crypt import RSAVerifier

from tests.cloud.servers.http import Answer, Refused, Request
from tests.cloud.servers.storage_objects import Conditions

_CREDENTIAL = re.compile(r"(?P<email>[^/]+)/(?P<scope>(?P<date>\d{8})/[a-z0-9-]+/storage/goog4_request)")
#: What a signed request must say in its query.
NEEDED = ("X-Goog-Algorithm", "X-Goog-Credential", "X-Goog-Date", "X-Goog-Expires", "X-Goog-SignedHeaders")


class XmlRefused(Refused):
    """The XML API says no, in its own way."""

    def answer(self) -> Answer:
        text = f"<Error><Code>{escape(self.reason)}</Code><Message>{escape(self.message)}</Message></Error>"
        body = f"<?xml version='1.0' encoding='UTF-8'?>{text}".encode()
        return Answer(self.status, body, self.headers, "application/xml; charset=UTF-8")


def check_signature(request: Request, signers: Mapping[str, str], now: datetime | None = None) -> None:
    """Refuse a request that is not signed by one of the signers, for these very words, for now.

    Args:
        request: the request.
        signers: public keys in PEM, by the signer's email.
        now: the time; None for the present one.
    """
    query = request.query
    if missing := [name for name in (*NEEDED, "X-Goog-Signature") if not query.get(name)]:
        raise XmlRefused(403, f"Anonymous caller: no {', '.join(missing)} in the URL.", "AccessDenied")
    credential = _CREDENTIAL.fullmatch(query["X-Goog-Credential"])
    if credential is None or query["X-Goog-Algorithm"] != "GOOG4-RSA-SHA256":
        raise XmlRefused(400, "Invalid argument: credential or algorithm.", "InvalidArgument")
    _check_time(query["X-Goog-Date"], query["X-Goog-Expires"], credential["date"], now or datetime.now(UTC))
    digest = hashlib.sha256(_canonical(request).encode()).hexdigest()
    words = "\n".join(("GOOG4-RSA-SHA256", query["X-Goog-Date"], credential["scope"], digest))
    pem = signers.get(credential["email"])
    if pem is None or not _verifies(pem, words, query["X-Goog-Signature"]):
        raise XmlRefused(403, "The request signature we calculated does not match.", "SignatureDoesNotMatch")


def _check_time(said: str, expires: str, date: str, now: datetime) -> None:
    try:
        signed_at = datetime.strptime(said, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        ends_at = signed_at + timedelta(seconds=int(expires))
    except ValueError as exc:
        raise XmlRefused(400, "Invalid argument: date or expiry.", "InvalidArgument") from exc
    if not said.startswith(date) or not 1 <= int(expires) <= 604_800:
        raise XmlRefused(400, "Invalid argument: date or expiry.", "InvalidArgument")
    if now > ends_at:
        raise XmlRefused(400, f"The provided token has expired at {ends_at}.", "ExpiredToken")
    if signed_at > now + timedelta(minutes=15):
        raise XmlRefused(403, "The request is signed for the future.", "RequestTimeTooSkewed")


def _canonical(request: Request) -> str:
    """Build what was signed from what was sent; a header that differs makes another text."""
    names = request.query["X-Goog-SignedHeaders"].split(";")
    lines = [f"{name}:{_header(request.headers, name)}" for name in names]
    pairs = [pair.partition("=") for pair in request.raw_query.split("&")]
    query = sorted(f"{_again(name)}={_again(value)}" for name, _, value in pairs if name != "X-Goog-Signature")
    payload = request.headers.get("x-goog-content-sha256") or "UNSIGNED-PAYLOAD"
    path = quote(unquote(request.path), safe="/~")
    return "\n".join((request.method, path, "&".join(query), *lines, "", ";".join(names), payload))


def _header(headers: Message, name: str) -> str:
    value = headers.get(name)
    if value is None:
        text = f"Header was included in signedheaders, but not in the request: {name}"
        raise XmlRefused(400, text, "MalformedSecurityHeader")
    return " ".join(value.split())


def _again(text: str) -> str:
    return quote(unquote(text), safe="~")


def _verifies(pem: str, words: str, signature: str) -> bool:
    try:
        verifier = RSAVerifier.from_string(pem)  # type: ignore[no-untyped-call]  # google-auth has no types
        return bool(verifier.verify(words.encode(), bytes.fromhex(signature)))
    except ValueError:
        return False


def check_length(request: Request) -> None:
    """Refuse a body whose length the signer did not allow."""
    said = request.headers.get("x-goog-content-length-range")
    if said is None:
        return
    found = re.fullmatch(r"(\d+),(\d+)", said.replace(" ", ""))
    if found is None:
        raise XmlRefused(400, "Invalid argument: x-goog-content-length-range.", "InvalidArgument")
    size, least, most = int(request.headers.get("Content-Length") or 0), int(found[1]), int(found[2])
    if size < least:
        raise XmlRefused(400, "Your proposed upload is smaller than the minimum object size.", "EntityTooSmall")
    if size > most:
        raise XmlRefused(400, "Your proposed upload exceeds the maximum object size.", "EntityTooLarge")


def conditions_of(headers: Message) -> Conditions:
    """Read the preconditions that the XML API takes as headers."""
    said = {
        "ifGenerationMatch": headers.get("x-goog-if-generation-match"),
        "ifMetagenerationMatch": headers.get("x-goog-if-metageneration-match"),
    }
    return Conditions.of_query({name: value for name, value in said.items() if value is not None})


def fields_of(headers: Message) -> dict[str, object]:
    """Read what an XML request says of an object."""
    prefix = "x-goog-meta-"
    metadata = {
        name.lower()[len(prefix) :]: value for name, value in headers.items() if name.lower().startswith(prefix)
    }
    fields = {"contentType": headers.get("Content-Type"), "contentEncoding": headers.get("Content-Encoding")}
    return {**fields, "metadata": metadata or None}
