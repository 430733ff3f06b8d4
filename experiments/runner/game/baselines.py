"""Players without a regression: uniform, the best fixed arm in hindsight, and a segment campaign."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from bandit_nba.decide.acting import ActingPolicy, Distribution, Situation, shared_best, unscored
from bandit_nba.decide.columns import Floats, Ints
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
    """kind: "uniform", "best_fixed", "segments" (`segments` of them, offers chosen anew `periods` times), or
    "segments_known", whose offers are those that truly earn most in each segment, from the first round on.
    """
    kind, n = str(options["kind"]), len(game)
    if kind == "uniform":
        return Acting(game, UniformPolicy(), batch=n, seed=seed)
    if kind == "best_fixed":
        arm = game.catalogue.arms[game.best_fixed].id
        return Acting(game, BestFixedPolicy(arm, game.catalogue.arms), batch=n, seed=seed)
    period = -(-n // int(options.get("periods", 10)))
    pilot = part(game.situation, slice(0, min(PILOT, n)))
    centres = NearestCentre.fit(pilot, k=int(options.get("segments", 4)), rng=np.random.default_rng([0x5E6, seed]))
    if kind == "segments_known":
        return Acting(game, _Known(game, centres), batch=n, seed=seed)
    campaign = SegmentCampaign(centres, game.catalogue.arms, start_s=START_S, period_s=float(period))
    return Acting(game, campaign, batch=period, seed=seed)


class _Known:
    """In each segment the arm with the highest true mean, "no action" where it is not possible."""

    name = "segments_known"
    full_support = False

    def __init__(self, game: Game, segments: NearestCentre) -> None:
        self._segments = segments
        of = segments.of(game.situation)
        earned = np.where(game.mask, game.q, game.q[:, :1])
        self._offer = np.array(
            [earned[of == s].mean(axis=0).argmax() if (of == s).any() else 0 for s in range(len(segments.names))]
        )

    def distribution(self, situation: Situation) -> Distribution:
        """1 at the segment's offer where it is eligible."""
        offer = self._offer[self._segments.of(situation)]
        score = np.zeros(situation.mask.shape)
        score[:, 0] = 1.0
        score[np.arange(len(offer)), offer] = 2.0
        return unscored(lambda rows, mask: shared_best(score[rows], mask), situation.mask)


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
