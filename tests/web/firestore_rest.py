"""Firestore over REST, as a caller with any identity, on the emulator; Google's Python client is above the rules."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

from tests.web.identity import unsigned_token

RULES = Path(__file__).parent.parent.parent / "infra" / "firestore.rules"
#: What the emulator takes as somebody above the rules, like a service account in production.
ABOVE_THE_RULES = "owner"


@dataclass(frozen=True)
class Answer:
    """What the emulator answered."""

    status: int
    body: Any

    @property
    def allowed(self) -> bool:
        """Whether the rules let it through.

        Raises:
            AssertionError: neither allowed nor refused by the rules: the question was wrong.
        """
        refused = self.status == HTTPStatus.FORBIDDEN and "PERMISSION_DENIED" in json.dumps(self.body)
        assert refused or self.status == HTTPStatus.OK, f"{self.status}: {self.body}"
        return not refused

    def paths(self) -> list[str]:
        """Give the paths of the documents that a query found."""
        rows = self.body if isinstance(self.body, list) else [self.body]
        names = [row["document"]["name"] for row in rows if "document" in row]
        return [name.partition("/documents/")[2] for name in names]


@dataclass(frozen=True)
class FirestoreRest:
    """One project on the emulator.

    Args:
        host: `127.0.0.1:port`.
        project: id of the project.
    """

    host: str
    project: str

    @property
    def root(self) -> str:
        """Give the resource name that every document's name begins with."""
        return f"projects/{self.project}/databases/(default)/documents"

    def release_rules(self, text: str) -> list[str]:
        """Make these the project's rules; give what the compiler has to say of them.

        Raises:
            ValueError: they do not compile.
        """
        body = {"rules": {"files": [{"name": "tested.rules", "content": text}]}}
        answer = self._send("PUT", f"emulator/v1/projects/{self.project}:securityRules", body, None)
        if answer.status != HTTPStatus.OK:
            raise ValueError(f"release rules: {answer.body}")
        return [
            f"line {each['sourcePosition']['line']}: {each['description']}" for each in answer.body.get("issues", [])
        ]

    def coverage(self) -> list[dict[str, Any]]:
        """Give every expression of the rules with the values that it had."""
        report = self._send("GET", f"emulator/v1/projects/{self.project}:ruleCoverage", None, None).body["report"]
        assert isinstance(report, list)
        return report

    def seed(self, path: str, fields: Mapping[str, str]) -> None:
        """Write a document past the rules."""
        answer = self._send("PATCH", f"v1/{self.root}/{path}", document(fields), ABOVE_THE_RULES)
        assert answer.status == HTTPStatus.OK, answer.body

    def ask(self, method: str, path: str, uid: str | None, body: Mapping[str, Any] | None = None) -> Answer:
        """Ask as a user, or as nobody.

        Args:
            method: GET, POST, PATCH or DELETE.
            path: below `documents`: `/a/document`, `:runQuery`, `/a/document:runQuery`.
            uid: who asks; None for somebody who is not signed in.
            body: JSON; None for none.
        """
        token = None if uid is None else unsigned_token(self.project, uid)
        return self._send(method, f"v1/{self.root}{path}", body, token)

    def _send(self, method: str, path: str, body: Mapping[str, Any] | None, token: str | None) -> Answer:
        headers = {"Content-Type": "application/json"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://{self.host}/{path}", data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return Answer(response.status, json.load(response))
        except urllib.error.HTTPError as exc:
            with exc:
                return Answer(exc.code, json.loads(exc.read()))


def document(fields: Mapping[str, str]) -> dict[str, Any]:
    """Give a document of texts as REST has it."""
    return {"fields": {name: {"stringValue": value} for name, value in fields.items()}}


def query(collection: str, user_id: str | None, *, everywhere: bool = False) -> dict[str, Any]:
    """Give a query for a collection.

    Args:
        collection: its bare name.
        user_id: value that `userId` must have; None to ask for every document.
        everywhere: make it a collection-group query.
    """
    found: dict[str, Any] = {"from": [{"collectionId": collection, "allDescendants": everywhere}]}
    if user_id is not None:
        condition = {"field": {"fieldPath": "userId"}, "op": "EQUAL", "value": {"stringValue": user_id}}
        found["where"] = {"fieldFilter": condition}
    return {"structuredQuery": found}
