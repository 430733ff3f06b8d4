"""The page: self-contained, and hostile names show as they are written."""

import re
from html.parser import HTMLParser

import numpy as np

from bandit_nba.report import plots
from bandit_nba.report.page import Figure, Page, Table, html

HOSTILE = "<script>alert('x')</script>\" onload=\"x"


class Seen(HTMLParser):
    """The tags and attributes that a browser would see."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}


def page(name: str) -> str:
    curve = plots.learning_curve(np.tile([0.0, 1.0], 100), references={name: 0.4}, frozen_at=140)
    return html(
        Page(
            title=name,
            verdict=name,
            figures=[Figure(name, name, plots.svg(curve, title=name))],
            tables=[Table(name, name, [name, "covers"], [[name, "yes"], [name, "no"]])],
            definitions={name: name},
            footer=name,
        )
    )


def test_hostile_names_stay_text():
    text = page(HOSTILE)

    seen = Seen()
    seen.feed(text)
    assert "script" not in seen.tags
    assert not {name for name in seen.attributes if name.startswith("on")}
    assert text.count("&lt;script&gt;") >= 10


def test_nothing_is_fetched():
    text = page("plain")

    assert "default-src 'none'" in text
    assert re.search(r"""(src|href)=["'](?!#)|url\((?!#)""", text) is None


def test_the_last_column_of_yes_and_no_is_marked():
    text = page("plain")

    assert '<td class="good">yes</td>' in text
    assert '<td class="bad">no</td>' in text


def test_the_same_plot_gives_the_same_bytes():
    def drawn() -> str:
        return plots.svg(plots.intervals({"a": (0.5, 0.4, 0.6, 0.55), "b": (0.1, 0.0, 0.2, None)}), title="t")

    assert drawn() == drawn()


def test_a_curve_shows_the_mean_of_each_bin():
    rewards = np.repeat([0.0, 1.0], 200)

    figure = plots.learning_curve(rewards, references={})

    line = figure.axes[0].lines[0]
    assert line.get_ydata().tolist() == [0.0] * 20 + [1.0] * 20
    assert line.get_xdata()[0] == 5.0


def test_plots_are_saved_in_the_format_of_their_ending(tmp_path):
    figure = plots.learning_curve(np.zeros(100), references={"x": 0.1})

    plots.save(figure, tmp_path / "a.svg")
    plots.save(figure, tmp_path / "a.png")

    assert (tmp_path / "a.svg").read_text().startswith("<?xml")
    assert (tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG"
