"""What each prior earned before and after the new actions came."""

import pandas as pd

from experiments.runner.gaps import closed, side_by_side
from experiments.runner.plots import curves
from experiments.runner.report import Report


def analyse(frame: pd.DataFrame) -> Report:
    """Shares of the gap closed, over all rounds and in the last fifth, and learning curves."""
    scenarios = sorted(frame["scenario"].unique())
    online, late = closed(frame), closed(frame, "late")
    return Report(
        tables={
            "closed": side_by_side(online),
            "closed_in_the_last_fifth": side_by_side(late),
            "closed_with_errors": online,
        },
        words=("Share of the gap from uniform to the oracle that is closed, over all rounds; errors are over seeds.",),
        figures={
            "learning_curves": curves(
                frame, "reward", scenarios=scenarios, xlabel="round", ylabel="mean reward so far"
            ),
            "regret": curves(frame, "regret", scenarios=scenarios, xlabel="round", ylabel="regret"),
        },
    )
