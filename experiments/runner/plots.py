"""The plots that experiments share: learning curves with bands, regret, shares over a life cycle, win-loss matrix."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.runner.compare import Duels, half_width

# Okabe and Ito's palette and its darker second half: told apart by people with any colour vision.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#555555", "#8C510A", "#762A83", "#01665E")


def curves(frame: pd.DataFrame, metric: str, *, scenarios: Sequence[str], xlabel: str, ylabel: str) -> Figure:
    """A metric along x, mean over seeds, a panel per scenario; bands are 95 % intervals (Student's t over seeds).

    One seed has no band. Bands of two or three seeds may leave the panel: it shows the means' range thrice.
    """
    across = min(3, len(scenarios))
    down = -(-len(scenarios) // across)
    figure = Figure(figsize=(4.2 * across, 3.2 * down + 0.6), layout="constrained")
    policies = sorted(frame["policy"].unique())
    for place, scenario in enumerate(scenarios):
        axes = figure.add_subplot(down, across, place + 1)
        here = frame[(frame["scenario"] == scenario) & (frame["metric"] == metric) & frame["x"].notna()]
        for number, policy in enumerate(policies):
            mine = here[here["policy"] == policy].groupby("x")["value"].agg(["mean", half_width]).fillna(0.0)
            if mine.empty:
                continue
            colour, x = COLOURS[number % len(COLOURS)], mine.index.to_numpy()
            mean, half = mine["mean"].to_numpy(), mine["half_width"].to_numpy()
            axes.fill_between(x, mean - half, mean + half, color=colour, alpha=0.15, linewidth=0)
            axes.plot(x, mean, color=colour, linewidth=1.5, label=policy)
        _hold_to_the_means(axes)
        axes.set_title(scenario, fontsize=9)
        axes.set(xlabel=xlabel, ylabel=ylabel)
        axes.spines[["top", "right"]].set_visible(False)
        if place == 0:
            handles, labels = axes.get_legend_handles_labels()
            figure.legend(handles, labels, frameon=False, fontsize=8, loc="outside upper center", ncols=5)
    return figure


def _hold_to_the_means(axes: Axes) -> None:
    """Bands of few seeds must not flatten the curves."""
    means = np.concatenate(
        [np.asarray(line.get_ydata(), dtype=np.float64) for line in axes.get_lines()] or [np.zeros(1)]
    )
    low, high = float(means.min()), float(means.max())
    bottom, top = axes.get_ylim()
    span = high - low
    if span > 0.0:
        axes.set_ylim(max(bottom, low - span), min(top, high + span))


def matrix(found: Duels, *, title: str) -> Figure:
    """Runs that each row's policy surely won less those that it surely lost against each column's."""
    net = found.wins - found.losses
    size = len(found.policies)
    figure = Figure(figsize=(1.6 + 0.75 * size, 1.4 + 0.6 * size), layout="constrained")
    axes = figure.add_subplot()
    most = max(1, int(np.abs(net).max()))
    axes.imshow(net, cmap="PuOr", vmin=-most, vmax=most)
    for i in range(size):
        for j in range(size):
            if i != j:
                axes.text(
                    j,
                    i,
                    f"{found.wins[i, j]}-{found.losses[i, j]}",
                    ha="center",
                    va="center",
                    fontsize=7,
                    color=_ink(net[i, j] / most),
                )
    axes.set_xticks(range(size), found.policies, rotation=45, ha="right", fontsize=8)
    axes.set_yticks(range(size), found.policies, fontsize=8)
    axes.set_title(title, fontsize=9)
    return figure


def _ink(share: float) -> str:
    """White on the dark ends of the scale."""
    return "white" if abs(share) > 0.6 else "black"


def stacked(table: pd.DataFrame, *, x: str, ylabel: str) -> Figure:
    """Shares that add up to one: a bar per value of column `x`, a part per other column."""
    figure = Figure(figsize=(7.0, 3.6), layout="constrained")
    axes = figure.add_subplot()
    base = np.zeros(len(table))
    for number, column in enumerate(name for name in table.columns if name != x):
        height = table[column].to_numpy(dtype=np.float64)
        axes.bar(table[x].astype(str), height, bottom=base, label=column, color=COLOURS[number % len(COLOURS)])
        base += height
    axes.set(ylabel=ylabel)
    axes.tick_params(axis="x", rotation=25)
    axes.legend(frameon=False, fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5))
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def bars(table: pd.DataFrame, *, names: str, value: str, half: str, xlabel: str) -> Figure:
    """A level bar per row with an interval of +- `half`."""
    figure = Figure(figsize=(6.5, 0.8 + 0.32 * len(table)), layout="constrained")
    axes = figure.add_subplot()
    axes.barh(table[names].astype(str), table[value], xerr=table[half], color=COLOURS[0], alpha=0.8)
    axes.axvline(0.0, color="#555555", linewidth=1)
    axes.invert_yaxis()
    axes.set(xlabel=xlabel)
    axes.spines[["top", "right"]].set_visible(False)
    return figure
