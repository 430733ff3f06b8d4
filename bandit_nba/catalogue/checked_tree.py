"""The tree of a checked CEL program, read from its serialised form.

`cel-expr-python` gives no tree, only bytes: a google.protobuf.Any around a cel.expr.CheckedExpr (CEL specification,
proto/cel/expr/checked.proto and syntax.proto). Numbers below are field numbers of those files. What is not needed to
compile a rule to columns is `OTHER`.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Literal:
    """A constant of the rule: true or false, a number, or a text."""

    value: bool | float | str


@dataclass(frozen=True)
class Variable:
    """A variable by its full name, such as `customer.age`."""

    name: str


@dataclass(frozen=True)
class Call:
    """An operator or function, such as `_>=_` or `startsWith`; a method's target is its first argument."""

    function: str
    arguments: "tuple[Node, ...]"


@dataclass(frozen=True)
class Listing:
    """A list written in the rule."""

    items: "tuple[Node, ...]"


@dataclass(frozen=True)
class Other:
    """Anything else: whole numbers, macros, moments, maps."""


Node = Literal | Variable | Call | Listing | Other
OTHER: Final = Other()

_ANY_VALUE, _CHECKED_EXPR = 2, 4
_CONST, _IDENT, _CALL, _LIST = 3, 4, 6, 7
_BOOL, _DOUBLE, _STRING = 2, 5, 6


def checked_tree(serialized: bytes) -> Node:
    """The tree of `Expression.program.serialize()`; `OTHER` where it is too deep to walk."""
    checked = _message(_message(serialized, _ANY_VALUE), _CHECKED_EXPR)
    try:
        return _node(checked)
    except RecursionError:
        return OTHER


def _node(data: bytes) -> Node:
    for number, value in _fields(data):
        if number == _CONST and isinstance(value, bytes):
            return _literal(value)
        if number == _IDENT and isinstance(value, bytes):
            return Variable(_message(value, 1).decode().removeprefix("."))
        if number == _CALL and isinstance(value, bytes):
            return _call(value)
        if number == _LIST and isinstance(value, bytes):
            return Listing(tuple(_node(item) for part, item in _fields(value) if part == 1 and isinstance(item, bytes)))
    return OTHER


def _call(data: bytes) -> Call:
    target: list[Node] = []
    arguments: list[Node] = []
    function = ""
    for number, value in _fields(data):
        if isinstance(value, bytes):
            if number == 1:
                target.append(_node(value))
            elif number == 2:
                function = value.decode()
            elif number == 3:
                arguments.append(_node(value))
    return Call(function, (*target, *arguments))


def _literal(data: bytes) -> Node:
    for number, value in _fields(data):
        if number == _BOOL and isinstance(value, int):
            return Literal(bool(value))
        if number == _DOUBLE and isinstance(value, float):
            return Literal(value)
        if number == _STRING and isinstance(value, bytes):
            return Literal(value.decode())
    return OTHER


def _message(data: bytes, wanted: int) -> bytes:
    """The last field of this number, empty where there is none, as in protobuf."""
    found = b""
    for number, value in _fields(data):
        if number == wanted and isinstance(value, bytes):
            found = value
    return found


def _fields(data: bytes) -> Iterator[tuple[int, int | float | bytes]]:
    """Field numbers and values of a protobuf message; 64-bit fields are doubles here."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, wire = key >> 3, key & 7
        if wire == 0:
            value, at = _varint(data, at)
            yield number, value
        elif wire == 1:
            yield number, struct.unpack_from("<d", data, at)[0]
            at += 8
        elif wire == 2:
            length, at = _varint(data, at)
            yield number, data[at : at + length]
            at += length
        elif wire == 5:
            at += 4
        else:
            raise ValueError(f"wire type {wire} of protobuf")


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
