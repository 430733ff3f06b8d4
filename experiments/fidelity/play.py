"""One cell: the real log is cut in halves; a simulator sees one half and its log is held against the other.

The real log is the uniform one of the Open Bandit Dataset sample. What a simulator may get wrong is measured apart:
who comes (contexts), what they click (rates by item), and both together (can a classifier tell the logs apart?).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from bandit_nba.decide.columns import Floats, Ints
from bandit_nba.errors import SettingsError
from experiments.runner.results import Measure
from experiments.runner.sweep import Cell
from simulators.replay_obd import LoggedImpressions, replay_obd


@dataclass(frozen=True)
class Log:
    """contexts (n, d), item (n,), click (n,)."""

    contexts: Floats
    item: Ints
    click: Floats


def play(cell: Cell) -> list[Measure]:
    """Distances between the simulated log and the real half that the simulator never saw."""
    rng = np.random.default_rng([0xF1, cell.seed])
    real = replay_obd(campaign=str(cell.scenario_options["campaign"])).log
    order = rng.permutation(len(real.item))[: cell.rounds]
    seen, unseen = (_rows(real, rows) for rows in np.array_split(order, 2))
    kind = str(cell.policy_options.get("kind", ""))
    if kind not in SIMULATORS:
        raise SettingsError("no such simulator", where="sweep.toml", got=kind, allowed=", ".join(SIMULATORS))
    made = SIMULATORS[kind](rng, seen)
    return [
        Measure("contexts", pairs_apart(made.contexts, unseen.contexts)),
        Measure("click_rate", float(made.click.mean() - unseen.click.mean())),
        Measure("items_p", items_p(made, unseen, items=real.items)),
        Measure("auc", told_apart(rng, made, unseen)),
    ]


def pairs_apart(a: Floats, b: Floats) -> float:
    """The largest difference between two logs in how often two context indicators stand together."""
    return float(np.abs(a.T @ a / len(a) - b.T @ b / len(b)).max())


def items_p(a: Log, b: Log, *, items: int) -> float:
    """p of the hypothesis that each item is clicked alike in both logs: chi-squared over items, clicks pooled."""
    shown = np.array([np.bincount(log.item, minlength=items) for log in (a, b)], dtype=np.float64)
    clicks = np.array([np.bincount(log.item, weights=log.click, minlength=items) for log in (a, b)])
    rate = clicks.sum(axis=0) / np.maximum(shown.sum(axis=0), 1.0)
    expected = shown * rate
    some = (expected.min(axis=0) > 0.0) & (rate < 1.0)
    variance = (expected * (1.0 - rate))[:, some]
    statistic = ((clicks - expected)[:, some] ** 2 / variance).sum()
    return float(chi2.sf(statistic, some.sum()))


def told_apart(rng: np.random.Generator, a: Log, b: Log) -> float:
    """Area under the curve of a logistic regression that tells the logs apart, on rows that it did not see; .5: cannot.

    It sees contexts, products of pairs of 12 random ones, and the click.
    """
    x = np.vstack([np.column_stack([log.contexts, log.click]) for log in (a, b)])
    some = rng.choice(x.shape[1], size=min(12, x.shape[1]), replace=False)
    i, j = np.triu_indices(len(some), k=1)
    x = np.column_stack([x, x[:, some[i]] * x[:, some[j]]])
    y = np.repeat([0, 1], [len(a.item), len(b.item)])
    order = rng.permutation(len(y))
    train, test = np.array_split(order, 2)
    model = LogisticRegression(C=0.1, max_iter=300).fit(x[train], y[train])
    return float(roc_auc_score(y[test], model.decision_function(x[test])))


def _rows(log: LoggedImpressions, rows: Ints) -> Log:
    return Log(log.contexts[rows], log.item[rows], log.click[rows])


def _itself(_: np.random.Generator, log: Log) -> Log:
    return log


def _fitted(rng: np.random.Generator, log: Log) -> Log:
    """Whole customers drawn again; each item's clicks from its rate, drawn towards the mean rate (100 impressions)."""
    n, items = len(log.item), int(log.item.max()) + 1
    shown = np.bincount(log.item, minlength=items)
    rate = (np.bincount(log.item, weights=log.click, minlength=items) + 100.0 * log.click.mean()) / (shown + 100.0)
    item = rng.integers(0, items, n)
    return Log(log.contexts[rng.integers(0, n, n)], item, (rng.random(n) < rate[item]).astype(np.float64))


def _independent(rng: np.random.Generator, log: Log) -> Log:
    """As `fitted`, but each feature drawn by itself: shares are right, customers are not."""
    made = _fitted(rng, log)
    columns = [rng.permutation(made.contexts[:, j]) for j in range(made.contexts.shape[1])]
    return Log(np.column_stack(columns), made.item, made.click)


def _eager(rng: np.random.Generator, log: Log) -> Log:
    """As `fitted`, but with the clicks of a made-up world: 3 % on every item."""
    made = _fitted(rng, log)
    return Log(made.contexts, made.item, (rng.random(len(made.item)) < 0.03).astype(np.float64))


SIMULATORS: dict[str, Callable[[np.random.Generator, Log], Log]] = {
    "itself": _itself,
    "fitted": _fitted,
    "independent": _independent,
    "eager": _eager,
}
