"""Rewards told as the share of the gap from uniform to the oracle that is closed: comparable between scenarios."""

import pandas as pd

from experiments.runner.compare import half_width, wide


def closed(frame: pd.DataFrame, metric: str = "expected") -> pd.DataFrame:
    """(metric - uniform) / (oracle - uniform) of each run, mean over seeds with its standard error, by scenario.

    metric: "expected" for all rounds, "late" for the last fifth, whose own uniform and oracle it is held against.
    """
    part = "late_" if metric == "late" else ""
    value, uniform, oracle = (wide(frame, name) for name in (metric, f"{part}uniform", f"{part}oracle"))
    share = (value - uniform) / (oracle - uniform)
    long = share.reset_index().melt(id_vars=["scenario", "seed"], value_name="closed")
    table = long.groupby(["scenario", "policy"], sort=True)["closed"].agg(["mean", "sem", "count"]).reset_index()
    return table.rename(columns={"mean": "closed", "sem": "se", "count": "seeds"})


def side_by_side(table: pd.DataFrame, value: str = "closed") -> pd.DataFrame:
    """A row per policy, a column per scenario."""
    return table.pivot_table(index="policy", columns="scenario", values=value).reset_index()


def paired(frame: pd.DataFrame, policy: str, *, metric: str = "expected") -> pd.DataFrame:
    """`policy` less each other, in % of the other: mean over seeds and a 95 % interval (Student's t, seeds paired)."""
    means = wide(frame, metric)
    rows = []
    for scenario in sorted(frame["scenario"].unique()):
        here = means.loc[scenario]
        for other in (name for name in here.columns if name != policy):
            difference = here[policy] - here[other]
            base, half = here[other].mean(), half_width(difference.to_numpy())
            rows.append(
                {
                    "scenario": scenario,
                    "against": other,
                    "gain_%": 100.0 * difference.mean() / base,
                    "low_%": 100.0 * (difference.mean() - half) / base,
                    "high_%": 100.0 * (difference.mean() + half) / base,
                }
            )
    return pd.DataFrame(rows)
