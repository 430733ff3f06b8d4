"""A log file as arrays to judge on, without a workspace."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np

from bandit_nba.catalogue import FactSchema
from bandit_nba.catalogue.facts import FactKind
from bandit_nba.decide.inline import encoded
from bandit_nba.errors import InputError, RefusedError, SettingsError
from bandit_nba.evaluate.exclusion import UNSUPPORTED
from bandit_nba.evaluate.formats.dsjson import read_dsjson
from bandit_nba.evaluate.formats.obp import obp_rows, read_obp
from bandit_nba.evaluate.formats.row import LogRow, Rejected
from bandit_nba.evaluate.formats.tables import read_table
from bandit_nba.evaluate.gather import Gathering
from bandit_nba.evaluate.log import LoggedDecisions
from bandit_nba.store.log.chunk import LogChunk

Format = Literal["dsjson", "parquet", "csv", "obp"]
FORMATS: tuple[Format, ...] = ("dsjson", "parquet", "csv", "obp")
MOST_REJECTED = 10_000
_SUFFIXES: dict[str, Format] = {
    ".dsjson": "dsjson",
    ".json": "dsjson",
    ".parquet": "parquet",
    ".csv": "csv",
    ".npz": "obp",
}
_ROWS = 5_000
_ENCODER = msgspec.json.Encoder()


def read_file(
    path: Path,
    *,
    kind: Format | None = None,
    columns: Mapping[str, str] | None = None,
    arms: Sequence[str] = (),
    schema: FactSchema | None = None,
) -> tuple[LoggedDecisions, list[Rejected]]:
    """A log file as arrays, and the rows that cannot be used, each with its number, field, value and what is allowed.

    kind: by default what the file's name says. columns, arms: of CSV and Parquet, see `tables`. schema: the facts to
    keep, by default all, of the kinds that their values have. Rows without a time are a second apart, in file order.

    Raises
    ------
    SettingsError
        If the format is not known, or a column is missing.
    RefusedError
        If no row can be used.
    """
    bad: list[Rejected] = []
    count = 0

    def rows(*, note: bool) -> Iterator[LogRow]:
        nonlocal count
        for row in rows_of(path, kind=kind, columns=columns, arms=arms, facts=tuple(schema or ())):
            if isinstance(row, LogRow):
                yield row
            elif note:
                count += 1
                bad.extend([row] if len(bad) < MOST_REJECTED else [])

    try:
        log = from_rows(rows(note=True), schema=schema or kinds_of(rows(note=False)))
    except RefusedError as error:
        what = "holds no row that can be used"
        if not bad:
            got = error.got if error.got else "no rows"
            raise RefusedError(what, where=str(path), got=got, hint=error.hint) from None
        first = f"row {bad[0].number}, {bad[0].field}: {bad[0].why} ({bad[0].got})"
        allowed = f"of that field: {bad[0].allowed}" if bad[0].allowed else ""
        raise RefusedError(
            what, where=str(path), got=f"{count:,} rejected, the first: {first}", allowed=allowed, hint=error.hint
        ) from None
    return (replace(log, left_out={**log.left_out, "rejected": count}) if count else log), bad


def rows_of(
    path: Path,
    *,
    kind: Format | None = None,
    columns: Mapping[str, str] | None = None,
    arms: Sequence[str] = (),
    facts: Sequence[str] = (),
) -> Iterator[LogRow | Rejected]:
    """The rows of a log file, one after the other; parameters as of `read_file`."""
    kind = kind or format_of(path)
    if kind == "dsjson":
        return _lines(path)
    if kind == "obp":
        return read_obp(path)
    return read_table(path, columns=columns, arms=arms, facts=facts)


def format_of(path: Path) -> Format:
    """What a file's name says of its format."""
    if path.suffix not in _SUFFIXES:
        raise SettingsError("no known format", where=str(path), got=path.suffix, allowed=", ".join(_SUFFIXES))
    return _SUFFIXES[path.suffix]


def from_obp(feedback: Mapping[str, Any]) -> LoggedDecisions:
    """A dictionary of Open Bandit Pipeline's as arrays, see `obp`.

    Raises
    ------
    InputError
        If a part is missing or has another shape, or a row holds no reward, action or propensity; the row is named.
    """

    def sound() -> Iterator[LogRow]:
        for row in obp_rows(feedback):
            if isinstance(row, Rejected):
                raise InputError(row.why, where=f"{row.field}[{row.number - 1}]", got=row.got, allowed=row.allowed)
            yield row

    return from_rows(sound())


