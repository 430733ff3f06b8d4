"""From chunks of logged rows to flat arrays: decoded a chunk at a time, so that no object per row stays in memory."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

import mmh3
import msgspec
import numpy as np
import numpy.typing as npt
import pandas as pd

from bandit_nba.catalogue import FactSchema
from bandit_nba.decide.columns import Coded, CodedSets, Column, Facts, Floats, Ints
from bandit_nba.decide.record import DecisionRecord
from bandit_nba.errors import InputError, RefusedError
from bandit_nba.evaluate.exclusion import why_left_out
from bandit_nba.evaluate.ids import Ids
from bandit_nba.evaluate.log import LoggedDecisions
from bandit_nba.store.log.chunk import LogChunk, chunks_of

TOLERANCE = 1e-9
_REMEMBERED = 4_096  # eligible sets that are read once only
_NUMBERS = msgspec.json.Decoder(list[list[float]])
_NAMES = msgspec.json.Decoder(list[str])


def from_records(
    records: Iterable[DecisionRecord], rewards: Mapping[str, float], schema: FactSchema, *, now_s: float
) -> LoggedDecisions:
    """Arrays from stored records and each decision's reward by id; what cannot be judged is left out and counted.

    Raises
    ------
    InputError
        If a kept row is not a distribution over its arms, or its chosen arm has no probability; the row is named.
    RefusedError
        If nothing is left.
    """
    gathering = Gathering(schema)
    for chunk in chunks_of(records):
        kept = gathering.keep(chunk, why_left_out(chunk, np.array(chunk.matures_at, dtype=np.float64), now_s=now_s))
        gathering.add(chunk, kept, np.array([rewards[chunk.id[i]] for i in kept], dtype=np.float64))
    return gathering.log()[0]


class Codes:
    """Distinct strings numbered in the order of their coming, and a column of their numbers, chunk by chunk."""

    def __init__(self) -> None:
        self.known: dict[str, int] = {}
        self._parts: list[Ints] = []

    def add(self, values: Iterable[str]) -> None:
        known = self.known
        self._parts.append(np.array([known.setdefault(value, len(known)) for value in values], dtype=np.int64))

    def column(self) -> Coded:
        return Coded(codes=_joined(self._parts, np.int64), values=tuple(self.known))


class Gathering:
    """Collects chunks of logged rows; `log` makes the arrays and empties it."""

    def __init__(self, schema: FactSchema) -> None:
        self.left_out: dict[str, int] = {}
        self._facts = _FactColumns(schema)
        self._arms: dict[str, int] = {}
        self._sets: dict[bytes, tuple[dict[str, int], Ints]] = {}
        self._actions: dict[bytes, int] = {}
        self._channels, self._origins = Codes(), Codes()
        self._ids: list[Ids] = []
        self._parts: dict[str, list[npt.NDArray[Any]]] = {name: [] for name in _FLAT}
        self._rows = 0

    def keep(self, chunk: LogChunk, why: Sequence[str]) -> list[int]:
        """The rows of `chunk` that are judged; the others are counted by why they are not."""
        for reason in filter(None, why):
            self.left_out[reason] = self.left_out.get(reason, 0) + 1
        return [i for i, reason in enumerate(why) if not reason] if len(chunk) else []

    def add(
        self, chunk: LogChunk, kept: Sequence[int], reward: Floats, *, origins: Sequence[str] | None = None
    ) -> None:
        """Add the rows `kept` with their rewards, float64 of the same length."""
        if not kept:
            return
        ids = [chunk.id[i] for i in kept]
        sets = [self._set(chunk.arms[i], chunk.id[i]) for i in kept]
        probability = _probabilities([chunk.probabilities[i] for i in kept], ids)
        chosen = [places.get(chunk.arm[i], -1) for (places, _), i in zip(sets, kept, strict=True)]
        sizes = np.array([len(codes) for _, codes in sets], dtype=np.int64)
        flat = _checked(probability, sizes, np.array(chosen), ids, [chunk.arm[i] for i in kept])
        self._ids.append(Ids.of(ids))
        self._facts.add([chunk.facts[i] for i in kept], ids)
        self._channels.add(chunk.channel[i] for i in kept)
        self._origins.add(origins[i] for i in kept) if origins else self._origins.add("" for _ in kept)
        actions = self._actions
        brought = [
            -1 if (content := chunk.inline_actions[i]) is None else actions.setdefault(content, len(actions))
            for i in kept
        ]
        columns: dict[str, npt.NDArray[Any]] = {
            "customer": _hashed([chunk.customer[i] or chunk.id[i] for i in kept]),
            "decided_at": np.array([chunk.decided_at[i] for i in kept], dtype=np.float64),
            "size": sizes,
            "arm": np.concatenate([codes for _, codes in sets]),
            "probability": flat,
            "chosen": np.array(chosen, dtype=np.int64),
            "reward": reward,
            "brought": np.array(brought, dtype=np.int64),
        }
        for name, column in columns.items():
            self._parts[name].append(column)
        self._rows += len(kept)

    def log(self) -> tuple[LoggedDecisions, Ints]:
        """The arrays in (decided_at, id) order, and for each of their rows which row it was in the order of adding.

        Raises
        ------
        RefusedError
            If no row was kept.
        """
        if not self._rows:
            most = max(self.left_out, key=lambda why: self.left_out[why], default="")
            raise RefusedError(
                "no matured decision to judge", got=self.left_out or None, hint=_WHAT_TO_DO.get(most, "")
            )
        column = {name: _joined(parts, _FLAT[name]) for name, parts in self._parts.items()}
        indptr = np.zeros(self._rows + 1, dtype=np.int64)
        np.cumsum(column["size"], out=indptr[1:])
        origin = self._origins.column()
        log = LoggedDecisions(
            ids=Ids.joined(self._ids),
            group=_groups(column["customer"]),
            decided_at=column["decided_at"],
            channels=self._channels.column(),
            facts=self._facts.facts(),
            arms=tuple(self._arms),
            indptr=indptr,
            arm=column["arm"],
            probability=column["probability"],
            chosen=indptr[:-1] + column["chosen"],
            reward=column["reward"],
            left_out=self.left_out,
            actions=tuple(self._actions),
            brought=column["brought"] if self._actions else None,
            origin=None if origin.values == ("",) else origin,
        )
        return _in_order(log)

    def _set(self, content: bytes, decision: str) -> tuple[dict[str, int], Ints]:
        """Where each arm of an eligible set stands in it, and the arms' codes."""
        found = self._sets.get(content)
        if found is None:
            try:
                names = _NAMES.decode(content)
            except msgspec.DecodeError as error:
                raise _unreadable(decision, error) from None
            codes = np.array([self._arms.setdefault(name, len(self._arms)) for name in names], dtype=np.int64)
            found = {name: place for place, name in enumerate(names)}, codes
            if len(self._sets) >= _REMEMBERED:
                self._sets.clear()
            self._sets[content] = found
        return found


