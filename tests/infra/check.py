"""Format, validate and test infra/ by a real `terraform`, without the internet.

    python -m tests.infra.check

Where there is no terraform it says so and succeeds, but fails where the environment variable CI is set.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

from tests.infra.extract import INFRA
from tests.infra.terraform import Deployment, TerraformFailed, deployment, missing


def check(source: Path = INFRA) -> None:
    """Check the Terraform files of a folder, and run their own tests.

    Raises:
        TerraformFailed: something is wrong; the text is what Terraform said.
    """
    with tempfile.TemporaryDirectory(prefix="infra") as folder, deployment(Path(folder), source) as copy:
        if unformatted := _unformatted(copy):
            raise TerraformFailed(f"terraform fmt would change {unformatted}; run: terraform fmt -recursive infra")
        copy.run("validate")
        sys.stdout.write(copy.run("test").rpartition("\n\n")[2])


def _unformatted(copy: Deployment) -> str:
    try:
        copy.run("fmt", "-check", "-recursive")
    except TerraformFailed as exc:
        return ", ".join(str(exc).splitlines()[1:])
    return ""


def main() -> int:
    """Give the exit code."""
    if reason := missing():
        sys.stderr.write(f"{reason}\n")
        return 69 if os.environ.get("CI") else 0
    started = time.monotonic()
    try:
        check()
    except TerraformFailed as exc:
        sys.stderr.write(f"{exc}\n")
        return 1
    sys.stdout.write(f"infra/ is valid by google 6.50's schema ({time.monotonic() - started:.1f} s)\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
