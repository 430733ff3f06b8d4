"""Rules over whole columns: the common part of CEL as array operations, with the answers that CEL gives row by row.

A rule has three outcomes, so each part of it is two arrays: what it says, and whether that could be said at all
("sound"). CEL's logic absorbs errors: `false && error` is false, `true || error` is true, in any order. What is not
here (whole numbers, moments, macros, regular expressions, joined texts) is left to CEL itself; see `RuleFacts`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from bandit_nba.catalogue import FactSchema
from bandit_nba.catalogue.checked_tree import Call, Listing, Literal, Node, Variable
from bandit_nba.catalogue.expression import CHANNEL, readable_text
from bandit_nba.decide.batch import Requests
from bandit_nba.decide.columns import Bools, Coded, CodedSets, Column, Floats


@dataclass(frozen=True)
class Truths:
    """A part that is true or false, bool (N,) or () for a constant; meaningless where it is not sound."""

    says: Bools
    sound: Bools


@dataclass(frozen=True)
class Numbers:
    """A part that is a number, float64 (N,) or (); IEEE 754 as in CEL, so NaN and infinities may be sound."""

    values: Floats
    sound: Bools


class RuleColumns:
    """The columns of one batch as rules need them; each is prepared at most once."""

    def __init__(self, requests: Requests) -> None:
        self._requests = requests
        self._numbers: dict[str, Numbers] = {}
        self._texts: dict[str, tuple[Coded, Bools]] = {}

    def number(self, name: str) -> Numbers:
        """A number fact."""
        found = self._numbers.get(name)
        if found is None:
            column = self._requests.facts.columns.get(name)
            found = Numbers(np.array(np.nan), _NO)
            if isinstance(column, np.ndarray):
                found = Numbers(column, ~np.isnan(column))
            self._numbers[name] = found
        return found

    def flag(self, name: str) -> Truths:
        """A boolean fact."""
        number = self.number(name)
        return Truths(np.not_equal(number.values, 0.0), number.sound)

    def known(self, name: str) -> Truths:
        """Whether a fact is known; a set is, where it is not empty."""
        column = self._requests.facts.columns.get(name)
        if column is None:
            return Truths(_NO, _YES)
        return Truths(known(column), _YES)

    def text(self, variable: str, test: Callable[[str], bool]) -> Truths:
        """A test of a text, made once per distinct value."""
        column, readable = self._text(variable)
        says = np.array([*(test(value) for value in column.values), False], dtype=np.bool_)
        return Truths(says[column.codes], readable[column.codes])  # code -1, unknown, is the last

    def member(self, name: str, member: str) -> Truths:
        """Whether a set holds a member; not sound where CEL could not read all of the set."""
        column = self._requests.facts.columns.get(name)
        if not isinstance(column, CodedSets):
            return Truths(_NO, _YES)
        is_it = np.array([*(value == member for value in column.values), False], dtype=np.bool_)
        unreadable = np.array([*(not readable_text(value) for value in column.values), False], dtype=np.bool_)
        return Truths(_any_member(column, is_it), ~_any_member(column, unreadable))

    def _text(self, variable: str) -> tuple[Coded, Bools]:
        found = self._texts.get(variable)
        if found is None:
            found = self._texts[variable] = self._read_text(variable)
        return found

    def _read_text(self, variable: str) -> tuple[Coded, Bools]:
        requests = self._requests
        column = requests.channels if variable == CHANNEL else requests.facts.columns.get(_fact(variable))
        if not isinstance(column, Coded):
            column = Coded(codes=np.full(len(requests), -1, dtype=np.int64), values=())
        return column, np.array([*map(readable_text, column.values), False], dtype=np.bool_)


_YES: Final = np.array(True)
_NO: Final = np.array(False)

TruthPart = Callable[[RuleColumns], Truths]
NumberPart = Callable[[RuleColumns], Numbers]


def known(column: Column) -> Bools:
    """Where a column holds something, bool (N,)."""
    if isinstance(column, Coded):
        return column.codes >= 0
    if isinstance(column, CodedSets):
        return np.diff(column.indptr) > 0
    return ~np.isnan(column)


def over_columns(tree: Node, schema: FactSchema) -> TruthPart | None:
    """A rule as a function of columns, or `None` where any part of it must be left to CEL."""
    try:
        return _truth(tree, schema)
    except _NotHereError:
        return None


class _NotHereError(Exception):
    """A part that only CEL can answer."""


def _truth(node: Node, schema: FactSchema) -> TruthPart:
    if isinstance(node, Literal) and isinstance(node.value, bool):
        constant = Truths(np.array(node.value), _YES)
        return lambda _: constant
    if isinstance(node, Variable):
        part, name = node.name.partition(".")[0], _fact(node.name)
        if part == "has":
            return lambda columns: columns.known(name)
        if part == "customer" and schema.get(name) == "boolean":
            return lambda columns: columns.flag(name)
    if isinstance(node, Call):
        return _truth_call(node, schema)
    raise _NotHereError


def _truth_call(node: Call, schema: FactSchema) -> TruthPart:
    arguments = node.arguments
    match node.function, len(arguments):
        case "!_", 1:
            return _not(_truth(arguments[0], schema))
        case "_&&_", 2:
            return _and(_truth(arguments[0], schema), _truth(arguments[1], schema))
        case "_||_", 2:
            return _not(_and(_not(_truth(arguments[0], schema)), _not(_truth(arguments[1], schema))))
        case "_?_:_", 3:
            return _choice(*(_truth(argument, schema) for argument in arguments))
        case "@in", 2:
            return _in(arguments[0], arguments[1], schema)
        case ("startsWith" | "endsWith" | "contains") as function, 2:
            test, part = _TEXT_TESTS[function], _text_literal(arguments[1])
            return _text_test(arguments[0], lambda text: test(text, part), schema)
        case "_!=_", 2:
            return _not(_equal(arguments[0], arguments[1], schema))
        case "_==_", 2:
            return _equal(arguments[0], arguments[1], schema)
        case function, 2 if function in _COMPARISONS:
            return _compared(_COMPARISONS[function], _number(arguments[0], schema), _number(arguments[1], schema))
        case _:
            raise _NotHereError


_TEXT_TESTS: Mapping[str, Callable[[str, str], bool]] = {
    "startsWith": str.startswith,
    "endsWith": str.endswith,
    "contains": str.__contains__,
}
_COMPARISONS: Mapping[str, Callable[[Floats, Floats], Bools]] = {
    "_<_": np.less,
    "_<=_": np.less_equal,
    "_>_": np.greater,
    "_>=_": np.greater_equal,
}
_ARITHMETIC: Mapping[str, Callable[[Floats, Floats], Floats]] = {
    "_+_": np.add,
    "_-_": np.subtract,
    "_*_": np.multiply,
    "_/_": np.divide,
}


def _not(part: TruthPart) -> TruthPart:
    def negated(columns: RuleColumns) -> Truths:
        truths = part(columns)
        return Truths(~truths.says, truths.sound)

    return negated


def _and(left: TruthPart, right: TruthPart) -> TruthPart:
    def both(columns: RuleColumns) -> Truths:
        a, b = left(columns), right(columns)
        untrue = (a.sound & ~a.says) | (b.sound & ~b.says)  # one false side settles it, whatever the other
        return Truths(~untrue, untrue | (a.sound & b.sound))

    return both


def _choice(condition: TruthPart, then: TruthPart, otherwise: TruthPart) -> TruthPart:
    def chosen(columns: RuleColumns) -> Truths:
        asked, a, b = condition(columns), then(columns), otherwise(columns)
        return Truths(np.where(asked.says, a.says, b.says), asked.sound & np.where(asked.says, a.sound, b.sound))

    return chosen


def _compared(comparison: Callable[[Floats, Floats], Bools], left: NumberPart, right: NumberPart) -> TruthPart:
    def compared(columns: RuleColumns) -> Truths:
        a, b = left(columns), right(columns)
        return Truths(comparison(a.values, b.values), a.sound & b.sound)

    return compared


def _equal(left: Node, right: Node, schema: FactSchema) -> TruthPart:
    if isinstance(left, Literal) and not isinstance(right, Literal):
        left, right = right, left
    if isinstance(right, Literal) and isinstance(right.value, str):
        return _text_test(left, right.value.__eq__, schema)
    try:
        return _compared(np.equal, _number(left, schema), _number(right, schema))
    except _NotHereError:
        return _same(_truth(left, schema), _truth(right, schema))


def _same(left: TruthPart, right: TruthPart) -> TruthPart:
    def same(columns: RuleColumns) -> Truths:
        a, b = left(columns), right(columns)
        return Truths(a.says == b.says, a.sound & b.sound)

    return same


def _in(item: Node, among: Node, schema: FactSchema) -> TruthPart:
    if isinstance(among, Variable) and schema.get(_fact(among.name)) == "set" and among.name.startswith("customer."):
        name, member = _fact(among.name), _text_literal(item)
        return lambda columns: columns.member(name, member)
    if not isinstance(among, Listing):
        raise _NotHereError
    values = [one.value for one in among.items if isinstance(one, Literal)]
    if len(values) < len(among.items) or not values:
        raise _NotHereError
    if all(isinstance(value, str) for value in values):
        return _text_test(item, frozenset(values).__contains__, schema)
    if any(isinstance(value, bool | str) for value in values):
        raise _NotHereError
    number, numbers = _number(item, schema), np.array(values, dtype=np.float64)

    def among_numbers(columns: RuleColumns) -> Truths:
        asked = number(columns)
        return Truths(np.isin(asked.values, numbers), asked.sound)

    return among_numbers


def _text_test(node: Node, test: Callable[[str], bool], schema: FactSchema) -> TruthPart:
    if isinstance(node, Literal) and isinstance(node.value, str):
        constant = Truths(np.array(test(node.value)), _YES)
        return lambda _: constant
    if isinstance(node, Variable):
        variable = node.name
        if variable == CHANNEL or schema.get(_fact(variable)) in ("category", "text"):
            return lambda columns: columns.text(variable, test)
    raise _NotHereError


def _text_literal(node: Node) -> str:
    if isinstance(node, Literal) and isinstance(node.value, str):
        return node.value
    raise _NotHereError


def _number(node: Node, schema: FactSchema) -> NumberPart:
    if isinstance(node, Literal) and isinstance(node.value, float):
        constant = Numbers(np.array(node.value), _YES)
        return lambda _: constant
    if isinstance(node, Variable) and node.name.startswith("customer.") and schema.get(_fact(node.name)) == "number":
        name = _fact(node.name)
        return lambda columns: columns.number(name)
    if isinstance(node, Call) and node.function == "-_" and len(node.arguments) == 1:
        return _arithmetic(np.subtract, lambda _: _MINUS_ZERO, _number(node.arguments[0], schema))
    if isinstance(node, Call) and node.function in _ARITHMETIC and len(node.arguments) == 2:
        left, right = (_number(argument, schema) for argument in node.arguments)
        return _arithmetic(_ARITHMETIC[node.function], left, right)
    raise _NotHereError


_MINUS_ZERO: Final = Numbers(np.array(-0.0), _YES)  # -0 - x is -x for every x, zeros included


def _arithmetic(operation: Callable[[Floats, Floats], Floats], left: NumberPart, right: NumberPart) -> NumberPart:
    def result(columns: RuleColumns) -> Numbers:
        a, b = left(columns), right(columns)
        return Numbers(operation(a.values, b.values), a.sound & b.sound)

    return result


def _any_member(column: CodedSets, wanted: Bools) -> Bools:
    """Whether each row's set holds a code that is wanted, bool (N,)."""
    counts = np.concatenate(([0], np.cumsum(wanted[column.codes])))
    return np.diff(counts[column.indptr]) > 0


def _fact(variable: str) -> str:
    return variable.partition(".")[2]
