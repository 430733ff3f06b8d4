"""CSV and Parquet logs: one decision a row, with a column for the propensity.

| field | column | what it holds |
|---|---|---|
| id | id | any name; the row's number where there is no such column |
| arm | arm | what was chosen |
| propensity | propensity | the chance with which it was chosen, (0, 1]; not needed beside `probabilities` |
| reward | reward | a finite number |
| arms | arms | JSON list of the eligible arms; without it every arm of the file (or of the catalogue) was eligible |
| probabilities | probabilities | JSON list beside `arms` |
| decided_at | decided_at | seconds since the epoch, or ISO-8601 |
| customer | customer | any name; intervals are robust to customers who come back |
| channel | channel | |
| facts | facts | JSON object |
| fact.NAME | fact.NAME | one fact; without a mapping, a column that has a fact's own name is that fact |

Another column than the one named like the field is named by the mapping `{field: column}`.
"""

import csv
import datetime
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from bandit_nba.errors import InputError, SettingsError
from bandit_nba.evaluate.formats.row import (
    LogRow,
    Rejected,
    RowError,
    checked_reward,
    distribution,
    finite,
    named,
    rejected,
)
from bandit_nba.settings import nearest

FIELDS = (
    "id",
    "arm",
    "propensity",
    "reward",
    "arms",
    "probabilities",
    "decided_at",
    "customer",
    "channel",
    "facts",
)
FACT = "fact."
BATCH = 5_000
MOST_CELL = 2**24  # characters
_MISSING: Any = object()
"""Stands for the cells that a line of a CSV file lacks."""


def read_table(
    path: Path, *, columns: Mapping[str, str] | None = None, arms: Sequence[str] = (), facts: Sequence[str] = ()
) -> Iterator[LogRow | Rejected]:
    """The decisions of a CSV or Parquet file.

    columns: field -> column, where a column is not named like the field. arms: those that were eligible in rows that do
    not say; by default all that the file names, which takes a pass of its own. facts: names of columns that are facts.

    Raises
    ------
    SettingsError
        If the mapping names a field or column that does not exist, or a needed column is missing.
    """
    names = _header(path)
    place = _places(names, columns or {}, facts)
    everything = tuple(arms)
    if not everything and "arms" not in place:
        seen = {row.get(place["arm"]) for row in _rows(path)}
        everything = tuple(sorted(str(arm) for arm in seen if arm is not None and arm is not _MISSING and arm != ""))
    for number, row in enumerate(_rows(path), 1):
        identifier = _shown(row.get(place.get("id", ""), number))
        try:
            _refuse_torn(row)
            yield _row(row, number, place, everything)
        except InputError as error:
            content = {_shown(name): cell for name, cell in row.items() if cell is not _MISSING}
            told = _shown(json.dumps(content, default=str, ensure_ascii=False))
            yield rejected(error, number=number, identifier=identifier, content=told)


def _refuse_torn(row: Mapping[Any, Any]) -> None:
    """Refuse a line of a CSV file that is not UTF-8, or that has other cells than the header: which is which is open.

    Raises
    ------
    RowError
    """
    if None in row or _MISSING in row.values():
        raise RowError("has more or fewer cells than the header", field="line", allowed="one cell for each column")
    for name, cell in row.items():
        if isinstance(cell, str) and not _encodable(cell):
            raise RowError("is not UTF-8", field=name, got=_shown(cell)[:200], allowed="UTF-8")


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _shown(value: object) -> str:
    """As text that can be printed, whatever bytes the file held."""
    return str(value).encode("utf-8", "backslashreplace").decode()


def _places(names: Sequence[str], columns: Mapping[str, str], facts: Sequence[str]) -> dict[str, str]:
    """Field -> column."""
    for given, column in columns.items():
        if given not in FIELDS and not given.startswith(FACT):
            allowed = ", ".join((*FIELDS, "fact.NAME"))
            raise SettingsError("no such field", where="--mapping", got=given, allowed=allowed)
        if column not in names:
            raise SettingsError("no such column", where="--mapping", got=column, hint=nearest(column, names))
    own = {name: name for name in names if name in FIELDS or name.startswith(FACT)}
    own |= {FACT + name: name for name in facts if name in names and name not in FIELDS}
    place = own | dict(columns)
    for needed in ("arm", "reward"):
        if needed not in place:
            hint = f"name it: --mapping {needed}=COLUMN"
            raise SettingsError("has no such column", where=needed, got=", ".join(names)[:200], hint=hint)
    if "propensity" not in place and "probabilities" not in place:
        hint = "without the chance of what was chosen no other policy can be judged"
        raise SettingsError("has no such column", where="propensity", got=", ".join(names)[:200], hint=hint)
    return place


