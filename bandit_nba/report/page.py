"""A report as one self-contained HTML page: no script, no network, every name escaped."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files

import jinja2


@dataclass(frozen=True)
class Figure:
    """A plot as SVG text (made by `plots.svg`), with words that say what it shows."""

    title: str
    words: str
    svg: str


@dataclass(frozen=True)
class Table:
    """A table whose cells are already texts; a last column of yes and no is coloured."""

    title: str
    words: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Page:
    """Verdict first, then plots, tables and definitions."""

    title: str
    verdict: str
    figures: Sequence[Figure]
    tables: Sequence[Table]
    definitions: Mapping[str, str]
    footer: str


def html(page: Page) -> str:
    """The page as HTML text; autoescape is on, so hostile names show as they are written."""
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    template = environment.from_string(files("bandit_nba.report").joinpath("page.html.j2").read_text("utf-8"))
    return template.render(report=page)
