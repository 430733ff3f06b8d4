"""What policies earn in the long run: played, with the same chances for each, and standard errors.

A policy is a function of the world and the state that gives an arm for each customer. Randomised ones take their
uniforms from `chances`, so that they too can be repeated. For policies A and B on the same customers and the same
replication the difference of two customers' sums has the variance of what the policies change, not of the customers.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from bandit_nba.decide.columns import Bools, Floats, Ints
from bandit_nba.errors import InputError
from bandit_nba.settings import nearest
from simulators.journey.draws import Purpose, streams, uniform
from simulators.world import Journey, JourneyState, Outcome

S = TypeVar("S", bound=JourneyState)
Policy = Callable[[Any, Any], Ints]
"""(world, state) -> arms, int64 (N,), each eligible."""

MOST_ROWS = 400_000  # customers x arms that `action_values` holds at once


@dataclass(frozen=True)
class Value:
    """A mean over customers with its standard error; money (or responses) of a customer over the steps played."""

    mean: float
    se: float
    n: int

    @property
    def interval(self) -> tuple[float, float]:
        """95 %, normal."""
        return self.mean - 1.959964 * self.se, self.mean + 1.959964 * self.se


@dataclass(frozen=True)
class Played:
    """Sums over the steps, by customer (N,): money and responses, both discounted, regret, and counts by step.

    regret: sum of max_a q(x, a) - q(x, chosen) over eligible arms, in responses; one-step only. by_step: names to (T,).
    """

    money: Floats
    responses: Floats
    regret: Floats
    by_step: Mapping[str, Floats]
    actions: Ints

    @property
    def value(self) -> Value:
        """Mean money."""
        return mean_of(self.money)


def chances(state: JourneyState, *, seed: int = 0, purpose: int = Purpose.POLICY) -> Floats:
    """A policy's own uniforms, float64 (N,), by customer, step and seed."""
    return uniform(streams((0x90C1, seed), state.customer), state.t, purpose)


def nothing(_: Any, state: Any) -> Ints:
    """No action for anybody."""
    return np.zeros(len(state), dtype=np.int64)


def at_random(world: Any, state: Any) -> Ints:
    """Uniform over the eligible arms."""
    return pick_uniform(world.eligible(state), chances(state))


def pick_uniform(mask: Bools, u: Floats) -> Ints:
    """The eligible arm at place floor(u x count), int64 (N,)."""
    count = mask.sum(axis=1)
    wanted = np.minimum((u * count).astype(np.int64), count - 1)
    return np.asarray((mask.cumsum(axis=1) > wanted[:, None]).argmax(axis=1), dtype=np.int64)


def myopic(world: Any, state: Any) -> Ints:
    """The eligible arm with the highest q: the best that one step can do."""
    return np.asarray(np.where(world.eligible(state), world.q(state), -np.inf).argmax(axis=1), dtype=np.int64)


def myopic_money(world: Any, state: Any) -> Ints:
    """The eligible arm that brings most money at once."""
    return patient(0.0)(world, state)


def patient(price: float) -> Policy:
    """As `myopic_money`, but only where the gain over no action is above price x (1 + F), F the customer's fatigue."""

    def policy(world: Any, state: Any) -> Ints:
        money = np.where(world.eligible(state), world.money(state), -np.inf)
        if price > 0.0:
            money[:, 1:] -= (price * (1.0 + state.fatigue))[:, None]
        return np.asarray(money.argmax(axis=1), dtype=np.int64)

    return policy


def always(arm: str) -> Policy:
    """One arm wherever it is eligible, no action elsewhere; refuses at its first step an arm that there is not."""

    def policy(world: Any, state: Any) -> Ints:
        names = [a.id for a in world.catalogue.arms]
        if arm not in names:
            raise InputError("no such arm", where="always", got=arm, hint=nearest(arm, names))
        k = names.index(arm)
        return np.where(world.eligible(state)[:, k], k, 0).astype(np.int64)

    return policy


