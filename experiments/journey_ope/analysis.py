"""Coverage where a horizon was answered, how often it was refused, and what the effective samples were."""

import numpy as np
import pandas as pd
from scipy.stats import beta

from experiments.runner.report import Report

PROMISED = 0.95
SHORT = 5


def analyse(frame: pd.DataFrame) -> Report:
    """One row per scenario, estimator and horizon; `low`, `high`: Clopper-Pearson interval of the coverage itself."""
    rows = [
        _row(dict(zip(("scenario", "policy", "horizon"), key, strict=True)), part)
        for key, part in frame.groupby(["scenario", "policy", "x"], sort=True)
    ]
    table = pd.DataFrame(rows)
    sound = table[~table["policy"].str.contains("wrong")]
    short = sound[(sound["horizon"] <= SHORT) & (sound["high"] < PROMISED)]
    found = "; ".join(f"{row.policy} ({row.scenario}, {row.horizon:.0f} steps)" for row in short.itertuples()) or "none"
    reasons = frame[(frame["metric"] == "refused") & (frame["value"] > 0.0)]["label"]
    words = [f"Horizons up to {SHORT} whose coverage is surely below 95 %: {found}."]
    if len(reasons):
        words.append(f"{len(reasons):,} horizons were refused; the first: {reasons.iloc[0]}")
    return Report(tables={"coverage": table, "by_estimator": _pooled(sound)}, words=tuple(words))


def _row(key: dict[str, object], part: pd.DataFrame) -> dict[str, object]:
    values = {metric: one["value"].to_numpy() for metric, one in part.groupby("metric")}
    nothing = np.zeros(0)
    covered, errors = values.get("covered", nothing), values.get("error", nothing)
    hits, n = int(covered.sum()), len(covered)
    low, high = _bounds(hits, n)
    return {
        **key,
        "runs": len(values["refused"]),
        "answered": n,
        "covered": hits,
        "coverage": hits / n if n else float("nan"),
        "low": low,
        "high": high,
        "bias": float(errors.mean()) if n else float("nan"),
        "rmse": float(np.sqrt((errors**2).mean())) if n else float("nan"),
        "width": float(values["width"].mean()) if n else float("nan"),
        "least_ess": float(values["ess"].min()) if n else float("nan"),
        "truth": float(values["truth"].mean()),
        "truth_se": float(values["truth_se"].mean()),
    }


def _pooled(table: pd.DataFrame) -> pd.DataFrame:
    """All answered horizons up to five steps of one scenario and estimator; horizons of one log are not independent."""
    here = table[table["horizon"] <= SHORT]
    sums = here.groupby(["scenario", "policy"], sort=True)[["runs", "answered", "covered"]].sum().reset_index()
    return sums.assign(coverage=sums["covered"] / sums["answered"].where(sums["answered"] > 0))


def _bounds(hits: int, n: int) -> tuple[float, float]:
    """Clopper-Pearson, 95 %; 0 to 1 of nothing."""
    low = float(beta.ppf(0.025, hits, n - hits + 1)) if hits else 0.0
    high = float(beta.ppf(0.975, hits + 1, n - hits)) if hits < n else 1.0
    return low, high
