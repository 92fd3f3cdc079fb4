"""Who asks: the unsigned ID tokens that Firebase's emulators give out and take.

In production Firebase Authentication signs them; an emulator believes any, and nothing else does.
"""

from __future__ import annotations

import base64
import json
import time

#: How long a token says it is good for.
LIFETIME_SECONDS = 3600


def unsigned_token(project: str, uid: str) -> str:
    """Give an ID token of a user, as the Firebase Auth emulator would make it.

    Source of the claims: firebase_admin.auth.verify_id_token, which checks `aud` and `iss` also of unsigned tokens.
    """
    now = int(time.time())
    claims = {
        "iss": f"https://securetoken.google.com/{project}",
        "aud": project,
        "sub": uid,
        "user_id": uid,
        "auth_time": now,
        "iat": now,
        "exp": now + LIFETIME_SECONDS,
        "firebase": {"identities": {}, "sign_in_provider": "custom"},
    }
    return f"{_part({'alg': 'none', 'typ': 'JWT'})}.{_part(claims)}."


def uid_of(token: str) -> str:
    """Give the user that an unsigned token names.

    Raises:
        ValueError: it is no such token.
    """
    try:
        body = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        return str(claims["user_id"])
    except (IndexError, KeyError, TypeError, ValueError) as exc:
        raise ValueError("read an ID token: it should be an unsigned JWT with a user_id") from exc


def _part(value: dict[str, object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()
