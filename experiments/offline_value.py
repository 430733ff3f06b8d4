"""What the policies of an offline run are truly worth, and what the log says of them."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bandit_nba.catalogue.action import NO_ACTION
from bandit_nba.decide.columns import Floats
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
    def online_closed(self) -> float:
        """The share that the deciding policy closed meanwhile, exploration included."""
        return (self.online - self.uniform) / (self.oracle - self.uniform)

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
    uniform, always, greedy = _rivals(result)
    return TrueValues(
        uniform=truth.value(q, uniform),
        best_fixed=truth.value(q, always),
        learned=truth.value(q, greedy),
        online=truth.value(q, result.probability[rows]),
        oracle=truth.value(q, truth.deterministic(truth.oracle(q, mask), mask)),
    )


def effective_sizes(result: LoopResult) -> Floats:
    """(sum w)^2 / sum w^2 over the judged rows for uniform, best fixed and learned, float64 (3,)."""
    rows = slice(result.judged_from, None)
    at = np.arange(len(result) - result.judged_from), result.chosen[rows]
    weights = np.array([probability[at] for probability in _rivals(result)]) / result.propensity[rows]
    sizes: Floats = weights.sum(axis=1) ** 2 / (weights**2).sum(axis=1)
    return sizes


def _rivals(result: LoopResult) -> tuple[Floats, Floats, Floats]:
    """Probabilities (judged rows, K) of uniform, of the truly best fixed action, and of the frozen greedy policy."""
    mask = result.mask[result.judged_from :]
    always = np.full(len(mask), truth.best_fixed(result.world.q, result.world.eligible))
    greedy = np.zeros(mask.shape)
    greedy[mask] = learned_policy(result).replay(result.log(start=result.judged_from))
    return truth.uniform(mask), truth.deterministic(always, mask), greedy


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
