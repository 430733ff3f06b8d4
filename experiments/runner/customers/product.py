"""The product on a journey: it decides for all customers each step, and learns what a decision earned in its window.

window = 1 is the myopic reward: the money (or response) of the decision's own step. A longer one is what rewards.toml
calls `attribution = "each"` with a wait of as many steps: every decision gets all that its customer brought meanwhile,
so that a contact that drives a customer away is paid for. Decisions are learned when their window is over.

contact_price is the other long-term reward: a contact costs price x (1 + contacts of the last weeks), a declared guess
at what it takes from the customer's patience, beside the money of its own step.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from bandit_nba.catalogue.rules import compile_rules
from bandit_nba.decide.batch import Requests
from bandit_nba.decide.choice.arbitrate import RewardUnit
from bandit_nba.decide.choice.salt import Salt
from bandit_nba.decide.columns import Floats, Ints
from bandit_nba.decide.engine import Engine
from bandit_nba.decide.policy import FeatureSettings, Policy
from bandit_nba.decide.scoring import FeatureRows, NoModel, Scorer
from bandit_nba.errors import SettingsError
from bandit_nba.learn.compile import CompiledScorer
from bandit_nba.learn.vowpal import VowpalRegressor
from bandit_nba.settings import convert
from simulators.asking import requests_of
from simulators.bakeoff import fact_features
from simulators.world import Outcome

OWN = ("kind", "window", "reward", "contact_price")
"""Options that are no tables of policy.toml."""


@dataclass
class _Waiting:
    contexts: FeatureRows
    chosen: Ints
    earned: Floats


class JourneyProduct:
    """options: tables of policy.toml, `window` in steps, `reward` ("money" or "response"), `contact_price`."""

    def __init__(self, world: Any, options: Mapping[str, Any], *, seed: int) -> None:
        tables = {k: v for k, v in options.items() if k not in OWN}
        features = _features(world)
        self.policy = msgspec.structs.replace(convert(tables, Policy, where="sweep.toml: policy"), features=features)
        self.window = int(options.get("window", 1))
        self._price = float(options.get("contact_price", 0.0))
        self.money = str(options.get("reward", "response")) == "money"
        salt = Salt(id="experiment", key=f"journey {seed}".encode().ljust(32, b"\0"))
        unit: RewardUnit = "money" if self.money else "response"
        self._engine = Engine(world.catalogue, compile_rules(world.catalogue), self.policy, salt, reward_unit=unit)
        self._learner = VowpalRegressor(self.policy.features, self.policy.learning)
        self._scorer: Scorer = NoModel()
        self._waiting: list[_Waiting] = []
        self._counts = np.zeros(len(world.catalogue.arms), dtype=np.int64)
        self._arm_ids = [arm.id for arm in world.catalogue.arms]

    def __call__(self, world: Any, state: Any) -> Ints:
        """Arms for all customers."""
        requests = requests_of(world, state)
        contexts = self._engine.featuriser.contexts(requests.facts, requests.channels)
        chosen = self._engine.decide(requests, self._scorer).chosen
        self._waiting.append(_Waiting(contexts, chosen, np.where(chosen > 0, -self._patience(requests), 0.0)))
        return chosen

    def _patience(self, requests: Requests) -> Floats:
        """The price of a contact, float64 (N,)."""
        if self._price == 0.0:
            return np.zeros(len(requests.ids))
        recent = requests.facts.columns.get("recent_contacts")
        if recent is None:
            raise SettingsError("the world has no fact recent_contacts", where="contact_price", got=self._price)
        return self._price * (1.0 + np.asarray(recent, dtype=np.float64))

    def learn(self, outcome: Outcome) -> None:
        """Credit the step to each decision whose window covers it; learn the decision whose window is over."""
        brought = outcome.value if self.money else outcome.reward
        for waiting in self._waiting:
            waiting.earned += brought
        if len(self._waiting) < self.window:
            return
        done = self._waiting.pop(0)
        self._learner.learn(done.contexts, self._engine.arm_features, done.chosen, done.earned)
        self._counts += np.bincount(done.chosen, minlength=len(self._counts))
        self._scorer = CompiledScorer(
            self._learner.weights(),
            self.policy.features,
            self.policy.learning,
            version=f"after-{self._learner.examples_learned}",
            examples_learned=self._learner.examples_learned,
            arm_examples=dict(zip(self._arm_ids, self._counts.tolist(), strict=True)),
        )


def _features(world: Any) -> FeatureSettings:
    """Every fact, numbers cut at the quintiles of a year in: the ranges are known, what comes of it is not."""
    state = world.start(2_000, replication=10_001)
    for _ in range(min(26, world.steps - 1)):
        world.step(state, np.zeros(len(state), dtype=np.int64))
    return msgspec.structs.replace(fact_features(world.facts(state)), channel=True, interactions=("UA", "RA"))
