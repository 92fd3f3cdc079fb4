"""The real `gcloud`, talking to the Pub/Sub emulator; needs no login. A call takes 1.3 to 2 s."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile

#: Longest that one call may take.
CALL_SECONDS = 60


def missing() -> str | None:
    """Say why `gcloud` cannot be run and how to get it; None when it can."""
    return None if shutil.which("gcloud") else "there is no gcloud here; install the Cloud SDK, google-cloud-cli"


def gcloud(*arguments: str, project: str, emulator_host: str | None = None) -> str:
    """Run `gcloud` against the emulator; give what it printed.

    Args:
        arguments: such as `pubsub`, `topics`, `list`.
        project: the emulator's project.
        emulator_host: `host:port`; None for PUBSUB_EMULATOR_HOST.

    Raises:
        AssertionError: it failed; with what it said.
    """
    host = emulator_host or os.environ["PUBSUB_EMULATOR_HOST"]
    with tempfile.TemporaryDirectory(prefix="gcloud") as config:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": config,
            "CLOUDSDK_CONFIG": config,
            "CLOUDSDK_CORE_PROJECT": project,
            "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "true",
            "CLOUDSDK_CORE_DISABLE_PROMPTS": "true",
            "CLOUDSDK_AUTH_DISABLE_CREDENTIALS": "true",
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_PUBSUB": f"http://{host}/",
        }
        done = subprocess.run(
            ["gcloud", *arguments], env=environment, capture_output=True, text=True, timeout=CALL_SECONDS, check=False
        )
    assert done.returncode == 0, f"gcloud {' '.join(arguments)}: {done.stderr}"
    return done.stdout


def publish_with_gcloud(project: str, topic: str, body: str, *, emulator_host: str | None = None) -> None:
    """Publish a message as an operator does who replays.

    Args:
        project: the emulator's project.
        topic: its name, prefix included.
        body: the message's data.
    """
    gcloud("pubsub", "topics", "publish", topic, "--message", body, project=project, emulator_host=emulator_host)
