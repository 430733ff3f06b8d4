"""The report of an experiment about learning while deciding: how much of the gap to the oracle each policy closed."""

from collections.abc import Mapping

import pandas as pd

from experiments.runner.gaps import closed, side_by_side
from experiments.runner.plots import curves
from experiments.runner.report import Report


def closing(frame: pd.DataFrame, *, first: Mapping[str, pd.DataFrame] | None = None) -> Report:
    """Shares of the gap closed, over all rounds and in the last fifth, and learning curves. first: tables above."""
    scenarios = sorted(frame["scenario"].unique())
    online, late = closed(frame), closed(frame, "late")
    return Report(
        tables={
            **(first or {}),
            "closed": side_by_side(online),
            "closed_in_the_last_fifth": side_by_side(late),
            "closed_with_errors": online,
        },
        words=(
            "Share of the gap from uniform to the oracle that is closed, over all rounds; errors are standard errors "
            "over seeds, bands 95 % intervals over seeds.",
        ),
        figures={
            "learning_curves": curves(
                frame, "reward", scenarios=scenarios, xlabel="round", ylabel="mean reward so far"
            ),
            "regret": curves(frame, "regret", scenarios=scenarios, xlabel="round", ylabel="regret"),
        },
    )
