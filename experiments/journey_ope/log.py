"""Logged journeys with their true propensities, and another policy's value by playing it.

A policy takes the arm that is best under q shifted per arm by a noise of its own, and spreads a share evenly over the
eligible arms. The log is made by several such policies; each customer is assigned to one of them at random, for good.
"""

from dataclasses import dataclass

import numpy as np

from bandit_nba.decide.columns import Floats, Ints
from simulators.journey import JourneyWorld, State, rollout
from simulators.journey.observations import Observer, Singles
from simulators.world import Outcome

ASSIGNED = 7  # the seed of the uniforms that assign customers to components
LOGGED, JUDGED = 0, 1  # replications: what is logged and what the truth is played on are different chances


@dataclass(frozen=True)
class Ranking:
    """shift: (K,), what this policy wrongly adds to q. share: how much of it is spread evenly."""

    shift: Floats
    share: float

    def probabilities(self, world: JourneyWorld, state: State) -> Floats:
        """Of every arm, float64 (N, K)."""
        mask = world.eligible(state)
        best = np.where(mask, world.q(state) + self.shift, -np.inf).argmax(axis=1)
        found: Floats = self.share * mask / mask.sum(axis=1, keepdims=True)
        found[np.arange(len(found)), best] += 1.0 - self.share
        return found


@dataclass(frozen=True)
class Journeys:
    """n customers over T steps. components: every component's probability of the logged arm, (n, T, C).

    policy: the judged policy's, (n, T); all its probabilities, (n, T, K). component: who decided, (n,).
    seen: (n, T, D).
    """

    arm: Ints
    rewards: Floats
    component: Ints
    components: Floats
    shares: Floats
    policy: Floats
    probabilities: Floats
    seen: Singles
    discount: float


def draw(probabilities: Floats, u: Floats) -> Ints:
    """An arm for each row by inverse CDF, int64 (N,); arms of probability zero are never drawn."""
    cumulative = probabilities.cumsum(axis=1)
    wanted = u * cumulative[:, -1]
    return np.asarray((cumulative > wanted[:, None]).argmax(axis=1), dtype=np.int64)


def logged(
    world: JourneyWorld, components: list[Ranking], shares: Floats, judged: Ranking, *, n: int, steps: int, money: bool
) -> Journeys:
    """The log that `components` make in the first `steps` steps of customers 0 .. n - 1."""
    state, observer = world.start(n, replication=LOGGED), Observer(world)
    u = rollout.chances(state, seed=ASSIGNED)
    who = np.minimum((u[:, None] >= np.cumsum(shares)).sum(axis=1), len(shares) - 1)
    rows, k = np.arange(n), len(world.catalogue.arms)
    arm, rewards = np.zeros((n, steps), dtype=np.int64), np.zeros((n, steps))
    of_components, probabilities = np.zeros((n, steps, len(shares))), np.zeros((n, steps, k))
    seen = np.zeros((n, steps, len(observer.names)), dtype=np.float32)
    for t in range(steps):
        by = np.stack([one.probabilities(world, state) for one in components], axis=2)
        probabilities[:, t], seen[:, t] = judged.probabilities(world, state), observer(state)
        arm[:, t] = draw(by[rows, :, who], rollout.chances(state))
        of_components[:, t] = by[rows, arm[:, t]]
        rewards[:, t] = earned(world.step(state, arm[:, t]), money=money)
    policy = np.take_along_axis(probabilities, arm[:, :, None], axis=2)[:, :, 0]
    return Journeys(arm, rewards, who, of_components, shares, policy, probabilities, seen, world.discount)


def truth(world: JourneyWorld, judged: Ranking, *, n: int, steps: int, money: bool) -> tuple[Floats, Floats]:
    """Discounted rewards of the first 1 .. `steps` steps, played: means and standard errors, (steps,) each."""
    state = world.start(n, replication=JUDGED)
    total = np.zeros((n, steps))
    for t in range(steps):
        arm = draw(judged.probabilities(world, state), rollout.chances(state, seed=1))
        total[:, t] = world.discount**t * earned(world.step(state, arm), money=money)
    sums = total.cumsum(axis=1)
    return sums.mean(axis=0), sums.std(axis=0, ddof=1) / np.sqrt(n)


def earned(outcome: Outcome, *, money: bool) -> Floats:
    """Money of the step, or a response within the horizon."""
    return outcome.value if money else outcome.reward
