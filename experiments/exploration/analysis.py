"""What each way to explore earned while it explored."""

import pandas as pd

from experiments.runner.closing import closing
from experiments.runner.report import Report


def analyse(frame: pd.DataFrame) -> Report:
    """Shares of the gap closed, over all rounds and in the last fifth, and learning curves."""
    return closing(frame)
