"""Take the schema of the resources that infra/ uses out of a package that was generated from the provider's own.

    python -m tests.infra.extract                       # downloads the package from PyPI, 49 MB, and forgets it
    python -m tests.infra.extract --package FOLDER      # a folder with the unpacked package.json and lib/

Run it when infra/ uses a resource that it did not use before; the same infra/ gives the same bytes. The package
is archived and final, so nothing else can change them.

`cdktf-cdktf-provider-google` 16.12.1 was generated from Terraform's provider `google` 6.50.0. Its JavaScript carries
the TypeScript that it was made from, in which a comment stands over each attribute (`// name - computed: false,
optional: true, required: false`), and each block and type is spelt out. What is not in it: texts, defaults, which
values are allowed, and which arguments exclude each other.
"""

from __future__ import annotations

import argparse
import base64
import json
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

PACKAGE: Final = "cdktf-cdktf-provider-google==16.12.1"
PROVIDER_VERSION: Final = "6.50.0"
SCHEMA: Final = Path(__file__).with_name("google-6.50.0.schema.json")
INFRA: Final = Path(__file__).parents[2] / "infra"
NOTE: Final = {
    "what": f"Attributes and blocks of Terraform's provider hashicorp/google {PROVIDER_VERSION} that infra/ uses",
    "source": "https://pypi.org/project/cdktf-cdktf-provider-google/16.12.1/, by `python -m tests.infra.extract`",
    "licence": "MPL-2.0, https://www.mozilla.org/MPL/2.0/ (the rest of Longreel is Apache-2.0)",
    "copyright": "HashiCorp, Inc.",
}

#: A block or an attribute as JSON: `attributes` {name: [flags, type]}, `blocks` {name: [nesting, min, max, block]}.
#: Flags are r(equired), o(ptional), c(omputed); the type is in the form of Terraform's own JSON.
Block = dict[str, Any]
Type = str | list[Any]

#: The numbers of `tfplugin5.Schema.NestedBlock.NestingMode`.
SINGLE, LIST, SET = 1, 2, 3

_SCALARS: Final = {"string": "string", "boolean": "bool", "number": "number", "any": "dynamic"}
_FIELD: Final = re.compile(
    r"^  // (\w+) - computed: (true|false), optional: (true|false), required: (true|false)\n(.*?)(?=^  // |\Z)",
    re.M | re.S,
)
_ARGUMENT: Final = re.compile(
    r'^ {4,6}(\w+): \{\n\s+value: (.*),\n\s+isBlock: (true|false),\n\s+type: "(\w+)",\n\s+storageClassType: "(\w+)",$',
    re.M,
)
_CLASS: Final = re.compile(r"^export class (\w+) extends cdktf\.\w+ \{\n(.*?)^\}", re.M | re.S)
_WRITER: Final = re.compile(r"^export function (\w+)ToHclTerraform\((.*?)^\}", re.M | re.S)
_MADE: Final = re.compile(r'= new ([\w.]+)\(this, "\w+"(?:, (true|false))?\)')
_GOT: Final = re.compile(r"this\.get(\w+)Attribute\(")


class Module:
    """The TypeScript of one resource.

    Args:
        folder: holds its JavaScript files.
    """

    def __init__(self, folder: Path) -> None:
        text = "\n".join(_typescript(path) for path in sorted(folder.glob("*.js")))
        self._classes = dict(_CLASS.findall(text))
        self._writers = dict(_WRITER.findall(text))

    def resource(self, kind: str) -> Block:
        """Give the schema of the resource or data source of that name."""
        mine = [body for body in self._classes.values() if f'tfResourceType = "{kind}"' in body]
        if len(mine) != 1:
            raise ValueError(f"{kind}: {len(mine)} classes say that they are it")
        return self._block(mine[0], mine[0])

    def _block(self, flagged: str, written: str) -> Block:
        """Give a block, of the class whose comments have the flags and of the text that spells out the arguments."""
        arguments = {name: rest for name, *rest in _ARGUMENT.findall(written)}
        attributes: dict[str, list[Any]] = {}
        blocks: dict[str, list[Any]] = {}
        for name, computed, optional, required, code in _FIELD.findall(flagged):
            flags = "".join(
                flag for flag, is_so in zip("roc", (required, optional, computed), strict=True) if is_so == "true"
            )
            if name not in arguments:
                attributes[name] = [flags, self._computed(code)]
                continue
            value, is_block, kind, stored = arguments.pop(name)
            if is_block == "true":
                blocks[name] = [*_nesting(value, kind, required), self._nested(stored, value)]
            else:
                attributes[name] = [flags, _type(kind, stored) or self._object(kind, stored, value)]
        if arguments:
            raise ValueError(f"arguments without flags: {sorted(arguments)}")
        return {"attributes": dict(sorted(attributes.items())), "blocks": dict(sorted(blocks.items()))}

    def _nested(self, stored: str, value: str) -> Block:
        [writer] = re.findall(r"(\w+)ToHclTerraform", value.replace("cdktf.listMapperHcl", ""))
        reference = self._classes.get(f"{writer[0].upper()}{writer[1:]}OutputReference")
        if reference is None:
            # The provider's own blocks are never read by anybody, so there is no class for it; all in them is optional.
            names = (name for name, *_ in _ARGUMENT.findall(self._writers[writer]))
            reference = "".join(f"  // {name} - computed: false, optional: true, required: false\n" for name in names)
        return self._block(reference, self._writers[writer])

    def _object(self, kind: str, stored: str, value: str) -> Type:
        """Give the type of an argument that is written `name = [{…}]`."""
        nested = self._nested(stored, value)
        if nested["blocks"]:
            raise ValueError(f"{stored}: a block within an argument")
        return [_collection(kind), ["object", {name: shape for name, (_, shape) in nested["attributes"].items()}]]

    def _computed(self, code: str) -> Type:
        """Give the type of what only the provider sets."""
        if made := _MADE.search(code):
            name, is_set = made.groups()
            if name.startswith("cdktf."):
                return ["map", _SCALARS[name.removeprefix("cdktf.").removesuffix("Map").lower()]]
            fields = self._block(self._classes[f"{name.removesuffix('List')}OutputReference"], "")["attributes"]
            return [
                "set" if is_set == "true" else "list",
                ["object", {key: shape for key, (_, shape) in fields.items()}],
            ]
        got = _GOT.search(code)
        if got is None:
            raise ValueError(f"no type in {code!r}")
        return _got_type(got[1], is_set="Fn.tolist" in code)


