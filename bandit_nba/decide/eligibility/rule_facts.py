"""A batch as its rules read it: over columns, by plain values of one row, or once for rows that are alike to a rule."""

import datetime
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from bandit_nba.catalogue.expression import CHANNEL, DOES_NOT_HOLD, FAILED, HOLDS, NOW, Expression
from bandit_nba.catalogue.rules import CompiledRules
from bandit_nba.decide.batch import Requests
from bandit_nba.decide.columns import Coded, CodedSets, Column, Ints
from bandit_nba.decide.eligibility.rule_columns import RuleColumns, TruthPart, known

Verdicts = npt.NDArray[np.int8]

_HOLDS, _DOES_NOT_HOLD, _FAILED = np.int8(HOLDS), np.int8(DOES_NOT_HOLD), np.int8(FAILED)


class RuleFacts:
    """One batch and its rules; each column's codes and each row's variables are made once, when first needed."""

    def __init__(self, rules: CompiledRules, over_columns: Sequence[TruthPart | None], requests: Requests) -> None:
        self.failures: dict[str, int] = {}
        self._rules = rules
        self._over_columns = over_columns
        self._columns = RuleColumns(requests)
        self._requests = requests
        self._alone = requests.facts.alone
        self._codes: dict[str, Ints] = {}
        self._activations: dict[int, Any] = {}

    def verdict(self, number: int, row: int) -> int:
        """What a rule, by its number, says of one row, by CEL; a failure is added to `failures`, by the rule's text."""
        rule, activation = self._rules.rules[number], self._activations.get(row)
        if activation is None:
            activation = self._activations[row] = self._rules.activation(self._variables(row))
        said = rule.verdict(activation)
        if said == FAILED:
            self._count(rule, 1)
        return said

    def verdicts(self, number: int, rows: Ints) -> Verdicts:
        """The same of many rows, int8: over columns where it can be, otherwise once for rows that are alike."""
        rule, part = self._rules.rules[number], self._over_columns[number]
        said = self._asked_once_each(rule, rows) if part is None else self._of_columns(part)[rows]
        self._count(rule, int(np.count_nonzero(said == FAILED)))
        return said

    def _count(self, rule: Expression, failed: int) -> None:
        if failed:
            self.failures[rule.text] = self.failures.get(rule.text, 0) + failed

    def _of_columns(self, part: TruthPart) -> Verdicts:
        with np.errstate(all="ignore"):  # as in CEL, a division by zero is an infinity or not a number
            truths = part(self._columns)
        said: Verdicts = np.where(truths.sound, np.where(truths.says, _HOLDS, _DOES_NOT_HOLD), _FAILED)
        return said if said.ndim else np.full(len(self._requests), said)

    def _asked_once_each(self, rule: Expression, rows: Ints) -> Verdicts:
        keys, size = self._alike(rule, rows)
        example = np.full(size, -1, dtype=np.int64)
        example[keys] = rows
        used = np.flatnonzero(example >= 0)
        table = np.zeros(size, dtype=np.int8)
        table[used] = [rule.verdict(self._activation(row)) for row in example[used].tolist()]
        return table[keys]

    def _activation(self, row: int) -> Any:
        found = self._activations.get(row)
        if found is None:
            found = self._activations[row] = self._rules.activation(self._variables(row))
        return found

    def _variables(self, row: int) -> dict[str, object]:
        """What all rules together read of one row. An unknown fact is left out; an unknown set is empty."""
        out: dict[str, object] = {}
        for name in self._rules.reads:
            value = self._value(name, row)
            if value is not None:
                out[name] = value
        return out

    def _value(self, name: str, row: int) -> object:
        requests = self._requests
        if name == CHANNEL:
            code = int(requests.channels.codes[row])
            return None if code < 0 else requests.channels.values[code]
        if name == NOW:
            return datetime.datetime.fromtimestamp(float(requests.decided_at[row]), datetime.UTC)
        part, _, fact = name.partition(".")
        kind = requests.facts.schema[fact]
        if self._alone is None:
            value = _cell(requests.facts.columns.get(fact), kind, row)
        else:
            cell = self._alone.get(fact)
            value = cell if kind != "set" else list(cell) if isinstance(cell, tuple) else []
        return _is_known(value) if part == "has" else value

    def _alike(self, rule: Expression, rows: Ints) -> tuple[Ints, int]:
        """Keys (len(rows),) within 0..size, equal only where everything that the rule reads is equal."""
        keys, size = np.zeros(len(rows), dtype=np.int64), 1
        for name in rule.reads:
            codes = self._code(name)[rows]
            width = int(codes.max()) + 1
            if size * width > 4 * len(rows):
                keys, size = _compact(keys)
                codes, width = _compact(codes)
            keys, size = keys * width + codes, size * width
        return (keys, size) if size <= 4 * len(rows) else _compact(keys)

    def _code(self, name: str) -> Ints:
        """Codes from 0 of what one variable holds in each row."""
        found = self._codes.get(name)
        if found is None:
            found = self._codes[name] = self._coded(name)
        return found

    def _coded(self, name: str) -> Ints:
        if name == CHANNEL:
            return self._requests.channels.codes + 1
        if name == NOW:
            return np.unique(self._requests.decided_at, return_inverse=True)[1]
        part, _, fact = name.partition(".")
        column = self._requests.facts.columns.get(fact)
        if column is None:
            return np.zeros(len(self._requests), dtype=np.int64)
        return known(column).astype(np.int64) if part == "has" else _column_codes(column)


def _cell(column: Column | None, kind: str, row: int) -> object:
    if column is None:
        return [] if kind == "set" else None
    if isinstance(column, Coded):
        code = int(column.codes[row])
        return None if code < 0 else column.values[code]
    if isinstance(column, CodedSets):
        return [column.values[code] for code in column.codes[column.indptr[row] : column.indptr[row + 1]].tolist()]
    number = float(column[row])
    if number != number:  # NaN: unknown
        return None
    return number != 0.0 if kind == "boolean" else number


def _is_known(value: object) -> bool:
    """A set is known where it is not empty, as in CEL's own `has` of a repeated field."""
    return value is not None and value != []


def _column_codes(column: Column) -> Ints:
    if isinstance(column, Coded):
        return column.codes + 1
    if isinstance(column, CodedSets):
        seen: dict[bytes, int] = {}
        ends = column.indptr.tolist()
        members = (column.codes[start:stop].tobytes() for start, stop in pairwise(ends))
        return np.array([seen.setdefault(member, len(seen)) for member in members], dtype=np.int64)
    return np.unique(column, return_inverse=True)[1]


def _compact(keys: Ints) -> tuple[Ints, int]:
    """The same keys as codes without gaps."""
    used, codes = np.unique(keys, return_inverse=True)
    return codes, len(used)
