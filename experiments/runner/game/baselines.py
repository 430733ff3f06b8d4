"""Players without a regression: uniform, the best fixed arm in hindsight, and a segment campaign."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from bandit_nba.decide.acting import ActingPolicy, Situation
from bandit_nba.decide.batch import Floats, Ints
from bandit_nba.decide.policies.best_fixed import BestFixedPolicy
from bandit_nba.decide.policies.campaign import SegmentCampaign
from bandit_nba.decide.policies.segments import NearestCentre
from bandit_nba.decide.policies.uniform import UniformPolicy
from experiments.runner.game.rounds import START_S, Game

PILOT = 200  # rounds whose contexts the segments are made of


class Acting:
    """One of the library's acting policies; those that learn get every batch."""

    def __init__(self, game: Game, policy: ActingPolicy, *, batch: int, seed: int) -> None:
        self.batch = batch
        self._game = game
        self._policy = policy
        self._rng = np.random.default_rng([0xAC7, seed])

    def decide(self, rows: slice) -> tuple[Ints, Floats]:
        """Arms and their probabilities, (n,) each."""
        probability = self._policy.distribution(part(self._game.situation, rows)).probability
        chosen = (self._rng.random((len(probability), 1)) > probability.cumsum(axis=1)[:, :-1]).sum(axis=1)
        return chosen, probability[np.arange(len(chosen)), chosen]

    def learn(self, rows: slice, chosen: Ints, rewards: Floats, propensities: Floats) -> None:  # noqa: ARG002
        """Pass the batch on."""
        update = getattr(self._policy, "update", None)
        if update is not None:
            update(part(self._game.situation, rows), chosen, rewards)


def baseline(game: Game, options: Mapping[str, Any], *, seed: int) -> Acting:
    """kind: "uniform", "best_fixed" or "segments" (`segments` of them, offers chosen anew `periods` times)."""
    kind, n = str(options["kind"]), len(game)
    if kind == "uniform":
        return Acting(game, UniformPolicy(), batch=n, seed=seed)
    if kind == "best_fixed":
        arm = game.catalogue.arms[game.best_fixed].id
        return Acting(game, BestFixedPolicy(arm, game.catalogue.arms), batch=n, seed=seed)
    period = -(-n // int(options.get("periods", 10)))
    pilot = part(game.situation, slice(0, min(PILOT, n)))
    centres = NearestCentre.fit(pilot, k=int(options.get("segments", 4)), rng=np.random.default_rng([0x5E6, seed]))
    campaign = SegmentCampaign(centres, game.catalogue.arms, start_s=START_S, period_s=float(period))
    return Acting(game, campaign, batch=period, seed=seed)


def part(situation: Situation, rows: slice) -> Situation:
    """Some rows of a situation, features included."""
    contexts = situation.contexts
    low, high = int(contexts.indptr[rows.start]), int(contexts.indptr[min(rows.stop, len(situation))])
    cut = replace(
        contexts,
        indptr=contexts.indptr[rows.start : rows.stop + 1] - low,
        terms=contexts.terms[low:high],
        values=contexts.values[low:high],
    )
    return Situation(
        requests=situation.requests.take(rows.start, min(rows.stop, len(situation))),
        mask=situation.mask[rows],
        arms=situation.arms,
        contexts=cut,
        arm_features=situation.arm_features,
    )
