"""Parses an ONNX file before ONNX Runtime sees it, and refuses everything that a CPU decoder does not need.

Only the fields listed here may occur: no external data (tensors in local files), subgraphs, functions, custom domains
or metadata. Field numbers are those of ``onnx.proto``; the encoding is protobuf's.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.model.decoder_graph import IR_VERSION, OPSET, Node

_NUMBER, _BYTES = 0, 2
_MODEL = {1: ("ir_version", _NUMBER), 7: ("graph", _BYTES), 8: ("opset", _BYTES)}
_OPSET = {1: ("domain", _BYTES), 2: ("version", _NUMBER)}
_GRAPH = {
    1: ("node", _BYTES),
    2: ("name", _BYTES),
    5: ("constant", _BYTES),
    11: ("input", _BYTES),
    12: ("output", _BYTES),
}
_NODE = {1: ("input", _BYTES), 2: ("output", _BYTES), 4: ("kind", _BYTES), 5: ("attribute", _BYTES)}
_ATTRIBUTE = {1: ("name", _BYTES), 3: ("value", _NUMBER), 20: ("type", _NUMBER)}
_TENSOR = {1: ("size", _NUMBER), 2: ("type", _NUMBER), 8: ("name", _BYTES), 9: ("content", _BYTES)}
_TYPES = {1: np.float32, 2: np.uint8, 3: np.int8, 7: np.int64}
_WHOLE_NUMBER = 2
"""The attribute type for one integer."""

_FieldValues = dict[str, list[Any]]


def read_graph(content: bytes) -> tuple[list[Node], dict[str, npt.NDArray[Any]]]:
    """The nodes in order, and the constants by name. ValueError: something is not allowed."""
    model = _parse_message(memoryview(content), _MODEL, "model")
    opset = _parse_message(_single(model, "opset"), _OPSET, "opset")
    if _single(model, "ir_version") != IR_VERSION or _single(opset, "version") != OPSET or any(opset.get("domain", [])):
        raise ValueError(f"operators of the default domain, version {OPSET}, are expected")
    graph = _parse_message(_single(model, "graph"), _GRAPH, "graph")
    constants = dict(_constant(each) for each in graph.get("constant", []))
    if len(constants) != len(graph.get("constant", [])):
        raise ValueError("two constants have one name")
    return [_node(each) for each in graph.get("node", [])], constants


def _node(content: memoryview) -> Node:
    fields = _parse_message(content, _NODE, "node")
    attributes = []
    for each in fields.get("attribute", []):
        attribute = _parse_message(each, _ATTRIBUTE, "attribute")
        if _single(attribute, "type") != _WHOLE_NUMBER:
            raise ValueError("an attribute that is not a whole number")
        attributes.append((_utf8(_single(attribute, "name")), int(_single(attribute, "value"))))
    inputs, outputs = (tuple(_utf8(name) for name in fields.get(side, [])) for side in ("input", "output"))
    return Node(_utf8(_single(fields, "kind")), inputs, outputs, tuple(sorted(attributes)))


def _constant(content: memoryview) -> tuple[str, npt.NDArray[Any]]:
    fields = _parse_message(content, _TENSOR, "tensor")
    name, raw, size = _utf8(_single(fields, "name")), _single(fields, "content"), fields.get("size", [])
    kind = _TYPES.get(_single(fields, "type"))
    if kind is None:
        raise ValueError(f"{name[:40]!r} is of a type that the decoder does not use")
    if len(raw) != math.prod(size) * np.dtype(kind).itemsize:
        raise ValueError(f"{name[:40]!r} is not as long as its size says")
    value = np.frombuffer(raw, kind).reshape(size)
    if kind is np.float32 and not np.isfinite(value).all():
        raise ValueError(f"{name[:40]!r} has values that are not finite")
    return name, value


def _single(fields: _FieldValues, name: str) -> Any:
    values = fields.get(name, [])
    if len(values) != 1:
        raise ValueError(f"{len(values)} fields {name!r} where one is expected")
    return values[0]


def _utf8(content: memoryview) -> str:
    return bytes(content).decode()


def _parse_message(content: memoryview, allowed: Mapping[int, tuple[str, int]], what: str) -> _FieldValues:
    """The values by field name, in order. ValueError: a field is not ``allowed``."""
    fields: _FieldValues = {}
    for number, wire, value in _wire_fields(content):
        name, wanted = allowed.get(number, ("", -1))
        if wire != wanted:
            raise ValueError(f"a {what} with the field {number}, which no decoder has")
        fields.setdefault(name, []).append(value)
    return fields


def _wire_fields(content: memoryview) -> Iterator[tuple[int, int, Any]]:
    place = 0
    while place < len(content):
        key, place = _varint(content, place)
        value, place = _varint(content, place)
        wire = key & 7
        if wire == _BYTES:
            place += value
            if place > len(content):
                raise ValueError("it is cut off")
            yield key >> 3, wire, content[place - value : place]
        elif wire == _NUMBER:
            yield key >> 3, wire, value
        else:
            raise ValueError(f"the field {key >> 3} is of a kind that no decoder has")


def _varint(content: memoryview, place: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 63, 7):
        if place >= len(content):
            raise ValueError("it is cut off")
        byte = content[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
    raise ValueError("a number that is too large")