def _row(row: Mapping[str, Any], number: int, place: Mapping[str, str], everything: Sequence[str]) -> LogRow:
    def cell(name: str) -> Any:
        value = _decoded(row.get(place[name]), name) if name in place else None
        return None if value == "" or (isinstance(value, float) and math.isnan(value)) else value

    arm = named(cell("arm"), "arm")
    arms = [named(one, "arms") for one in _listed(cell("arms"), "arms") or everything]
    chances = _listed(cell("probabilities"), "probabilities")
    propensity = cell("propensity")
    probabilities = None if chances is None else [finite(p, "probabilities") for p in chances]
    known, drawn = distribution(
        arm, arms, probabilities, None if propensity is None else finite(propensity, "propensity")
    )
    facts = {name.removeprefix(FACT): cell(name) for name in place if name.startswith(FACT)}
    return LogRow(
        number=number,
        id=named(cell("id"), "id") if "id" in place else "",
        arm=arm,
        arms=known,
        probabilities=drawn,
        reward=checked_reward(row.get(place["reward"])),
        customer=_word(cell("customer")),
        channel=_word(cell("channel")),
        decided_at=moment(cell("decided_at")),
        facts={**_object(cell("facts")), **{name: value for name, value in facts.items() if value is not None}},
    )


def _decoded(value: Any, name: str) -> Any:
    """Bytes, which is how some programs write texts into Parquet, as text."""
    if not isinstance(value, bytes):
        return value
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise RowError("is not UTF-8", field=name, got=repr(value)[:200], allowed="UTF-8") from None


def _word(value: object) -> str:
    """As text, "" where there is none; a whole number by its digits, also where a column with gaps made it a float, in
    which some programs write NaN for a gap."""
    if isinstance(value, float):
        return "" if math.isnan(value) else str(int(value) if value.is_integer() else value)
    return "" if value is None else str(value)


def moment(value: object) -> float | None:
    """Seconds since the epoch of a number, a time, or a text of either; None stays None."""
    if value is None:
        return None
    if isinstance(value, datetime.datetime):
        return (value if value.tzinfo else value.replace(tzinfo=datetime.UTC)).timestamp()
    try:
        return finite(value, "decided_at")
    except RowError:
        try:
            return moment(datetime.datetime.fromisoformat(str(value)))
        except ValueError:
            allowed = "seconds since the epoch, or ISO-8601"
            raise RowError("is no time", field="decided_at", got=value, allowed=allowed) from None


def _listed(value: object, name: str) -> list[Any] | None:
    if value is None or isinstance(value, list):
        return value
    found = _json(str(value))
    if not isinstance(found, list):
        raise RowError("is no list", field=name, got=value, allowed='JSON, as in ["a", "b"]')
    return found


def _object(value: object) -> dict[str, Any]:
    if value is None:
        return {}
    found = value if isinstance(value, dict) else _json(value if isinstance(value, bytes) else str(value))
    if not isinstance(found, dict):
        raise RowError("is no object", field="facts", got=value, allowed="a JSON object")
    return found


def _json(text: str | bytes) -> Any:
    """What it says, None where it is no JSON in Unicode: an escape may be half a surrogate pair, which no store keeps.

    NaN is read: as a fact it is unknown.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    escaped = b"\\u" in text if isinstance(text, bytes) else "\\u" in text
    return found if not escaped or _encodable(json.dumps(found, ensure_ascii=False)) else None


def _header(path: Path) -> Sequence[str]:
    if path.suffix == ".parquet":
        return [str(name) for name in _parquet(path).schema_arrow.names]
    with _opened(path) as file:
        try:
            names = next(csv.reader(file), [])
        except csv.Error as error:
            raise InputError(f"is no CSV file ({error})", where=str(path)) from None
    if not all(map(_encodable, names)):
        raise InputError("is no CSV file in UTF-8", where=str(path), got=_shown(names)[:200])
    for place, name in enumerate(names):
        if name in names[:place]:
            raise InputError("a column stands twice", where=str(path), got=name, allowed="a name for each column")
    return names


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    if path.suffix == ".parquet":
        file = _parquet(path)
        try:
            for batch in file.iter_batches(batch_size=BATCH):
                yield from batch.to_pylist()
        except (OSError, ValueError) as error:  # Arrow's own errors are both
            raise InputError(f"is no Parquet file, or damaged ({error})", where=str(path)) from None
        return
    with _opened(path) as text:
        reader = csv.DictReader(text, restval=_MISSING)
        try:
            yield from reader
        except csv.Error as error:
            raise InputError(f"cannot be read ({error})", where=f"{path}, line {reader.line_num}") from None


def _opened(path: Path) -> TextIO:
    """A CSV file as text; bytes that are no UTF-8 become lone surrogates, so that their rows alone are refused."""
    csv.field_size_limit(max(csv.field_size_limit(), MOST_CELL))
    return path.open(newline="", encoding="utf-8-sig", errors="surrogateescape")


def _parquet(path: Path) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"is no Parquet file, or damaged ({error})", where=str(path)) from None