_FLAT: Mapping[str, type] = {
    "customer": np.uint64,
    "decided_at": np.float64,
    "size": np.int64,
    "arm": np.int64,
    "probability": np.float64,
    "chosen": np.int64,
    "reward": np.float64,
    "brought": np.int64,
}
_WHAT_TO_DO = {
    "immature": "wait until decisions have matured",
    "without support": "the policy that made this log left no chance to some eligible arm: let it explore",
    "slate": "slates are judged place by place: `nba evaluate DIR --slates`",
}


class _FactColumns:
    """Columns of facts, chunk by chunk, with one vocabulary each."""

    def __init__(self, schema: FactSchema) -> None:
        self._schema = schema
        self._decoder = msgspec.json.Decoder(list[dict[str, float | bool | str | tuple[str, ...] | None] | None])
        self._words: dict[str, dict[str, int]] = {}
        self._parts: dict[str, list[tuple[int, Column]]] = {}  # with the number of rows before each
        self._size = 0

    def add(self, contents: Sequence[bytes | None], ids: Sequence[str]) -> None:
        try:
            rows = self._decoder.decode(b"[" + b",".join([content or b"null" for content in contents]) + b"]")
            if len(rows) != len(contents):
                raise ValueError("has several values")
            facts = Facts.from_rows([row or {} for row in rows], self._schema)
        except (ValueError, TypeError) as error:
            if len(ids) == 1:
                raise _unreadable(ids[0], error) from None
            for content, decision in zip(contents, ids, strict=True):
                self.add([content], [decision])  # finds the row and names it
            raise
        for name, column in facts.columns.items():
            self._parts.setdefault(name, []).append((self._size, self._recoded(name, column)))
        self._size += len(contents)

    def facts(self) -> Facts:
        names = [name for name in self._schema if name in self._parts]
        columns = {name: self._joined(name, self._parts.pop(name)) for name in names}
        return Facts(size=self._size, schema=self._schema, columns=columns)

    def _recoded(self, name: str, column: Column) -> Column:
        if isinstance(column, np.ndarray):
            return column
        known = self._words.setdefault(name, {})
        code_of = np.array([known.setdefault(v, len(known)) for v in column.values] + [-1], dtype=np.int64)
        if isinstance(column, Coded):
            return Coded(codes=code_of[column.codes], values=())
        return CodedSets(indptr=column.indptr, codes=code_of[column.codes], values=())

    def _joined(self, name: str, parts: list[tuple[int, Column]]) -> Column:
        values = tuple(self._words.get(name, {}))
        if isinstance(parts[0][1], CodedSets):
            sizes = np.zeros(self._size + 1, dtype=np.int64)
            codes = []
            for first, part in parts:
                assert isinstance(part, CodedSets)  # noqa: S101 - one fact has one kind of column
                sizes[first + 1 : first + len(part.indptr)] = np.diff(part.indptr)
                codes.append(part.codes)
            return CodedSets(indptr=np.cumsum(sizes), codes=_joined(codes, np.int64), values=values)
        if isinstance(parts[0][1], Coded):
            column = np.full(self._size, -1, dtype=np.int64)
            for first, part in parts:
                assert isinstance(part, Coded)  # noqa: S101 - one fact has one kind of column
                column[first : first + len(part.codes)] = part.codes
            return Coded(codes=column, values=values)
        numbers = np.full(self._size, np.nan)
        for first, part in parts:
            assert isinstance(part, np.ndarray)  # noqa: S101 - one fact has one kind of column
            numbers[first : first + len(part)] = part
        return numbers


