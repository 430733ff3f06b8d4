"""A report as one self-contained HTML page: no script, no network, every name escaped."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Literal

import jinja2

Severity = Literal["stop", "caution", "fine"]
Tone = Literal["good", "wait", "bad"]


@dataclass(frozen=True)
class Figure:
    """A plot as SVG text (made by `plots.svg`), with words that say what it shows."""

    title: str
    words: str
    svg: str


@dataclass(frozen=True)
class Table:
    """A table whose cells are already texts; a last column of yes and no is coloured. texts: columns of words.

    beside: whether its columns are policies side by side, whose cells may break on a narrow screen.
    """

    title: str
    words: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    texts: Sequence[int] = ()
    beside: bool = False


@dataclass(frozen=True)
class Section:
    """A heading with paragraphs, plots, tables, and notes (each a severity and a sentence).

    meanings: what the words of the tables mean. missing: what cannot be told, each with its reason.
    """

    title: str
    words: Sequence[str] = ()
    figures: Sequence[Figure] = ()
    tables: Sequence[Table] = ()
    notes: Sequence[tuple[Severity, str]] = ()
    meanings: Mapping[str, str] = field(default_factory=dict)
    missing: Sequence[str] = ()

    @property
    def anchor(self) -> str:
        """What a link to the section names."""
        return "section-" + "-".join("".join(c if c.isascii() and c.isalnum() else " " for c in self.title).split())


@dataclass(frozen=True)
class Page:
    """Verdict first, then plots, tables, sections and definitions. tone: how the verdict is coloured."""

    title: str
    verdict: str
    figures: Sequence[Figure]
    tables: Sequence[Table]
    definitions: Mapping[str, str]
    footer: str
    sections: Sequence[Section] = ()
    lead: Sequence[str] = ()
    tone: Tone = "good"


def html(page: Page) -> str:
    """The page as HTML text; autoescape is on, so hostile names show as they are written."""
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    template = environment.from_string(files("bandit_nba.report").joinpath("page.html.j2").read_text("utf-8"))
    return template.render(report=page)
