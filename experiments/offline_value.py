"""What the policies of an offline run are truly worth, and what the log says of them."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bandit_nba.catalogue.action import NO_ACTION
from bandit_nba.decide.batch import Floats
from bandit_nba.evaluate.judge import Judgement, judge
from bandit_nba.evaluate.log import LoggedDecisions
from bandit_nba.evaluate.policies import Fixed, JudgedPolicy, Learned, LoggingPolicy, Uniform
from experiments.offline_loop import LoopResult
from simulators import truth


@dataclass(frozen=True)
class TrueValues:
    """Mean true reward on the judged rows of each policy; `online` is the logging policy's."""

    uniform: float
    best_fixed: float
    learned: float
    online: float
    oracle: float

    @property
    def closed(self) -> float:
        """The share of the gap from uniform to oracle that the learned greedy policy closes."""
        return (self.learned - self.uniform) / (self.oracle - self.uniform)

    @property
    def lift(self) -> float:
        """Learned / best fixed - 1."""
        return self.learned / self.best_fixed - 1.0


def learned_policy(result: LoopResult) -> Learned:
    """The frozen model's greedy policy."""
    return Learned(result.frozen, result.world.catalogue.arms, result.policy, learned_until=result.learned_until)


def true_values(result: LoopResult) -> TrueValues:
    """Truths on the decisions after the freeze; the best fixed action is the truly best of the whole world."""
    rows = slice(result.judged_from, None)
    q, mask = result.world.q[result.customer[rows]], result.mask[rows]
    greedy = np.zeros(mask.shape)
    greedy[mask] = learned_policy(result).replay(result.log(start=result.judged_from))
    always = np.full(len(q), truth.best_fixed(result.world.q, result.world.eligible))
    return TrueValues(
        uniform=truth.value(q, truth.uniform(mask)),
        best_fixed=truth.value(q, truth.deterministic(always, mask)),
        learned=truth.value(q, greedy),
        online=truth.value(q, result.probability[rows]),
        oracle=truth.value(q, truth.deterministic(truth.oracle(q, mask), mask)),
    )


def cell_truth(result: LoopResult, log: LoggedDecisions) -> Floats:
    """q(x, a) of every cell of `result.log(start=result.judged_from)`, float64 (cells,)."""
    return result.world.q[result.customer[result.judged_from :][log.row], log.arm]


def judged(result: LoopResult, *, rng: np.random.Generator) -> tuple[list[Judgement], Mapping[str, float]]:
    """Estimates on the decisions after the freeze, and the truth of each judged policy by its name.

    The best fixed action is the one that the doubly robust estimate prefers on the decisions before the freeze.
    """
    log = result.log(start=result.judged_from)
    policies: list[JudgedPolicy] = [LoggingPolicy(), Uniform(), _best_fixed(result, rng), learned_policy(result)]
    judgements = judge(log, policies, features=result.policy.features, rng=rng)
    q = cell_truth(result, log)
    return judgements, {j.policy: float((j.probability * q).sum() / len(log)) for j in judgements}


def _best_fixed(result: LoopResult, rng: np.random.Generator) -> Fixed:
    early = result.log(stop=result.judged_from)
    arms = [Fixed(arm) for arm in early.arms if arm != NO_ACTION]
    found = judge(early, arms, features=result.policy.features, estimators=("dr",), rng=rng)
    best = int(np.argmax([j.estimates["dr"].value for j in found]))
    return Fixed(arms[best].arm, chosen_until=float(early.decided_at[-1]), name="best fixed")
