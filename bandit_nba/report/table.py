"""A table of raw values that knows how to be shown to people, written as CSV, and sent as JSON."""

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bandit_nba.report import page

Cell = str | float | int | None
Kind = Literal["text", "count", "value", "share", "change"]
INERT = ("=", "+", "-", "@", "\t", "\r", "\n", "\0", "＝", "＋", "－", "＠")
"""What a spreadsheet may take for the beginning of a formula, also behind spaces, and also in full width."""


@dataclass(frozen=True)
class Column:
    """A heading and how its cells are shown: a value has three digits, a share is of 1, a change is a signed share."""

    name: str
    kind: Kind = "text"


@dataclass(frozen=True)
class Table:
    """`name` is a file name without its ending; `title` and `words` are for people.

    beside: policies that people see beside each other, for tables whose first two columns are a subject and a policy:
    one line per subject, one column per policy. Files and JSON have one row for each of both.
    """

    name: str
    title: str
    words: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    beside: Sequence[str] = ()

    def for_people(self) -> page.Table:
        """The same with every cell as text."""
        if self.beside:
            return self._side_by_side()
        shown_rows = [
            [shown(cell, column.kind) for cell, column in zip(row, self.columns, strict=True)] for row in self.rows
        ]
        texts = [i for i, column in enumerate(self.columns) if column.kind == "text"]
        return page.Table(self.title, self.words, [column.name for column in self.columns], shown_rows, texts)

    def _side_by_side(self) -> page.Table:
        """Each cell a policy's estimate, its interval in brackets, and a remark where there is one."""
        at = {column.name: i for i, column in enumerate(self.columns)}
        cells: dict[str, dict[str, str]] = {}
        for row in self.rows:
            kind = self.columns[at["estimate"]].kind
            value, low, high = (shown(row[at[name]], kind) for name in ("estimate", "from", "to"))
            text = value if row[at["from"]] is None else f"{value} ({low} to {high})"
            remark = row[at["against today"]] if "against today" in at else None
            cells.setdefault(str(row[0]), {})[str(row[1])] = f"{text}, {remark}" if remark else text
        rows = [[name, *(policies.get(policy, "–") for policy in self.beside)] for name, policies in cells.items()]
        return page.Table(self.title, self.words, [self.columns[0].name, *self.beside], rows, beside=True)

    def for_machines(self) -> list[Mapping[str, Cell]]:
        """One object per row, keys in camelCase; what is not finite is null."""
        keys = [camel(column.name) for column in self.columns]
        return [dict(zip(keys, map(_finite, row), strict=True)) for row in self.rows]


def shown(cell: Cell, kind: Kind) -> str:
    """One cell as people read it; nothing known is a dash."""
    if isinstance(cell, str):
        return cell
    if cell is None or not math.isfinite(cell):
        return "–"
    if kind == "count":
        return f"{cell:,.0f}"
    if kind in ("share", "change"):
        return percent(cell, signed=kind == "change")
    return number(cell)


def number(value: float) -> str:
    """Three significant digits without an exponent where that can be read."""
    if value == 0:
        return "0"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    if abs(value) < 1e-4:
        return f"{value:.2e}"
    return f"{value:.{max(0, 2 - math.floor(math.log10(abs(value))))}f}"


def percent(share: float, *, signed: bool = False) -> str:
    """A share as per cent: whole ones from 10 on, one digit below."""
    digits = 0 if abs(share) >= 0.0995 or share == 0 else 1
    return f"{share * 100:{'+' if signed else ''}.{digits}f} %"


def camel(name: str) -> str:
    """Words as one camelCase name of letters and digits."""
    words = "".join(c if c.isascii() and c.isalnum() else " " for c in name).split()
    return "".join(word.lower() if i == 0 else word.capitalize() for i, word in enumerate(words)) or "value"


def write_csv(tables: Iterable[Table], folder: Path) -> list[Path]:
    """Each table as `folder`/name.csv in UTF-8; what a spreadsheet would take for a formula gets an apostrophe."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for table in tables:
        path = folder / f"{table.name}.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            # Texts in quotes: where lists are separated by semicolons, one within a name would begin a cell.
            writer = csv.writer(file, quoting=csv.QUOTE_NONNUMERIC)
            writer.writerow([inert(column.name) for column in table.columns])
            writer.writerows([inert(cell) for cell in row] for row in table.rows)
        written.append(path)
    return written


def inert(cell: Cell) -> str | float | int:
    """What a spreadsheet shows as it stands: numbers stay numbers, texts never become formulas."""
    if isinstance(cell, str):
        return f"'{cell}" if cell.startswith(INERT) or cell.lstrip().startswith(INERT) else cell
    return "" if _finite(cell) is None else cell  # type: ignore[return-value]  # None has become ""


def _finite(cell: Cell) -> Cell:
    return None if isinstance(cell, float) and not math.isfinite(cell) else cell