def _probabilities(contents: Sequence[bytes], ids: Sequence[str]) -> list[list[float]]:
    """All rows' lists by one call; one by one where something is wrong, so that the row is named."""
    try:
        found = _NUMBERS.decode(b"[" + b",".join(contents) + b"]")
        if len(found) == len(contents):
            return found
        raise ValueError("holds several lists")
    except ValueError as error:  # msgspec's errors are of this kind
        if len(ids) == 1:
            raise _unreadable(ids[0], error) from None
        return [_probabilities([content], [decision])[0] for content, decision in zip(contents, ids, strict=True)]


def _checked(
    rows: Sequence[Sequence[float]], sizes: Ints, chosen: Ints, ids: Sequence[str], arms: Sequence[str]
) -> Floats:
    """The cells' probabilities, if each row is a distribution over its arms that gives the chosen one a chance."""
    counts = np.array([len(row) for row in rows], dtype=np.int64)
    flat = np.fromiter(chain.from_iterable(rows), dtype=np.float64, count=int(counts.sum()))
    wrong = (counts != sizes) | (counts == 0)
    starts = np.zeros(len(rows) + 1, dtype=np.int64)
    np.cumsum(counts, out=starts[1:])
    row = np.repeat(np.arange(len(rows)), counts)
    wrong |= ~(np.abs(np.bincount(row, weights=flat, minlength=len(rows)) - 1.0) <= TOLERANCE)
    wrong |= np.bincount(row, weights=~(flat >= 0.0), minlength=len(rows)) > 0
    if wrong.any():
        i = int(np.argmax(wrong))
        raise InputError("is not a distribution over its arms", where=f"decision {ids[i]}", got=list(rows[i]))
    without = chosen < 0
    without[~without] = flat[(starts[:-1] + chosen)[~without]] <= 0.0
    if without.any():
        i = int(np.argmax(without))
        raise InputError("chosen arm has no probability", where=f"decision {ids[i]}", got=arms[i])
    return flat


def _unreadable(decision: str, error: Exception) -> InputError:
    hint = "`nba audit DIR` finds every damaged row"
    return InputError(f"cannot be read ({error})", where=f"decision {decision}", hint=hint)


def _hashed(customers: Sequence[str]) -> npt.NDArray[np.uint64]:
    """128 bits for each customer, uint64 (N, 2): two customers of one log never share them."""
    return np.frombuffer(b"".join([mmh3.hash_bytes(customer) for customer in customers]), dtype=np.uint64).reshape(
        -1, 2
    )


def _groups(hashes: npt.NDArray[np.uint64]) -> Ints:
    """Customers numbered in the order of their coming, int64 (N,)."""
    pairs = np.ascontiguousarray(hashes).view([("a", np.uint64), ("b", np.uint64)]).ravel()
    first, codes = np.unique(pairs["a"], return_index=True, return_inverse=True)[1:]
    if not np.array_equal(pairs["b"][first][codes], pairs["b"]):  # 64 bits did not do
        first, codes = np.unique(pairs, return_index=True, return_inverse=True)[1:]
    return _by_coming(codes)


def _by_coming(codes: npt.NDArray[np.intp]) -> Ints:
    return pd.factorize(codes)[0].astype(np.int64, copy=False)


def _in_order(log: LoggedDecisions) -> tuple[LoggedDecisions, Ints]:
    """The log by (decided_at, id); the store's own order is that already."""
    gap = np.diff(log.decided_at)
    ties = np.flatnonzero(gap == 0.0).tolist()
    if not (gap < 0.0).any() and all(log.ids[i] < log.ids[i + 1] for i in ties):
        return log, np.arange(len(log), dtype=np.int64)
    order = np.lexsort((np.array(list(log.ids), dtype=object), log.decided_at)).astype(np.int64)
    found = log.at(order)
    return replace(found, group=_by_coming(found.group)), order


def _joined(parts: list[npt.NDArray[Any]], dtype: type) -> npt.NDArray[Any]:
    """One array of all parts, which are let go."""
    if not parts:
        return np.zeros(0, dtype=dtype)
    joined = np.concatenate(parts)
    parts.clear()
    return joined
