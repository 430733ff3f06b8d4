"""Plots as SVG text (for the page) or PNG files; drawn without a screen."""

import hashlib
import io
import itertools
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from bandit_nba.decide.columns import Floats

# Okabe and Ito's palette: told apart by people with any colour vision.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")


def learning_curve(rewards: Floats, *, references: Mapping[str, float], frozen_at: int | None = None) -> Figure:
    """Mean reward of consecutive decisions in about 40 bins with a 95 % band; references are level lines.

    rewards: float64 (N,) in the order of decision. frozen_at: number of the first judged decision.
    """
    size = max(1, len(rewards) // 40)
    bins = len(rewards) // size
    cells = rewards[: bins * size].reshape(bins, size)
    middle = (np.arange(bins) + 0.5) * size
    mean = cells.mean(axis=1)
    half = 1.96 * cells.std(axis=1, ddof=1) / np.sqrt(size) if size > 1 else np.zeros(bins)
    figure = Figure(figsize=(8.0, 4.2), layout="constrained")
    axes = figure.add_subplot()
    axes.fill_between(middle, mean - half, mean + half, color=COLOURS[0], alpha=0.2, linewidth=0)
    axes.plot(middle, mean, color=COLOURS[0], linewidth=2, label=f"online, mean of {size} decisions (band: 95 %)")
    for colour, (name, level) in zip(COLOURS[1:], references.items(), strict=False):
        axes.axhline(level, color=colour, linestyle="--", linewidth=1.2, label=f"{name} {level:.3f}")
    if frozen_at is not None:
        axes.axvline(frozen_at, color="#555555", linewidth=1, label="model frozen; judged from here on")
    axes.set(xlabel="decisions", ylabel="reward per decision", xlim=(0, len(rewards)), ylim=(0, None))
    axes.legend(frameon=False, fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def intervals(rows: Mapping[str, tuple[float, float, float, float | None]], *, width_in: float = 8.0) -> Figure:
    """One line per name: (value, low, high, truth or None) as point, bar and a diamond for the truth."""
    figure = Figure(figsize=(width_in, 0.6 + 0.34 * len(rows)), layout="constrained")
    axes = figure.add_subplot()
    for y, (value, low, high, truth) in enumerate(rows.values()):
        axes.plot([low, high], [y, y], color=COLOURS[0], linewidth=3, alpha=0.5, solid_capstyle="butt")
        axes.plot([value], [y], "o", color=COLOURS[0], label="estimate and 95 % interval" if y == 0 else None)
        if truth is not None:
            axes.plot([truth], [y], "D", color=COLOURS[1], label="simulator's truth" if y == 0 else None)
    axes.set_yticks(range(len(rows)), [_plain(name) for name in rows])
    axes.invert_yaxis()
    axes.set(xlabel="reward per decision")
    if any(row[-1] is not None for row in rows.values()):
        axes.legend(frameon=False, fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def over_time(labels: Sequence[str], lines: Mapping[str, Sequence[float | None]], *, ylabel: str) -> Figure:
    """One line per name over consecutive periods; a period without a figure leaves a gap."""
    figure = Figure(figsize=(4.8, 3.0), layout="constrained")
    axes = figure.add_subplot()
    places = np.arange(len(labels))
    for colour, (name, values) in zip(itertools.cycle(COLOURS), lines.items(), strict=False):
        heights = np.array([np.nan if value is None else value for value in values])
        axes.plot(places, heights, "o-", color=colour, linewidth=1.6, markersize=4, label=_plain(name))
    axes.set_xticks(places, [str(place + 1) for place in places.tolist()])
    axes.set(xlabel="period", ylabel=ylabel, ylim=(min(0.0, axes.get_ylim()[0]), None))
    axes.legend(frameon=False, fontsize=9, loc="best")
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def bars(labels: Sequence[str], groups: Mapping[str, Sequence[float]], *, xlabel: str) -> Figure:
    """For each label one bar per group, beside each other."""
    height = 0.8 / max(1, len(groups))
    figure = Figure(figsize=(4.8, 0.9 + (0.12 + 0.11 * len(groups)) * len(labels)), layout="constrained")
    axes = figure.add_subplot()
    places = np.arange(len(labels))
    for g, (name, widths) in enumerate(groups.items()):
        at = places + (g - (len(groups) - 1) / 2) * height
        axes.barh(at, widths, height=height, color=COLOURS[g % len(COLOURS)], label=_plain(name))
    axes.set_yticks(places, [_plain(label) for label in labels])
    axes.set(xlabel=xlabel, ylim=(len(labels) - 0.4, -0.6))
    axes.legend(frameon=False, fontsize=9, loc="best")
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def svg(figure: Figure, *, title: str) -> str:
    """The figure as an `<svg>` element with an accessible title, the same bytes for the same figure."""
    buffer = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "bandit-nba"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Title": title})
    text = buffer.getvalue()
    text = text[text.index("<svg") :].replace("<svg ", f'<svg role="img" aria-label="{_escaped(title)}" ', 1)
    # Several figures stand in one page, where an id may stand once only.
    own = hashlib.blake2b(text.encode(), digest_size=4).hexdigest()
    return _ID.sub(rf"\g<1>f{own}-\g<2>", text)


def save(figure: Figure, path: Path) -> None:
    """Write the figure; the ending (.svg, .png) names the format."""
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "bandit-nba"}):
        figure.savefig(path, dpi=140, metadata={"Date": None} if path.suffix == ".svg" else None)


_ID = re.compile(r'((?:\sid="|href="#|url\(#))([\w.-]+)')


def _plain(name: str) -> str:
    """A name as a label: on one line, not too long, and no formula to matplotlib."""
    line = " ".join("".join(c if c.isprintable() else " " for c in name).split())
    short = line if len(line) <= 26 else f"{line[:25]}…"
    return short.replace("$", r"\$").removeprefix("_") or "?"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