def from_rows(rows: Iterable[LogRow], *, schema: FactSchema | None = None) -> LoggedDecisions:
    """Rows as arrays; rows that their log leaves out, and rows without support, are left out and counted.

    schema: the facts to keep; without it all rows are held in memory to find out.

    Raises
    ------
    RefusedError
        If nothing is left.
    """
    if schema is None:
        rows = list(rows)
        schema = kinds_of(rows)
    gathering = Gathering(schema)
    rest, first = iter(rows), 0
    while part := list(islice(rest, _ROWS)):
        chunk = _chunk(part, first, schema)
        first += len(part)
        rejected = [row.skipped or (UNSUPPORTED if min(row.probabilities) <= 0.0 else "") for row in part]
        chosen = gathering.keep(chunk, rejected)
        gathering.add(chunk, chosen, np.array([part[i].reward for i in chosen], dtype=np.float64))
    return gathering.log()[0]


def kinds_of(rows: Iterable[LogRow]) -> FactSchema:
    """Facts by name with the kinds that their values have: text with many distinct values is none of a model's."""
    seen: dict[str, set[FactKind]] = {}
    for row in rows:
        for name, value in row.facts.items():
            kind: FactKind = "category"
            if isinstance(value, bool):
                kind = "boolean"
            elif isinstance(value, int | float):
                kind = "number"
            elif isinstance(value, list | tuple):
                kind = "set"
            seen.setdefault(name, set()).add(kind)
    return {name: next(iter(kinds)) if len(kinds) == 1 else "category" for name, kinds in sorted(seen.items())}


def fact_value(value: Any, kind: FactKind) -> Any:
    """A file's value as a fact of that kind, None where it is none."""
    if kind == "number":
        return _number(value)
    if kind == "boolean":
        return {"true": True, "1": True, "1.0": True, "false": False, "0": False, "0.0": False}.get(str(value).lower())
    if kind == "set":
        return sorted({str(v) for v in value}) if isinstance(value, list | tuple) else [str(value)]
    if isinstance(value, list | tuple):
        return " ".join(map(str, value)) if kind == "text" else None
    return str(value)


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if np.isfinite(number) else None


def typed(facts: Mapping[str, Any], schema: FactSchema) -> dict[str, Any]:
    """The facts that the schema knows, as values of their kinds."""
    found = {name: fact_value(facts[name], kind) for name, kind in schema.items() if facts.get(name) is not None}
    return {name: value for name, value in found.items() if value is not None}


def unknown(facts: Mapping[str, Any], schema: FactSchema) -> Collection[str]:
    """Facts of a row that the schema does not know, or that are no values of their kinds."""
    return facts.keys() - typed(facts, schema).keys()


def _chunk(rows: Sequence[LogRow], first: int, schema: FactSchema) -> LogChunk:
    at = [float(first + i) if row.decided_at is None else row.decided_at for i, row in enumerate(rows)]
    nothing = (None,) * len(rows)
    return LogChunk(
        id=[row.id or str(row.number) for row in rows],
        customer=[row.customer for row in rows],
        channel=[row.channel for row in rows],
        decided_at=at,
        matures_at=at,
        activate_by=nothing,
        activated_at=nothing,
        kind=("normal",) * len(rows),
        arm=[row.arm for row in rows],
        arms=[_ENCODER.encode(row.arms) for row in rows],
        probabilities=[_ENCODER.encode(row.probabilities) for row in rows],
        removed=(b"{}",) * len(rows),
        catalogue_version=("",) * len(rows),
        policy_version=("",) * len(rows),
        reward_version=("",) * len(rows),
        support=(True,) * len(rows),
        slate=nothing,
        inline_actions=[encoded(row.actions) if row.actions else None for row in rows],
        picked=nothing,
        learned_in=nothing,
        origin=nothing,
        archived_on=nothing,
        facts=[_ENCODER.encode(typed(row.facts, schema)) for row in rows],
    )


def _lines(path: Path) -> Iterator[LogRow | Rejected]:
    with path.open("rb") as file:
        yield from read_dsjson(file)