def _typescript(path: Path) -> str:
    packed = path.read_text(encoding="utf-8").rpartition("base64,")[2]
    return "\n".join(json.loads(base64.b64decode(packed))["sourcesContent"])


def _nesting(value: str, kind: str, required: str) -> tuple[int, int, int]:
    if kind == "struct":
        return SINGLE, 0, 0
    many = "listMapper" in value
    return (SET if kind == "set" else LIST), int(required == "true"), 0 if many else 1


def _collection(kind: str) -> str:
    return "set" if kind == "set" else "list"


def _type(kind: str, stored: str) -> Type | None:
    """Give a type that is made of scalars; None for one that has fields."""
    if stored in _SCALARS:
        return _SCALARS[stored]
    if stored.endswith("Map") and stored.removesuffix("Map") in _SCALARS:
        return ["map", _SCALARS[stored.removesuffix("Map")]]
    inner = stored.removesuffix("List")
    if stored.endswith("List") and inner in _SCALARS:
        return [_collection(kind), _SCALARS[inner]]
    if inner.endswith("List") and inner.removesuffix("List") in _SCALARS:
        return [_collection(kind), ["list", _SCALARS[inner.removesuffix("List")]]]
    return None


def _got_type(getter: str, *, is_set: bool) -> Type:
    known: dict[str, Type] = {
        "String": "string",
        "Number": "number",
        "Boolean": "bool",
        "List": ["set" if is_set else "list", "string"],
        "NumberList": ["set" if is_set else "list", "number"],
        "StringMap": ["map", "string"],
        "BooleanMap": ["map", "bool"],
        "NumberMap": ["map", "number"],
        "AnyMap": ["map", "dynamic"],
    }
    return known[getter]


def used(infra: Path = INFRA) -> tuple[set[str], set[str]]:
    """Give the types of resources and of data sources that the Terraform files of a folder speak of."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in sorted(infra.glob("*.tf")))
    return (
        set(re.findall(r'^resource "(google_\w+)"', text, re.M)),
        set(re.findall(r'^data "(google_\w+)"', text, re.M)),
    )


def extract(package: Path, resources: set[str], data_sources: set[str]) -> dict[str, Any]:
    """Give the schema of the provider, these resources and these data sources, from the unpacked package."""
    described = json.loads((package / "package.json").read_text(encoding="utf-8"))
    [version] = {each["version"] for each in _values(described, "provider") if "version" in each}
    if version != PROVIDER_VERSION:
        raise ValueError(f"the package was generated from {version}, not {PROVIDER_VERSION}")
    lib = package / "lib"
    return {
        "": NOTE,
        "provider": Module(lib / "provider").resource("google"),
        "resources": {kind: Module(lib / _folder(kind)).resource(kind) for kind in sorted(resources)},
        "data_sources": {
            kind: Module(lib / f"data-{kind.replace('_', '-')}").resource(kind) for kind in sorted(data_sources)
        },
    }


def _values(within: Any, name: str) -> Iterator[dict[str, Any]]:
    """Find every object of that name, however deep."""
    if isinstance(within, dict):
        for key, value in within.items():
            if key == name and isinstance(value, dict):
                yield value
            yield from _values(value, name)


def _folder(kind: str) -> str:
    return kind.removeprefix("google_").replace("_", "-")


def as_text(schema: dict[str, Any]) -> str:
    """Give the file's text: a line a resource, so that a new one is a new line."""
    lines = [f'"": {json.dumps(schema[""])}', f'"provider": {_line(schema["provider"])}']
    for group in ("resources", "data_sources"):
        inside = ",\n".join(f'"{kind}": {_line(block)}' for kind, block in schema[group].items())
        lines.append(f'"{group}": {{\n{inside}\n}}' if inside else f'"{group}": {{}}')
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _line(block: Block) -> str:
    return json.dumps(block, separators=(",", ":"))


def _fetch(into: Path) -> Path:
    """Download the package and unpack what is inside; give the folder."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(into), PACKAGE]
    subprocess.run(command, check=True)
    [wheel] = into.glob("*.whl")
    with zipfile.ZipFile(wheel) as outer:
        [inner] = [name for name in outer.namelist() if name.endswith(".jsii.tgz")]
        outer.extract(inner, into)
    with tarfile.open(into / inner) as archive:
        archive.extractall(into, filter="data")
    return into / "package"


def main(arguments: list[str] | None = None) -> None:
    """Write the schema file anew."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.infra.extract", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--package", type=Path, help="folder of the unpacked package; downloaded without")
    package = parser.parse_args(arguments).package
    with tempfile.TemporaryDirectory() as scratch:
        schema = extract(package or _fetch(Path(scratch)), *used())
    SCHEMA.write_text(as_text(schema), encoding="utf-8")
    sys.stdout.write(
        f"{len(schema['resources'])} resources and {len(schema['data_sources'])} data sources in {SCHEMA.name}\n"
    )


if __name__ == "__main__":
    main()
