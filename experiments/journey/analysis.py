"""Money, responses and retention by policy; what each policy does at each stage of the life cycle."""

import pandas as pd

from experiments.runner.compare import by_scenario, with_error
from experiments.runner.plots import curves, stacked
from experiments.runner.report import Report

SHOWN = "learned"


def analyse(frame: pd.DataFrame) -> Report:
    """Tables by world, curves by step, and the action mix of the learned policy, or the last, over the life cycle."""
    scenarios, policies = sorted(frame["scenario"].unique()), sorted(frame["policy"].unique())
    shown = SHOWN if SHOWN in policies else policies[-1]
    mixes = {f"action_mix_{scenario}".replace("-", "_"): mix(frame, scenario, shown) for scenario in scenarios}
    figures = {
        "money": curves(frame, "money_so_far", scenarios=scenarios, xlabel="step", ylabel="money per customer so far"),
        "regret": curves(frame, "regret_so_far", scenarios=scenarios, xlabel="step", ylabel="regret, responses"),
        "active": curves(frame, "active", scenarios=scenarios, xlabel="step", ylabel="share still customers"),
    }
    figures |= {name: stacked(table, x="stage", ylabel="share of decisions") for name, table in mixes.items()}
    return Report(
        tables={
            "money": by_scenario(frame, "money"),
            "money_with_errors": with_error(frame, "money"),
            "responses": by_scenario(frame, "responses"),
            "contacts_per_step": by_scenario(frame, "contacts_per_step"),
            "active_at_end": by_scenario(frame, "active_at_end"),
            **mixes,
        },
        words=(
            "Money and responses per customer over the journey; errors are standard errors over seeds, each another "
            "world, bands 95 % intervals over seeds.",
        ),
        figures=figures,
    )


def mix(frame: pd.DataFrame, scenario: str, policy: str) -> pd.DataFrame:
    """Share of each group of actions among the decisions at each stage, mean over seeds."""
    mine = frame[(frame["scenario"] == scenario) & (frame["policy"] == policy) & (frame["metric"] == "mix")]
    parts = mine["label"].str.split("/", n=1, expand=True)
    table = mine.assign(stage=parts[0], group=parts[1]).pivot_table(index="stage", columns="group", values="value")
    return table.fillna(0.0).reset_index()
