"""The variants side by side: reward relative to the best of each scenario, and the chosen one against each other."""

import pandas as pd

from experiments.runner.compare import against, by_scenario
from experiments.runner.report import Report

CHOSEN = "chosen: squarecb 100, prior .3 x 10, rate .2"


def analyse(frame: pd.DataFrame) -> Report:
    """Mean over scenarios of reward / the best policy's reward, worlds and data sets apart."""
    means = by_scenario(frame, "expected").set_index("scenario")
    share = means.div(means.max(axis=1), axis=0)
    worlds = share.index.str.startswith("telco")
    table = pd.DataFrame({"worlds": share[worlds].mean(), "data_sets": share[~worlds].mean()})
    table = table.rename_axis("policy").reset_index().sort_values("data_sets", ascending=False)
    return Report(
        tables={"relative_reward": table, "chosen_against_others": against(frame, CHOSEN)},
        words=("Reward as a share of the best policy's in each scenario, mean over scenarios.",),
    )
