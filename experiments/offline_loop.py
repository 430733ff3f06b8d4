"""The closed loop in memory: a world, the real engine and the real learner, without HTTP and without a store.

Decisions come at a steady rate; each is learned once its wait is over, and every second's decisions share one model, as
in the running service. For tuning and for statistics over many seeds.
"""

import hashlib
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from bandit_nba.catalogue.rules import compile_rules
from bandit_nba.decide.batch import Decisions
from bandit_nba.decide.choice.salt import Salt
from bandit_nba.decide.columns import Bools, Coded, Floats, Ints
from bandit_nba.decide.engine import Engine
from bandit_nba.decide.policy import Policy
from bandit_nba.decide.scoring import NoModel, Scorer
from bandit_nba.errors import InputError
from bandit_nba.evaluate.log import LoggedDecisions
from bandit_nba.learn.compile import CompiledScorer
from bandit_nba.learn.vowpal import VowpalRegressor
from simulators.telco import TelcoWorld
from simulators.telco_catalogue import CHANNEL

START_S = 1_600_000_000.0


@dataclass(frozen=True)
class Pace:
    """How fast time passes, as in a demonstration on two cores.

    per_s: decisions a second. publish_every_s: seconds between two models. frozen_share: the part of the decisions
    after which the serving model is frozen, to be judged on the rest.
    """

    per_s: float = 500.0
    publish_every_s: float = 1.0
    frozen_share: float = 0.7


@dataclass(frozen=True)
class LoopResult:
    """What happened, N decisions over K arms in time order.

    customer: the world's index (N,). mask: eligible arms (N, K). probability: what each was drawn from (N, K).
    frozen: the model that served when decision `judged_from` was made; it learned from earlier decisions only,
    the last of them at `learned_until` (seconds; 0 for none).
    """

    world: TelcoWorld
    policy: Policy
    customer: Ints
    decided_at: Floats
    mask: Bools
    probability: Floats
    chosen: Ints
    reward: Floats
    frozen: Scorer
    judged_from: int
    learned_until: float

    def __len__(self) -> int:
        return len(self.customer)

    @property
    def propensity(self) -> Floats:
        """The probability of each chosen arm, float64 (N,)."""
        return self.probability[np.arange(len(self)), self.chosen]

    def log(self, *, start: int = 0, stop: int | None = None) -> LoggedDecisions:
        """Decisions start..stop as a log that policies are judged on."""
        rows = slice(start, len(self) if stop is None else stop)
        mask, customer = self.mask[rows], self.customer[rows]
        n = len(customer)
        indptr = np.zeros(n + 1, dtype=np.int64)
        np.cumsum(mask.sum(axis=1), out=indptr[1:])
        place = mask.cumsum(axis=1) - 1
        return LoggedDecisions(
            ids=[_id(i) for i in range(rows.start, rows.stop)],
            group=np.unique(customer, return_inverse=True)[1].astype(np.int64),
            decided_at=self.decided_at[rows],
            channels=Coded(codes=np.zeros(n, dtype=np.int64), values=(CHANNEL,)),
            facts=self.world.customers.facts_of(customer),
            arms=tuple(arm.id for arm in self.world.catalogue.arms),
            indptr=indptr,
            arm=np.nonzero(mask)[1].astype(np.int64),
            probability=self.probability[rows][mask],
            chosen=indptr[:-1] + place[np.arange(n), self.chosen[rows]],
            reward=self.reward[rows],
        )


def run(*, world_seed: int, n_decisions: int, policy: Policy, rng_seed: int, pace: Pace | None = None) -> LoopResult:
    """Play the Telco world of `world_seed`; customers, draws and responses follow `rng_seed` alone.

    Raises
    ------
    InputError
        If there are too few decisions to learn from before the model is frozen.
    """
    pace = pace or Pace()
    loop = _Loop(telco_world(world_seed), policy, n_decisions, rng_seed, pace)
    judged_from = round(n_decisions * pace.frozen_share)
    if judged_from <= loop.lag or judged_from >= n_decisions:
        raise InputError("too few decisions", where="n_decisions", got=n_decisions, allowed=f"more than {loop.lag}")
    loop.play(0, judged_from)
    frozen, learned_until = loop.scorer, loop.learned_until
    loop.play(judged_from, n_decisions)
    return LoopResult(
        world=loop.world,
        policy=policy,
        customer=loop.customer,
        decided_at=loop.decided_at,
        mask=loop.mask,
        probability=loop.probability,
        chosen=loop.chosen,
        reward=loop.reward,
        frozen=frozen,
        judged_from=judged_from,
        learned_until=learned_until,
    )


