"""Sign the smoke film's user in, as an app's own server would: a custom token, exchanged for an ID token.

    LONGREEL_ACCESS_TOKEN=… LONGREEL_API_KEY=… python infra/smoke/sign_in.py --project P --account EMAIL

No way to sign in is opened for it that was not open before: a custom token is signed by a service account of the
project, which has no other right, and needs no provider to be switched on. Where the project has no Firebase
Authentication yet, it is initialised; one that is there, with an app's own settings, is left as it is.

Prints the ID token, which is valid for an hour. Runs with Python's own library alone.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from infra.smoke.callables import Refused, ask_json, patiently

USER = "longreel-smoke"
IDENTITY = "https://identitytoolkit.googleapis.com"
CREDENTIALS = "https://iamcredentials.googleapis.com"
#: What a custom token is for. Source: Firebase's page "Create Custom Tokens", and firebase_admin's own.
AUDIENCE = "https://identitytoolkit.googleapis.com/google.identity.identitytoolkit.v1.IdentityToolkit"


def claims(account: str, user: str, now_seconds: int) -> dict[str, Any]:
    """Give what a custom token says."""
    times = {"iat": now_seconds, "exp": now_seconds + 3600}
    return {"iss": account, "sub": account, "aud": AUDIENCE, "uid": user, **times}


def ensure_authentication(project: str, access_token: str, identity: str = IDENTITY) -> bool:
    """Initialise Firebase Authentication where a project has none; tell whether it was done.

    Raises:
        Refused: it cannot be seen or initialised; the text says what was answered.
    """
    project_header = {"X_Goog_User_Project": project}
    config = f"{identity}/admin/v2/projects/{project}/config"
    try:
        ask_json("look for Firebase Authentication", "GET", config, access_token, **project_header)
    except Refused as exc:
        if "CONFIGURATION_NOT_FOUND" not in str(exc):
            raise
    else:
        return False
    url = f"{identity}/v2/projects/{project}/identityPlatform:initializeAuth"
    ask_json("initialise Firebase Authentication", "POST", url, access_token, {}, **project_header)
    return True


def custom_token(account: str, access_token: str, user: str = USER, credentials: str = CREDENTIALS) -> str:
    """Have a custom token signed by a service account; wait while the right to do so is new.

    Raises:
        Refused: it is not signed.
    """
    url = f"{credentials}/v1/projects/-/serviceAccounts/{account}:signJwt"

    def sign() -> str:
        body = {"payload": json.dumps(claims(account, user, int(time.time())))}
        signed: str = ask_json(f"sign a token as {account}", "POST", url, access_token, body)["signedJwt"]
        return signed

    return patiently(sign, lambda exc: exc.status == 403)


def id_token(token: str, api_key: str, identity: str = IDENTITY) -> str:
    """Exchange a custom token for an ID token; wait while the key is new.

    Raises:
        Refused: it is not taken.
    """
    url = f"{identity}/v1/accounts:signInWithCustomToken?key={api_key}"

    def exchange() -> str:
        told: str = ask_json("sign in", "POST", url, None, {"token": token, "returnSecureToken": True})["idToken"]
        return told

    return patiently(exchange, lambda exc: "API key not valid" in str(exc))


def main() -> int:
    """Read the command line and do it; give the exit status."""
    parser = argparse.ArgumentParser(description="Print an ID token of the smoke film's user.")
    parser.add_argument("--project", required=True)
    parser.add_argument("--account", required=True, help="the service account that signs")
    options = parser.parse_args()
    access_token, api_key = (os.environ.get(f"LONGREEL_{name}") for name in ("ACCESS_TOKEN", "API_KEY"))
    if not access_token or not api_key:
        parser.error("give LONGREEL_ACCESS_TOKEN and LONGREEL_API_KEY in the environment")
    try:
        if ensure_authentication(options.project, access_token):
            sys.stderr.write("  Firebase Authentication was not there yet and is now\n")
        token = custom_token(options.account, access_token)
        sys.stdout.write(f"{id_token(token, api_key)}\n")
    except Refused as exc:
        sys.stderr.write(f"Sign in as {USER}: {exc}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
