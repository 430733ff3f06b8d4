"""How far each simulated log is from the real one, beside how far two real halves are."""

import pandas as pd

from experiments.runner.compare import wide
from experiments.runner.plots import bars
from experiments.runner.report import Report

NULL = "the other real half"


def analyse(frame: pd.DataFrame) -> Report:
    """Means over seeds; `looks_real`: no measure is outside the middle 95 % of what two real halves give."""
    measures = {name: wide(frame, name) for name in ("contexts", "click_rate", "items_p", "auc")}
    rows = []
    for scenario in sorted(frame["scenario"].unique()):
        for policy in measures["auc"].columns:
            mean = {name: float(table.loc[scenario][policy].mean()) for name, table in measures.items()}
            rejected = float((measures["items_p"].loc[scenario][policy] < 0.05).mean())
            outside = [
                name
                for name in ("contexts", "click_rate", "auc")
                if not _within(measures[name].loc[scenario][NULL], mean[name])
            ]
            told = ", ".join(outside) or "looks real"
            rows.append(
                {"scenario": scenario, "simulator": policy, **mean, "items_rejected": rejected, "told_by": told}
            )
    table = pd.DataFrame(rows)
    shown = table.assign(name=table["scenario"] + ", " + table["simulator"], excess=table["auc"] - 0.5, half=0.0)
    return Report(
        tables={"fidelity": table},
        words=("auc: how well a classifier tells the logs apart on rows it did not see (.5: it cannot).",),
        figures={"auc": bars(shown, names="name", value="excess", half="half", xlabel="AUC - 0.5")},
    )


def _within(null: "pd.Series[float]", value: float) -> bool:
    return bool(null.quantile(0.025) - 1e-12 <= value <= null.quantile(0.975) + 1e-12)
