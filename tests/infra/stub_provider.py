"""Terraform's provider `google` without Google: the true schema, and plans in which nothing is unknown.

A real `terraform` speaks to it by the real plugin protocol, so arguments that do not exist, blocks that are missing and
references that lead nowhere are found as they would be in production. What only Google could say, such as the address
of a function, is a readable text instead: `{resource type}.{attribute} of {its name}`. Names that are put together by a
rule are put together by it.

It does not check what the true provider checks by itself: which values are allowed, and which arguments exclude each
other; and it makes nothing.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping
from concurrent import futures
from pathlib import Path
from typing import Any, Final, Self

import grpc
import msgpack

from tests.infra.extract import SCHEMA, Block, Type
from tests.infra.plugin_messages import message

#: As `registry.terraform.io` knows it.
ADDRESS: Final = "registry.terraform.io/hashicorp/google"
_SERVICE: Final = "tfplugin5.Provider"
#: Type → what Google's own name of one is made of.
_IDS: Final = {
    "google_pubsub_topic": "projects/{project}/topics/{name}",
    "google_pubsub_subscription": "projects/{project}/subscriptions/{name}",
    "google_cloud_run_v2_job": "projects/{project}/locations/{location}/jobs/{name}",
}
#: The argument that a resource is called by, the best first.
_NAMED_BY: Final = ("name", "account_id", "repository_id", "secret_id", "service", "topic", "bucket", "display_name")


class StubProvider:
    """A context manager; while it is open, a `terraform` with `environment` uses it.

    One serves any number of runs, also at once: nothing is started for each.
    """

    def __init__(self, schema: Path = SCHEMA) -> None:
        self._schema: dict[str, Any] = json.loads(schema.read_text(encoding="utf-8"))
        self._project = ""
        self._folder = tempfile.TemporaryDirectory(prefix="tf")
        self._server = grpc.server(futures.ThreadPoolExecutor(8))

    def __enter__(self) -> Self:
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, self._handlers()),))
        self._server.add_insecure_port(f"unix:{self._socket}")
        self._server.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._server.stop(grace=None).wait()
        self._folder.cleanup()

    @property
    def _socket(self) -> str:
        return f"{self._folder.name}/s"

    @property
    def environment(self) -> Mapping[str, str]:
        """Variables that let a `terraform` find this one instead of asking the registry."""
        reached = {
            "Protocol": "grpc",
            "ProtocolVersion": 5,
            # It would be killed if this were not a test.
            "Test": True,
            "Pid": 1,
            "Addr": {"Network": "unix", "String": self._socket},
        }
        return {"TF_REATTACH_PROVIDERS": json.dumps({ADDRESS: reached})}

    def _handlers(self) -> dict[str, grpc.RpcMethodHandler]:
        schemas = self._schemas()
        empty = message("Empty")()
        return {
            "GetSchema": handler("Empty", lambda _: schemas),
            "PrepareProviderConfig": handler(
                "Prepare", lambda asked: message("Prepared")(prepared_config=asked.config)
            ),
            **dict.fromkeys(
                ("ValidateResourceTypeConfig", "ValidateDataSourceConfig", "Stop"), handler("Empty", lambda _: empty)
            ),
            "Configure": handler("Configure", self._configure),
            "PlanResourceChange": handler("Plan", self._plan),
            "ReadDataSource": handler("Read", self._read),
        }

    def _schemas(self) -> Any:
        answer = message("Schemas")(provider=_schema(self._schema["provider"]))
        for group in ("resources", "data_sources"):
            for kind, block in self._schema[group].items():
                getattr(answer, group).add(key=kind, value=_schema(block))
        return answer

    def _configure(self, asked: Any) -> Any:
        self._project = msgpack.unpackb(asked.config.msgpack)["project"] or ""
        return message("Empty")()

    def _plan(self, asked: Any) -> Any:
        proposed = msgpack.unpackb(asked.proposed_new_state.msgpack)
        planned = proposed and self._complete("resources", asked.type_name, proposed)
        # The old type system is the provider's own: Terraform then takes what it plans as it is.
        return message("Planned")(planned_state={"msgpack": msgpack.packb(planned)}, legacy_type_system=True)

    def _read(self, asked: Any) -> Any:
        state = self._complete("data_sources", asked.type_name, msgpack.unpackb(asked.config.msgpack))
        return message("State")(state={"msgpack": msgpack.packb(state)})

    def _complete(self, group: str, kind: str, values: dict[str, Any]) -> dict[str, Any]:
        """Give the values with those that Google would choose."""
        block = self._schema[group][kind]
        known = dict(values)
        if "project" in block["attributes"] and known.get("project") is None:
            known["project"] = self._project
        if kind in _IDS and known.get("id") is None:
            known["id"] = _IDS[kind].format_map(known)
        named = next((known[key] for key in _NAMED_BY if isinstance(known.get(key), str)), "")
        return _filled(known, block, lambda attribute: f"{kind}.{attribute} of {named}")


def handler(asked: str, answer: Callable[[Any], Any]) -> grpc.RpcMethodHandler:
    return grpc.unary_unary_rpc_method_handler(
        lambda request, _context: answer(request),
        request_deserializer=message(asked).FromString,
        response_serializer=lambda said: said.SerializeToString(),
    )


def _schema(block: Block) -> Any:
    return message("Schema")(block=_block(block))


def _block(block: Block) -> Any:
    described = message("Block")()
    for name, (flags, kind) in block["attributes"].items():
        described.attributes.add(
            name=name,
            type=json.dumps(kind).encode(),
            required="r" in flags,
            optional="o" in flags,
            computed="c" in flags,
        )
    for name, (nesting, least, most, inner) in block["blocks"].items():
        described.block_types.add(type_name=name, nesting=nesting, min_items=least, max_items=most, block=_block(inner))
    return described


def _filled(values: dict[str, Any], block: Block, name_of: Callable[[str], str]) -> dict[str, Any]:
    """Give the values of a block with those that Google would choose."""
    filled = dict(values)
    for name, (flags, kind) in block["attributes"].items():
        if "c" in flags and filled.get(name) is None:
            filled[name] = _made_up(kind, name_of(name))
    for name, (*_, inner) in block["blocks"].items():
        found = filled.get(name)
        if isinstance(found, list):
            filled[name] = [_filled(each, inner, name_of) for each in found]
        elif isinstance(found, dict):
            filled[name] = _filled(found, inner, name_of)
    return filled


def _made_up(kind: Type, text: str) -> Any:
    if isinstance(kind, str):
        return {"string": text, "number": 0, "bool": False, "dynamic": None}[kind]
    if kind[0] == "object":
        return {name: _made_up(inner, text) for name, inner in kind[1].items()}
    return {} if kind[0] == "map" else []
