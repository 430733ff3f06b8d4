"""Coverage, bias and width by estimator and interval."""

import numpy as np
import pandas as pd
from scipy.stats import beta

from experiments.runner.compare import wide
from experiments.runner.plots import bars
from experiments.runner.report import Report

PROMISED = 0.95


def analyse(frame: pd.DataFrame) -> Report:
    """One row per scenario and method; `low`, `high`: Clopper-Pearson interval of the coverage itself."""
    covered, error, width, ess = (wide(frame, name) for name in ("covered", "error", "width", "ess"))
    rows = []
    for scenario in sorted(frame["scenario"].unique()):
        for method in covered.columns:
            hits, n = int(covered.loc[scenario][method].sum()), len(covered.loc[scenario])
            errors = error.loc[scenario][method].to_numpy()
            rows.append(
                {
                    "scenario": scenario,
                    "method": method,
                    "coverage": hits / n,
                    "low": float(beta.ppf(0.025, hits, n - hits + 1)) if hits else 0.0,
                    "high": float(beta.ppf(0.975, hits + 1, n - hits)) if hits < n else 1.0,
                    "bias": float(errors.mean()),
                    "rmse": float(np.sqrt((errors**2).mean())),
                    "width": float(width.loc[scenario][method].mean()),
                    "ess": float(ess.loc[scenario][method].mean()),
                    "runs": n,
                }
            )
    table = pd.DataFrame(rows)
    short = table[table["high"] < PROMISED]
    found = "; ".join(f"{row.method} ({row.scenario})" for row in short.itertuples()) or "none"
    shown = table.assign(name=table["scenario"].str.split(":").str[0] + ", " + table["method"], half=0.0)
    return Report(
        tables={"coverage": table},
        words=(f"Intervals of 95 % whose coverage is surely below 95 %: {found}.",),
        figures={"coverage": bars(shown, names="name", value="coverage", half="half", xlabel="share of runs covered")},
    )