def play(
    world: Journey[S],
    policy: Policy,
    *,
    n: int,
    steps: int | None = None,
    replication: int = 0,
    state: S | None = None,
    regret: bool = False,
    watch: Callable[[S, Ints, Outcome], None] | None = None,
) -> Played:
    """Play a policy for `steps` (all by default) from the start, or from a copy of `state`.

    watch: called after each step with the state before it (a copy), the arms and the outcome.
    """
    here = world.start(n, replication=replication) if state is None else state.copy()
    count = world.steps - here.t if steps is None else steps
    _must_last(world, here, count)
    size = len(here)
    money, responses, lost = np.zeros(size), np.zeros(size), np.zeros(size)
    by_step = {name: np.zeros(count) for name in ("reward", "value", "contacts", "left", "regret")}
    actions = np.zeros(len(world.catalogue.arms), dtype=np.int64)
    for i in range(count):
        arm = policy(world, here)
        if regret:
            q = world.q(here)
            best = np.where(world.eligible(here), q, -np.inf).max(axis=1)
        before = here.copy() if watch else None
        outcome = world.step(here, arm)  # which refuses arms that there are not
        if regret:
            gap = best - q[np.arange(size), arm]
            lost += gap
            by_step["regret"][i] = gap.mean()
        if watch and before is not None:
            watch(before, arm, outcome)
        weight = world.discount**i
        money += weight * outcome.value
        responses += weight * outcome.reward
        by_step["reward"][i], by_step["value"][i] = outcome.reward.mean(), outcome.value.mean()
        by_step["contacts"][i], by_step["left"][i] = (outcome.arm > 0).mean(), outcome.left.mean()
        actions += np.bincount(outcome.arm, minlength=len(actions))
    return Played(money=money, responses=responses, regret=lost, by_step=by_step, actions=actions)


def compare(
    world: Journey[S], policy: Policy, rival: Policy, *, n: int, steps: int | None = None, replications: int = 1
) -> Value:
    """Mean money of `policy` less that of `rival`, customer by customer with common random numbers.

    Replications of one customer are averaged before the standard error is taken: it is over customers.
    """
    _must_repeat(replications)
    gain = np.zeros(n)
    for replication in range(replications):
        ours = play(world, policy, n=n, steps=steps, replication=replication)
        theirs = play(world, rival, n=n, steps=steps, replication=replication)
        gain += (ours.money - theirs.money) / replications
    return mean_of(gain)


def action_values(
    world: Any, state: Any, *, follow: Policy, steps: int, replications: int = 1
) -> tuple[Floats, Floats]:
    """Long-term value of each eligible arm now, then `follow`: means and standard errors over replications, (N, K).

    All arms of a customer meet the same chances. NaN where an arm is not eligible; errors are NaN for one replication.
    `world.again` makes the replications, so that the world must have it (journey worlds do).
    """
    _must_repeat(replications)
    _must_last(world, state, steps)
    mask = world.eligible(state)
    rows, arms = np.nonzero(mask)
    if len(rows) > MOST_ROWS:
        raise InputError("too many customers at once", got=len(state), hint="ask for fewer")
    first = np.zeros((len(rows), replications))
    for r in range(replications):
        here = world.again(state.at(rows), r)
        total = world.step(here, arms.astype(np.int64)).value.copy()
        for i in range(1, steps):
            total += world.discount**i * world.step(here, follow(world, here)).value
        first[:, r] = total
    mean, se = np.full(mask.shape, np.nan), np.full(mask.shape, np.nan)
    mean[rows, arms] = first.mean(axis=1)
    if replications > 1:
        se[rows, arms] = first.std(axis=1, ddof=1) / np.sqrt(replications)
    return mean, se


def mean_of(sums: Floats) -> Value:
    """Mean and standard error over customers; of one customer the error is not known, NaN."""
    n = len(sums)
    return Value(float(sums.mean()), float(sums.std(ddof=1) / np.sqrt(n)) if n > 1 else float("nan"), n)


def _must_last(world: Any, state: Any, steps: int) -> None:
    left = world.steps - state.t
    if not 1 <= steps <= left:
        raise InputError("cannot play so many steps", where="steps", got=steps, allowed=f"1 to {left}, what is left")


def _must_repeat(replications: int) -> None:
    if replications < 1:
        raise InputError("nothing to play", where="replications", got=replications, allowed="at least 1")
