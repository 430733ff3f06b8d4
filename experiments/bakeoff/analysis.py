"""The bake-off's results as tables and plots: pure, from the result file's rows."""

import pandas as pd

from experiments.runner.compare import against, by_scenario, duels
from experiments.runner.plots import curves, matrix
from experiments.runner.report import Report

OURS = "default"


def analyse(frame: pd.DataFrame) -> Report:
    """Win-loss matrix, our policy against each peer, mean rewards, learning and regret curves."""
    policies = [OURS, *sorted(set(frame["policy"]) - {OURS})]
    found = duels(frame, policies)
    versus = against(frame, OURS)
    lost = [row["against"] for row in versus.to_dict("records") if row["wins"] <= row["losses"]]
    worlds = frame[frame["scenario"].str.startswith("telco")]
    verdict = "more significant wins than losses against every peer" if not lost else f"does not beat {', '.join(lost)}"
    scenarios = sorted(frame["scenario"].unique())
    shown = [name for name in scenarios if name.startswith("telco")] or scenarios[:6]
    wins = pd.DataFrame(
        [
            {"policy": name, **{other: f"{found.wins[i, j]}-{found.losses[i, j]}" for j, other in enumerate(policies)}}
            for i, name in enumerate(policies)
        ]
    )
    return Report(
        tables={
            "default_against_peers": versus,
            "on_worlds": against(worlds, OURS) if len(worlds) else pd.DataFrame(),
            "wins_and_losses": wins,
            "where_default_loses": _losses(frame),
            "mean_reward": by_scenario(frame, "expected", policies=policies),
            "late_reward": by_scenario(frame, "late", policies=policies),
        },
        words=(f"{found.runs:,} runs of each policy; {OURS}: {verdict}.",),
        figures={
            "win_loss": matrix(found, title=f"significant wins-losses of rows against columns, {found.runs} runs"),
            "learning_curves": curves(frame, "reward", scenarios=shown, xlabel="round", ylabel="mean reward so far"),
            "regret": curves(frame, "regret", scenarios=shown, xlabel="round", ylabel="regret"),
        },
    )


def _losses(frame: pd.DataFrame) -> pd.DataFrame:
    """Scenarios where a peer surely won more runs against us than it lost."""
    rows = []
    for scenario in sorted(frame["scenario"].unique()):
        here = against(frame[frame["scenario"] == scenario], OURS)
        rows += [
            {"scenario": scenario, **{key: row[key] for key in ("against", "wins", "losses", "difference")}}
            for row in here.to_dict("records")
            if row["losses"] > row["wins"]
        ]
    return pd.DataFrame(rows, columns=["scenario", "against", "wins", "losses", "difference"])
