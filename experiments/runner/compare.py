"""Policies side by side over many runs: who surely won which, and by how much.

The bake-off's test (Bietti, Agarwal & Langford 2021, arXiv 1802.04064, section 4): with mean rewards a and b of two
policies over the same n rounds,

    d = a - b      se^2 = a (1 - a) / n + b (1 - b) / n      p = 1 - erf(|d| / se)

and a win or a loss where p < .05. (This is more easily passed than a two-sided normal test, whose argument would be
|d| / (se sqrt 2); between two policies that are alike it finds a win or a loss in about 5 % of the runs where a
policy's luck is its own, fewer where both share it.)
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import erf
from scipy.stats import t as student

from bandit_nba.decide.columns import Floats

LEVEL = 0.05


@dataclass(frozen=True)
class Duels:
    """Of each row's policy against each column's: runs surely won and surely lost, int64 (P, P) each."""

    policies: tuple[str, ...]
    wins: np.ndarray
    losses: np.ndarray
    runs: int


def verdicts(a: Floats, b: Floats, n: Floats) -> np.ndarray:
    """1 where a surely won, -1 where it lost, else 0; means and rounds of each run, (runs,)."""
    se = np.sqrt((a * (1.0 - a) + b * (1.0 - b)) / n)
    d = a - b
    p = 1.0 - erf(np.abs(d) / np.maximum(se, 1e-300))
    found: np.ndarray = np.where(p < LEVEL, np.sign(d), 0.0).astype(np.int64)
    return found


def half_width(values: Floats) -> float:
    """Half of the 95 % interval of a mean, t_{n-1} sd / sqrt(n): seeds and scenarios are few; NaN for one value."""
    n = len(values)
    return float(student.ppf(0.975, n - 1) * np.std(values, ddof=1) / np.sqrt(n)) if n > 1 else float("nan")


def wide(frame: pd.DataFrame, metric: str) -> pd.DataFrame:
    """One metric of whole runs: a row per (scenario, seed), a column per policy."""
    one = frame[(frame["metric"] == metric) & frame["x"].isna()]
    return one.pivot_table(index=["scenario", "seed"], columns="policy", values="value", sort=True, aggfunc="first")


def duels(frame: pd.DataFrame, policies: Sequence[str]) -> Duels:
    """The bake-off's test of every pair in every run."""
    total, rounds = wide(frame, "total")[list(policies)], wide(frame, "rounds")[list(policies)]
    means = (total / rounds).to_numpy()
    n = rounds.to_numpy()[:, 0]
    found = np.array(
        [[verdicts(means[:, i], means[:, j], n) for j in range(len(policies))] for i in range(len(policies))]
    )
    return Duels(tuple(policies), (found == 1).sum(axis=2), (found == -1).sum(axis=2), len(means))


def against(frame: pd.DataFrame, policy: str) -> pd.DataFrame:
    """`policy` against every other: wins, losses, and the mean difference with a 95 % interval over scenarios.

    The interval (Student's t) takes each scenario's mean difference over its seeds as one observation of a normal
    sample.
    """
    total, rounds = wide(frame, "total"), wide(frame, "rounds")
    means = total / rounds
    others = [name for name in means.columns if name != policy]
    rows = []
    for other in others:
        found = verdicts(means[policy].to_numpy(), means[other].to_numpy(), rounds[policy].to_numpy())
        by_scenario = (means[policy] - means[other]).groupby(level="scenario").mean().to_numpy()
        half = half_width(by_scenario)
        rows.append(
            {
                "against": other,
                "wins": int((found == 1).sum()),
                "losses": int((found == -1).sum()),
                "runs": len(found),
                "difference": float(by_scenario.mean()),
                "low": float(by_scenario.mean() - half),
                "high": float(by_scenario.mean() + half),
            }
        )
    return pd.DataFrame(rows)


def by_scenario(frame: pd.DataFrame, metric: str, *, policies: Sequence[str] = ()) -> pd.DataFrame:
    """Mean over seeds: a row per scenario, a column per policy."""
    table = wide(frame, metric)
    table = table[list(policies)] if policies else table
    return table.groupby(level="scenario").mean().reset_index()


def with_error(frame: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Per scenario and policy: mean over seeds, its standard error, and how many seeds."""
    one = frame[(frame["metric"] == metric) & frame["x"].isna()]
    grouped = one.groupby(["scenario", "policy"], sort=True)["value"]
    table = grouped.agg(["mean", "sem", "count"]).reset_index()
    return table.rename(columns={"mean": metric, "sem": "se", "count": "seeds"})
