"""How much deciding for each customer earns over a few segments."""

import pandas as pd

from experiments.runner.closing import closing
from experiments.runner.gaps import paired
from experiments.runner.report import Report


def analyse(frame: pd.DataFrame) -> Report:
    """Gains over the others, shares of the gap closed, over all rounds and in the last fifth, and learning curves."""
    gains = {
        "individual_against_others": paired(frame, "individual"),
        "individual_late_against_others": paired(frame, "individual", metric="late"),
    }
    return closing(frame, first=gains)
