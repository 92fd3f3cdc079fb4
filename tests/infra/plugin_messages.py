"""The part of Terraform's plugin protocol 5 that a provider without a cloud needs, as protobuf messages.

Source: https://github.com/hashicorp/terraform/blob/v1.11.4/docs/plugin-protocol/tfplugin5.9.proto. Fields that we
neither read nor write are left out; protobuf passes over them.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_PACKAGE: Final = "tfplugin5"
_FIELD: Final = descriptor_pb2.FieldDescriptorProto
_SCALARS: Final = {
    "string": _FIELD.TYPE_STRING,
    "bytes": _FIELD.TYPE_BYTES,
    "bool": _FIELD.TYPE_BOOL,
    "int64": _FIELD.TYPE_INT64,
    "enum": _FIELD.TYPE_INT32,  # On the wire an enum is a number.
}

#: Message → its fields: `*` stands before the type of a repeated one; `map` is a map from strings to `Schema`.
MESSAGES: Final = {
    "Empty": {},
    "DynamicValue": {"msgpack": (1, "bytes"), "json": (2, "bytes")},
    "Diagnostic": {"severity": (1, "enum"), "summary": (2, "string"), "detail": (3, "string")},
    "Attribute": {
        "name": (1, "string"),
        "type": (2, "bytes"),
        "required": (4, "bool"),
        "optional": (5, "bool"),
        "computed": (6, "bool"),
    },
    "Block": {"attributes": (2, "*Attribute"), "block_types": (3, "*NestedBlock")},
    "NestedBlock": {
        "type_name": (1, "string"),
        "block": (2, "Block"),
        "nesting": (3, "enum"),
        "min_items": (4, "int64"),
        "max_items": (5, "int64"),
    },
    "Schema": {"version": (1, "int64"), "block": (2, "Block")},
    "Entry": {"key": (1, "string"), "value": (2, "Schema")},
    # A map is a list of entries on the wire.
    "Schemas": {"provider": (1, "Schema"), "resources": (2, "*Entry"), "data_sources": (3, "*Entry")},
    "Prepare": {"config": (1, "DynamicValue")},
    "Configure": {"config": (2, "DynamicValue")},
    "Prepared": {"prepared_config": (1, "DynamicValue")},
    "Plan": {"type_name": (1, "string"), "proposed_new_state": (3, "DynamicValue")},
    "Planned": {"planned_state": (1, "DynamicValue"), "legacy_type_system": (5, "bool")},
    "Read": {"type_name": (1, "string"), "config": (2, "DynamicValue")},
    "State": {"state": (1, "DynamicValue")},
}


@cache
def message(name: str) -> Any:
    """Give the class of a message."""
    return message_factory.GetMessageClass(_pool().FindMessageTypeByName(f"{_PACKAGE}.{name}"))


@cache
def _pool() -> descriptor_pool.DescriptorPool:
    file = descriptor_pb2.FileDescriptorProto(name="tfplugin5.proto", package=_PACKAGE, syntax="proto3")
    for name, fields in MESSAGES.items():
        described = file.message_type.add(name=name)
        for field, (number, kind) in fields.items():
            plain = kind.removeprefix("*")
            described.field.add(
                name=field,
                number=number,
                label=_FIELD.LABEL_REPEATED if kind.startswith("*") else _FIELD.LABEL_OPTIONAL,
                type=_SCALARS.get(plain, _FIELD.TYPE_MESSAGE),
                type_name=None if plain in _SCALARS else f".{_PACKAGE}.{plain}",
            )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return pool
