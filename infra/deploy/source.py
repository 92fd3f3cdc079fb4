"""Pack what is deployed, and name it by its content: the same sources give the same bytes, and nothing is made twice.

    python infra/deploy/source.py FOLDER

Prints two paths: `FOLDER/functions-SHA256.zip`, the functions' sources as Cloud Functions takes them, and
`FOLDER/images-SHA256.zip`, what infra/gpu_job.Dockerfile copies, for Cloud Build. Runs with Python's own library alone.
"""

from __future__ import annotations

import hashlib
import io
import re
import sys
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
RECIPE = "infra/gpu_job.Dockerfile"

#: What `main.py` imports, and what that imports; `tests/infra/test_source.py` says if this is too little.
_FUNCTIONS = ("main.py", "constraints.txt", "doors", "functions", "adapters", "pipeline", "media", "events")
#: Cards are set on one machine only, and their fonts are larger than everything else; samples are for tests and people.
_LEFT_OUT = ("media/cards/", "events/samples/")
#: What requirements.txt names beyond what runs in the cloud.
_FOR_TESTS = re.compile(r"pytest\b")
#: The earliest that the format can say; a file's own time would make another archive of the same sources.
_TIME = (1980, 1, 1, 0, 0, 0)


def functions(root: Path = ROOT) -> bytes:
    """Give the archive of the functions."""
    files = {name: path.read_bytes() for name, path in _files(root, _FUNCTIONS)}
    wanted = (root / "requirements.txt").read_text(encoding="utf-8").splitlines()
    # Google's builder installs this file alone; without the constraints it would choose what these bring along.
    kept = ["-c constraints.txt", *(line for line in wanted if not _FOR_TESTS.match(line))]
    return _packed(files | {"requirements.txt": "\n".join([*kept, ""]).encode()})


def images(root: Path = ROOT) -> bytes:
    """Give the archive of all that the images are made of: the recipe and what it copies."""
    recipe = (root / RECIPE).read_text(encoding="utf-8")
    copied = [name for line in re.findall(r"^COPY (?!--from)(.+) \S+$", recipe, re.M) for name in line.split()]
    return _packed({name: path.read_bytes() for name, path in _files(root, (RECIPE, *copied))})


def _files(root: Path, names: tuple[str, ...]) -> Iterator[tuple[str, Path]]:
    for name in names:
        path = root / name
        if path.is_file():
            yield name, path
            continue
        found = sorted(each for each in path.rglob("*") if each.is_file() and "__pycache__" not in each.parts)
        if not found:
            raise SystemExit(f"pack what is deployed: there is no {name} in {root}; run this in a complete checkout")
        named = ((each.relative_to(root).as_posix(), each) for each in found)
        yield from (each for each in named if not each[0].startswith(_LEFT_OUT))


def _packed(files: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    # Not compressed: another version of zlib would give other bytes, and so another deployment.
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _TIME)
            entry.create_system = 3  # Unix, on every machine.
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, files[name])
    return out.getvalue()


def main(arguments: list[str]) -> int:
    """Write both archives; give the exit status."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python infra/deploy/source.py FOLDER\n")
        return 64
    folder = Path(arguments[0])
    folder.mkdir(parents=True, exist_ok=True)
    for kind, content in (("functions", functions()), ("images", images())):
        target = folder / f"{kind}-{hashlib.sha256(content).hexdigest()}.zip"
        target.write_bytes(content)
        sys.stdout.write(f"{target}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
