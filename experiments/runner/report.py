"""What an analysis hands over, and how it becomes files: tables as Markdown, CSV and JSON, plots as SVG and PNG."""

import importlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import matplotlib as mpl
import msgspec
import pandas as pd
from matplotlib.figure import Figure

from experiments.runner.results import put, read
from experiments.runner.sweep import PLAY_JOURNEYS, folder, is_own, sweep_of
from simulators.own_file import function_of


@dataclass(frozen=True)
class Report:
    """tables: by a file's name. words: sentences that say what was found. figures: by a file's name."""

    tables: Mapping[str, pd.DataFrame]
    words: tuple[str, ...] = ()
    figures: Mapping[str, Figure] = field(default_factory=dict)


def analysed(name: str, out: Path) -> Report:
    """The results in `out` through the experiment's own `analysis.analyse`.

    A researcher's own folder need not have an analysis.py: then journeys are read as in `journey`, rounds as in
    `exploration`.

    Raises
    ------
    SettingsError
        If there is no such experiment.
    InputError
        If there are no results.
    """
    return _analyse(name)(read(out))


def _analyse(name: str) -> Callable[[pd.DataFrame], Report]:
    sweep, place = sweep_of(name), folder(name)
    if is_own(name) and (place / "analysis.py").is_file():
        return function_of(place / "analysis.py", "analyse", form="analyse(frame)")
    shipped = place.name
    if is_own(name):
        shipped = "journey" if sweep.play == PLAY_JOURNEYS else "exploration"
    module = importlib.import_module(f"experiments.{shipped}.analysis")
    return cast(Callable[[pd.DataFrame], Report], module.analyse)


def write(name: str, report: Report, out: Path) -> Path:
    """All of it into OUT/report; returns the Markdown page."""
    place = out / "report"
    lines = [f"# {sweep_of(name).title}", "", *report.words]
    for title, table in report.tables.items():
        put(place / f"{title}.csv", table.to_csv(index=False, lineterminator="\n").encode())
        lines += ["", f"## {title.replace('_', ' ')}", "", *markdown(table)]
    with mpl.rc_context({"svg.hashsalt": name}):
        for title, figure in report.figures.items():
            figure.savefig(place / f"{title}.svg", metadata={"Date": None})
            figure.savefig(place / f"{title}.png", dpi=130)
            lines += ["", f"![{title.replace('_', ' ')}]({title}.svg)"]
    put(place / "report.json", as_json(name, report))
    put(place / "report.md", ("\n".join(lines) + "\n").encode())
    return place / "report.md"


def as_json(name: str, report: Report) -> bytes:
    """Tables as lists of rows; a number that is not finite becomes null."""
    tables = {title: [_finite(row) for row in table.to_dict("records")] for title, table in report.tables.items()}
    document = {"experiment": name, "words": report.words, "tables": tables}
    return msgspec.json.format(msgspec.json.encode(document), indent=2)


def markdown(table: pd.DataFrame) -> list[str]:
    """A table's lines."""
    head = [str(column) for column in table.columns]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return lines + ["| " + " | ".join(_cell(value) for value in row) + " |" for row in table.itertuples(index=False)]


def _cell(value: object) -> str:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.4g}"
    return str(value)


def _finite(row: Mapping[object, object]) -> dict[str, object]:
    return {
        str(key): None if isinstance(value, float) and not math.isfinite(value) else value for key, value in row.items()
    }
