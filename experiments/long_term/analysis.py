"""Customer value over two years, and the gain over the myopic policy with intervals from rollouts."""

import numpy as np
import pandas as pd

from experiments.runner.compare import by_scenario, half_width, wide
from experiments.runner.plots import bars, curves
from experiments.runner.report import Report

PAIRS = (
    ("knows q, patient 0.5", "knows q, myopic"),
    ("knows q, patient 1", "knows q, myopic"),
    ("learned, contact price 0.5", "learned, myopic"),
    ("learned, contact price 1", "learned, myopic"),
    ("learned, money of 26 weeks", "learned, myopic"),
)


def analyse(frame: pd.DataFrame) -> Report:
    """Gains over the myopic policy that knows q, and of each long-term reward over the myopic reward of its kind."""
    scenarios = sorted(frame["scenario"].unique())
    gains = over_the_rival(frame)
    pairs = between(frame)
    figures = {"active": curves(frame, "active", scenarios=scenarios, xlabel="week", ylabel="share still customers")}
    figures["money"] = curves(frame, "money_so_far", scenarios=scenarios, xlabel="week", ylabel="money per customer")
    if len(pairs):
        shown = pairs.assign(names=pairs["scenario"] + ": " + pairs["policy"], half=pairs["high_%"] - pairs["gain_%"])
        label = "gain over the myopic reward, %"
        figures["gains"] = bars(shown, names="names", value="gain_%", half="half", xlabel=label)
    return Report(
        tables={
            "long_term_against_myopic": pairs,
            "against_the_myopic_policy_that_knows_q": gains,
            "money": by_scenario(frame, "money"),
            "contacts_per_week": by_scenario(frame, "contacts_per_step"),
            "active_at_end": by_scenario(frame, "active_at_end"),
        },
        words=("Money per customer over the journey, discounted. Intervals: 95 %.",),
        figures=figures,
    )


def over_the_rival(frame: pd.DataFrame) -> pd.DataFrame:
    """Gain of each policy, mean over seeds; the error is that of the rollouts (over customers, same chances)."""
    gain, se, rival = wide(frame, "gain"), wide(frame, "gain_se"), wide(frame, "rival")
    rows = []
    for scenario in sorted(frame["scenario"].unique()):
        for policy in gain.columns:
            mean, base = gain.loc[scenario][policy].mean(), rival.loc[scenario][policy].mean()
            half = 1.96 * np.sqrt((se.loc[scenario][policy] ** 2).sum()) / len(se.loc[scenario])
            rows.append(_row(scenario, str(policy), float(mean), float(half), float(base)))
    return pd.DataFrame(rows)


def between(frame: pd.DataFrame) -> pd.DataFrame:
    """Each long-term reward against the myopic one of its kind: paired by seed, Student's t over seeds."""
    money = wide(frame, "money")
    rows = []
    for scenario in sorted(frame["scenario"].unique()):
        for policy, rival in PAIRS:
            if policy in money and rival in money:
                difference = (money.loc[scenario][policy] - money.loc[scenario][rival]).to_numpy()
                half = half_width(difference)
                base = float(money.loc[scenario][rival].mean())
                rows.append(_row(scenario, policy, float(difference.mean()), half, base))
    return pd.DataFrame(rows)


def _row(scenario: str, policy: str, gain: float, half: float, base: float) -> dict[str, object]:
    return {
        "scenario": scenario,
        "policy": policy,
        "gain": gain,
        "gain_%": 100.0 * gain / base,
        "low_%": 100.0 * (gain - half) / base,
        "high_%": 100.0 * (gain + half) / base,
    }
