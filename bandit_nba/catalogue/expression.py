"""One rule's text as a checked CEL program (https://cel.dev), with the two things CEL itself cannot do here.

Facts are variables with a dot in their name (`customer.age`), because an unknown one is then refused at load and a
missing one is an error at run time, never a silent zero. CEL's own `has(customer.age)` would return the value of such
a variable, so `has(customer.age)` is rewritten to a hidden boolean, `has.age`, before CEL reads it. And `action.id` and
`action.group` become literals, so that a program depends on the customer alone and is shared by all arms it fits.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from cel_expr_python import cel

from bandit_nba.catalogue.checked_tree import Node, checked_tree
from bandit_nba.catalogue.expression_errors import compile_error
from bandit_nba.catalogue.facts import FactKind, FactSchema
from bandit_nba.errors import RuleError

HOLDS: Final = 0
DOES_NOT_HOLD: Final = 1
FAILED: Final = 2

CHANNEL: Final = "channel"
NOW: Final = "now"
MAX_LENGTH = 10_000

_TYPES: Mapping[FactKind, Any] = {
    "number": cel.Type.DOUBLE,
    "boolean": cel.Type.BOOL,
    "category": cel.Type.STRING,
    "text": cel.Type.STRING,
    "set": cel.Type.List(cel.Type.STRING),
}
_TOKENS = re.compile(
    r"""
    (?P<skip> //[^\n]*
            | [rR] (?: \"\"\".*?\"\"\" | '''.*?''' | "[^"\n]*" | '[^'\n]*' )
            | \"\"\"(?:\\.|[^\\])*?\"\"\" | '''(?:\\.|[^\\])*?''' | "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*' )
    | (?<![\w.]) (?:
        has \s* \( \s* customer \s* \. \s* (?P<has>\w+) \s* \)
      | (?P<other_has> has ) \s* \(
      | action \s* \. \s* (?P<action> id | group ) (?!\w) )
    """,
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, eq=False)
class Expression:
    """A checked program. text: as written. reads: the variables it reads, such as `customer.age` and `has.age`."""

    text: str
    reads: frozenset[str]
    program: Any

    @cached_property
    def tree(self) -> Node:
        """The checked program as a tree."""
        return checked_tree(self.program.serialize())

    def verdict(self, activation: Any) -> int:
        """`HOLDS`, `DOES_NOT_HOLD`, or `FAILED`: a fact that it needs is unknown, or CEL gave an error."""
        try:
            value = self.program.eval(activation).plain_value()
        except (RuntimeError, TypeError, ValueError):
            return FAILED
        if value is True:
            return HOLDS
        return DOES_NOT_HOLD if value is False else FAILED  # an error's plain value is a text, hence truthy


class Environment:
    """Compiles rules against declared facts; equal programs are compiled once."""

    def __init__(self, schema: FactSchema) -> None:
        self.schema = schema
        requests = {CHANNEL: cel.Type.STRING, NOW: cel.Type.TIMESTAMP}
        customer = {f"customer.{name}": _TYPES[kind] for name, kind in schema.items()}
        known = {f"has.{name}": cel.Type.BOOL for name in schema}
        action = {"action.id": cel.Type.STRING, "action.group": cel.Type.STRING}
        variables = {**requests, **customer, **known}
        self._any_action = cel.NewEnv(variables={**variables, **action})
        self._one_action = cel.NewEnv(variables=variables)
        self._variables = tuple(variables)
        self._checked: dict[str, str] = {}
        self._expressions: dict[str, Expression] = {}

    def check(self, text: str, *, where: str) -> str:
        """The text as CEL reads it, checked for every action.

        Raises
        ------
        RuleError
            With the place, the rule, and the nearest names, if it does not compile or is not true or false.
        """
        source = self._checked.get(text)
        if source is None:
            source = _known_as_variables(text, where)
            self._compiled(self._any_action, source, text, where)
            self._checked[text] = source
        return source

    def compile(self, text: str, *, action: str, group: str, where: str) -> Expression:
        """The program of a rule for one action; the very same object for every action it does not tell apart."""
        source = _as_literals(self.check(text, where=where), {"id": action, "group": group})
        found = self._expressions.get(source)
        if found is None:
            program = self._compiled(self._one_action, source, text, where)
            found = Expression(text=text, reads=_reads(program, self._variables), program=program)
            self._expressions[source] = found
        return found

    def activation(self, values: Mapping[str, object]) -> Any:
        """What a program reads of one row: variables by name; a fact that is left out is unknown.

        Texts that are not `readable_text` are left out, and sets that hold one.
        """
        unreadable = [name for name, value in values.items() if not _is_readable(value)]
        return self._one_action.Activation(
            {n: v for n, v in values.items() if n not in unreadable} if unreadable else values
        )

    def _compiled(self, env: Any, source: str, text: str, where: str) -> Any:
        try:
            program = env.compile(source)
        except (RuntimeError, TypeError) as error:
            raise compile_error(str(error), text, self.schema, where) from None
        if program.return_type() != cel.Type.BOOL:
            got = program.return_type().name().lower()
            raise RuleError(
                f"a rule is true or false, this one gives {got}",
                where=where,
                got=text,
                hint="compare it, such as == or >=",
            )
        return program


def readable_text(text: str) -> bool:
    """Whether CEL can read a text as it is.

    Its Python binding cuts texts at a NUL character, so "gold\\0" would pass for "gold", and fails on lone surrogates.
    """
    if "\0" in text:
        return False
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            return False
    return True


def _is_readable(value: object) -> bool:
    if isinstance(value, str):
        return readable_text(value)
    return not isinstance(value, list) or all(map(readable_text, value))


def _known_as_variables(text: str, where: str) -> str:
    """`has(customer.age)` as the variable `has.age`, padded so that columns in messages stay right."""
    if len(text) > MAX_LENGTH:
        raise RuleError("is too long for a rule", where=where, got=text, allowed=f"at most {MAX_LENGTH:,} characters")

    def variable(match: re.Match[str]) -> str:
        if match["other_has"]:
            raise RuleError(
                "has() asks whether a customer's fact is known",
                where=where,
                got=text,
                allowed="has(customer.NAME)",
            )
        return f"has.{match['has']}".ljust(len(match[0])) if match["has"] else match[0]

    return _TOKENS.sub(variable, text)


def _as_literals(source: str, action: Mapping[str, str]) -> str:
    def literal(match: re.Match[str]) -> str:
        return _literal(action[match["action"]]) if match["action"] else match[0]

    return _TOKENS.sub(literal, source)


def _literal(text: str) -> str:
    """A CEL string; everything but plain characters is escaped, so that no id can ever become code."""
    return '"' + "".join(c if c.isascii() and (c.isalnum() or c in "_.-") else f"\\U{ord(c):08x}" for c in text) + '"'


def _reads(program: Any, variables: Iterable[str]) -> frozenset[str]:
    """The variables that a checked program refers to, however they are spelt.

    They stand in its serialised tree (cel.expr.CheckedExpr) as field 1, length, name; texts of the rule are in field 6.
    """
    tree = program.serialize()
    return frozenset(name for name in variables if bytes((0x0A, len(name))) + name.encode() in tree)
