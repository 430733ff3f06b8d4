"""What the demo leaves behind: the page, the learning curve, and the numbers as JSON."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from bandit_nba.report import plots
from bandit_nba.report.page import Figure, Page, Table, html
from experiments.demo.run import Result
from experiments.demo.table import COLUMNS, POLICIES, WORDS, covers, rows, verdict

DEFINITIONS = {
    "reward": "1 if the customer accepted within the wait, otherwise 0.",
    "uniform": "Every eligible action with the same probability.",
    "logging (online)": "What really decided: the learning policy with its exploration.",
    "best fixed": "One action for everybody who may have it; chosen on the earlier decisions only.",
    "learned, greedy": "Always the action with the highest expected reward of the frozen model.",
    "oracle": "Always the truly best action; only a simulator knows it.",
    "truth": "Mean over the judged decisions of the true expected reward of what the policy would have done.",
    "IPS, SNIPS, DR": "From the log: inverse propensity score; its self-normalised form; doubly robust (cross-fitted).",
    "ESS": "Effective sample size: how many decisions of the judged policy itself the log is worth.",
    "95 % interval": "Drawn anew many times, about 95 of 100 such intervals hold the truth.",
}

COUNTS = {
    "decisionsAcknowledged": "decisions acknowledged to the client",
    "decisionsFailed": "decisions for which the client saw an error",
    "decisionsInLog": "decisions in the log",
    "decisionsInLogWithoutError": "decisions in the log for which the client saw no error",
    "decisionsLost": "decisions acknowledged but not in the log",
    "outcomesAcknowledged": "outcomes acknowledged to the client",
    "outcomesFailed": "outcomes for which the client saw an error",
    "outcomesInLog": "outcomes in the log",
    "outcomesInLogWithoutError": "outcomes in the log for which the client saw no error",
    "outcomesLost": "outcomes acknowledged but not in the log",
}


def write_report(result: Result) -> Path:
    """Write `report.html`, `learning_curve.svg` and `learning_curve.png` into the workspace; returns the page."""
    folder = result.options.workspace
    judged = result.judged
    online = np.concatenate([judged.early.reward, judged.log.reward])
    references = {name: judged.truth[name] for name in ("uniform", "best fixed", "learned", "oracle")}
    curve = plots.learning_curve(online, references=references, frozen_at=len(judged.early))
    plots.save(curve, folder / "learning_curve.svg")
    plots.save(curve, folder / "learning_curve.png")
    bars = plots.intervals(
        {
            f"{POLICIES[j.policy]}, {WORDS[name]}": (e.value, e.low, e.high, judged.truth[j.policy])
            for j in judged.judgements
            for name, e in j.estimates.items()
        }
    )
    page = Page(
        title=f"Next best action on {len(result.world.customers):,} real customers",
        verdict=verdict(result),
        figures=(
            Figure(
                "Learning",
                "Reward of consecutive decisions, with the simulator's truths as lines.",
                plots.svg(curve, title="Learning curve: reward per decision over the decisions made"),
            ),
            Figure(
                "What the log says, and the truth",
                "Estimates use the log alone; the simulator's truth checks them.",
                plots.svg(bars, title="Estimates with 95 % intervals and the true value for each policy"),
            ),
        ),
        tables=(
            Table(
                "Policies",
                f"Judged on {len(judged.log):,} decisions after the model was frozen.",
                COLUMNS,
                [list(row) for row in rows(result)],
            ),
            Table(
                "Counts",
                "By the client's account and by the log's.",
                ("count", "number"),
                [[COUNTS[name], f"{value:,}"] for name, value in judged.counts.items()],
            ),
        ),
        definitions=DEFINITIONS,
        footer=f"World seed {result.options.seed}, model {judged.frozen_model}. Made by `nba demo`; the simulator's "
        "responses are synthetic, its customers are the IBM Telco sample.",
    )
    path = folder / "report.html"
    path.write_text(html(page), encoding="utf-8")
    return path


def as_json(result: Result) -> bytes:
    """The table's numbers and the counts."""
    judged = result.judged
    policies: dict[str, Any] = {
        j.policy: {
            "truth": judged.truth[j.policy],
            "estimates": {
                name: {
                    "value": e.value,
                    "low": e.low,
                    "high": e.high,
                    "ess": e.ess,
                    "covers": covers(e, judged.truth[j.policy]),
                }
                for name, e in j.estimates.items()
            },
        }
        for j in judged.judgements
    }
    document = {
        "seed": result.options.seed,
        "decisions": result.options.decisions,
        "judged": len(judged.log),
        "leftOut": judged.log.left_out,
        "policies": policies,
        "bestFixedAction": judged.best_fixed,
        "oracleTruth": judged.truth["oracle"],
        "gapClosed": judged.closed,
        "liftOverBestFixed": judged.lift,
        "frozenModel": judged.frozen_model,
        "frozenModelExamples": judged.examples_learned,
        "counts": judged.counts,
        "decisionsPerSecond": result.played.answered / result.played.seconds,
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=2)
