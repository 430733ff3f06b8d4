"""One cell: a logging policy decides in a world whose truth is known, and another policy is judged from that log alone.

The logger mixes its model with `alpha` of uniform; the judged policy is another model's greedy choice with `judged` of
uniform. Both models are fixed before: the true q with noise of their own, so that nothing was learned from what judges.
"""

from typing import Any

import numpy as np

from bandit_nba.decide.columns import Bools, Floats
from bandit_nba.decide.policies.dense import DenseContexts
from bandit_nba.evaluate.api import estimate
from bandit_nba.evaluate.cross_fit import cross_fit
from experiments.runner.game.play import game_of
from experiments.runner.results import Measure
from experiments.runner.sweep import Cell


def play(cell: Cell) -> list[Measure]:
    """Error, coverage and width of the estimator and interval that the policy's options name."""
    options = cell.scenario_options
    game = game_of(options, seed=cell.seed, rounds=cell.rounds)
    rng = np.random.default_rng([0xC0, cell.seed])
    logger = mixed(rng, game.q, game.mask, share=float(options.get("alpha", 0.5)))
    judged = mixed(rng, game.q, game.mask, share=float(options.get("judged", 0.1)))
    n = len(game)
    rows = np.arange(n)
    chosen = (rng.random((n, 1)) > logger.cumsum(axis=1)[:, :-1]).sum(axis=1)
    reward = game.rewards(slice(0, n), chosen)
    weight = judged[rows, chosen] / logger[rows, chosen]
    truth = float((judged * game.q).sum(axis=1).mean())
    named: dict[str, Any] = dict(cell.policy_options)
    if named["estimator"] in ("dm", "dr", "sndr", "switch_dr", "dros"):
        x = DenseContexts().learn(game.situation.contexts)
        k = game.q.shape[1]
        model = cross_fit(x, chosen, reward, n_arms=k, model="logistic", groups=game.customer, rng=rng)
        named |= {"q_logged": model.q_logged, "q_policy": model.under(judged)}
    most = weight_most(logger, judged)
    found = estimate(weight, reward, groups=game.customer, rng=rng, weight_range=(0.0, most), **named)
    return [
        Measure("truth", truth),
        Measure("value", found.value),
        Measure("error", found.value - truth),
        Measure("covered", float(found.low <= truth <= found.high)),
        Measure("width", found.high - found.low),
        Measure("ess", found.ess),
    ]


def mixed(rng: np.random.Generator, q: Floats, mask: Bools, *, share: float) -> Floats:
    """(1 - share) on the arm that is best under q shifted per arm by half its spread, `share` spread evenly; (N, K)."""
    noisy = q + rng.normal(scale=0.5 * q.std(axis=0), size=q.shape[1])
    best = np.where(mask, noisy, -np.inf).argmax(axis=1)
    probability: Floats = share * mask / mask.sum(axis=1, keepdims=True)
    probability[np.arange(len(q)), best] += 1.0 - share
    return probability


def weight_most(logger: Floats, judged: Floats) -> float:
    """The largest possible weight."""
    possible = logger > 0.0
    return float((judged[possible] / logger[possible]).max())