@lru_cache(maxsize=32)
def telco_world(seed: int) -> TelcoWorld:
    """The world of this seed, made once per process."""
    return TelcoWorld(seed=seed)


class _Loop:
    def __init__(self, world: TelcoWorld, policy: Policy, n: int, rng_seed: int, pace: Pace) -> None:
        self.world = world
        self.policy = policy
        self.rng = np.random.default_rng([0x100B, world.seed, rng_seed])
        key = hashlib.blake2b(f"offline:{world.seed}:{rng_seed}".encode(), digest_size=32).digest()
        self.engine = Engine(
            world.catalogue,
            compile_rules(world.catalogue),
            policy,
            Salt(id="offline", key=key),
            reward_unit="response",
        )
        self.learner = VowpalRegressor(policy.features, policy.learning)
        self.scorer: Scorer = NoModel()
        self.lag = int(np.ceil(world.delays.horizon_s * pace.per_s))
        self.step = max(1, round(pace.publish_every_s * pace.per_s))
        self.learned = 0
        self.arm_examples = np.zeros(len(world.catalogue.arms), dtype=np.int64)
        self.customer = world.sample_customers(self.rng, n)
        self.decided_at = START_S + np.arange(n) / pace.per_s
        arms = len(world.catalogue.arms)
        self.mask = np.zeros((n, arms), dtype=np.bool_)
        self.probability = np.zeros((n, arms))
        self.chosen = np.zeros(n, dtype=np.int64)
        self.reward = np.zeros(n)

    @property
    def learned_until(self) -> float:
        """When the last learned decision was made; 0 before any."""
        return float(self.decided_at[self.learned - 1]) if self.learned else 0.0

    def play(self, start: int, stop: int) -> None:
        """Decide rows start..stop, learning what has matured before every step; the model that comes next is left."""
        for low in range(start, stop, self.step):
            self._learn(low - self.lag)
            rows = slice(low, min(low + self.step, stop))
            self._decide(rows)
        self._learn(stop - self.lag)

    def _decide(self, rows: slice) -> None:
        customer = self.customer[rows]
        ids = [_id(i) for i in range(rows.start, rows.stop)]
        requests = self.world.requests(customer, ids=ids, decided_at=self.decided_at[rows])
        made: Decisions = self.engine.decide(requests, self.scorer)
        self.mask[rows] = made.eligibility.mask
        self.probability[rows] = made.probability
        self.chosen[rows] = made.chosen
        accepted, _ = self.world.respond(self.rng, customer, made.chosen)
        self.reward[rows] = accepted

    def _learn(self, until: int) -> None:
        """Learn the decisions before `until` that were not learned yet, then compile the model."""
        if until <= self.learned:
            return
        rows = slice(self.learned, until)
        facts = self.world.customers.facts_of(self.customer[rows])
        channels = Coded(codes=np.zeros(facts.size, dtype=np.int64), values=(CHANNEL,))
        contexts = self.engine.featuriser.contexts(facts, channels)
        self.learner.learn(contexts, self.engine.arm_features, self.chosen[rows], self.reward[rows])
        self.learned = until
        self.arm_examples += np.bincount(self.chosen[rows], minlength=len(self.arm_examples))
        ids = [arm.id for arm in self.world.catalogue.arms]
        self.scorer = CompiledScorer(
            self.learner.weights(),
            self.policy.features,
            self.policy.learning,
            version=f"after-{until}",
            examples_learned=self.learner.examples_learned,
            arm_examples=dict(zip(ids, self.arm_examples.tolist(), strict=True)),
        )


def _id(i: int) -> str:
    return f"{i:08d}"
