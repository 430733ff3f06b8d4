"""N rounds of a world, fixed before anybody plays: who comes, what is possible, and by how much luck it would succeed.

Every player of one (scenario, seed) meets the same customers with the same luck: the reward of arm a in round t is 1
where `luck[t] < q[t, a]`, so that two players differ by what they choose alone.
"""

import datetime
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import msgspec
import numpy as np

from bandit_nba.catalogue import Catalogue
from bandit_nba.catalogue.rules import compile_rules
from bandit_nba.decide.acting import Situation
from bandit_nba.decide.batch import Requests
from bandit_nba.decide.choice.salt import Salt
from bandit_nba.decide.columns import Bools, Floats, Ints
from bandit_nba.decide.engine import Engine
from bandit_nba.decide.features.featuriser import Featuriser
from bandit_nba.decide.policy import FeatureSettings, Policy
from bandit_nba.errors import SettingsError
from bandit_nba.settings import parse
from simulators import registry
from simulators.asking import requests_of
from simulators.bakeoff import fact_features
from simulators.journey.rollout import at_random
from simulators.telco_workspace import telco_policy

START_S = 1_600_000_000.0


@dataclass(frozen=True)
class Game:
    """requests: N rows. mask, q: (N, K), eligible arms and true expected rewards. luck: (N,), uniform in [0, 1)."""

    catalogue: Catalogue
    features: FeatureSettings
    requests: Requests
    customer: Ints
    mask: Bools
    q: Floats
    luck: Floats
    seed: int

    def __len__(self) -> int:
        return len(self.luck)

    def rewards(self, rows: slice, chosen: Ints) -> Floats:
        """What these rows earn with these arms, float64, 0 or 1."""
        q = self.q[rows]
        return (self.luck[rows] < q[np.arange(len(q)), chosen]).astype(np.float64)

    @cached_property
    def best(self) -> Floats:
        """The oracle's expected reward in each round, (N,)."""
        found: Floats = np.where(self.mask, self.q, -np.inf).max(axis=1)
        return found

    @cached_property
    def best_fixed(self) -> int:
        """The arm that is truly best when it is always taken, "no action" where it is not possible."""
        return int(np.where(self.mask, self.q, self.q[:, :1]).mean(axis=0).argmax())

    @cached_property
    def situation(self) -> Situation:
        """All rounds as an acting policy is shown them, under the game's features."""
        engine = engine_of(self, Policy(features=self.features), key=b"situation")
        return engine.situation(self.requests, engine.eligible(self.requests))


def engine_of(game: Game, policy: Policy, *, key: bytes) -> Engine:
    """The product's engine over the game's catalogue."""
    salt = Salt(id="experiment", key=key.ljust(32, b"\0")[:32])
    return Engine(game.catalogue, compile_rules(game.catalogue), policy, salt, reward_unit="response")


def make_game(options: Mapping[str, Any], *, seed: int, rounds: int) -> Game:
    """The rounds of a scenario: `world` names it, `world_options` go to the world, which gets `seed` as well.

    A world that can shuffle (a data set) is gone through once, one-step worlds are sampled, and of a journey world
    `rounds` different customers are asked once each, after `warm` steps (4) of random actions. arrive: the share of
    rounds after which the last half of the actions becomes possible. Models are as wide as the rule of thumb in
    policy.toml asks: at least ten weights per pair of context term and arm.
    """
    world: Any = registry.make(str(options["world"]), seed=seed, **dict(options.get("world_options", {})))
    rng = np.random.default_rng([0x6A3E, seed])
    asked = _journey(world, rng, rounds, options) if hasattr(world, "start") else _one_step(world, rng, rounds)
    catalogue, mask = world.catalogue, asked.mask
    if "arrive" in options:
        catalogue, mask = _arriving(catalogue, mask, after=round(float(options["arrive"]) * len(mask)))
    return Game(
        catalogue=catalogue,
        features=msgspec.structs.replace(asked.features, bits=_bits(world, asked.features, asked.requests)),
        requests=asked.requests,
        customer=asked.customer,
        mask=mask,
        q=asked.q,
        luck=rng.random(len(mask)),
        seed=seed,
    )


def _arriving(catalogue: Catalogue, mask: Bools, *, after: int) -> tuple[Catalogue, Bools]:
    """The last half of the actions valid from round `after` on, as a catalogue says it, and the mask that follows."""
    since = datetime.datetime.fromtimestamp(START_S + after, tz=datetime.UTC)
    actions = list(catalogue.actions)
    for i in range(len(actions) // 2, len(actions)):
        actions[i] = msgspec.structs.replace(actions[i], valid_from=since)
    changed = Catalogue(
        **{**{f: getattr(catalogue, f) for f in catalogue.__struct_fields__}, "actions": tuple(actions)}
    )
    late = {action.id for action in actions if action.valid_from == since}
    left = mask.copy()
    left[:after, [arm.action.id in late for arm in changed.arms]] = False
    return changed, left


@dataclass(frozen=True)
class _Asked:
    requests: Requests
    customer: Ints
    mask: Bools
    q: Floats
    features: FeatureSettings


def _one_step(world: Any, rng: np.random.Generator, rounds: int) -> _Asked:
    shuffled = getattr(world, "shuffled", None)
    customer = shuffled(rng, rounds) if shuffled else world.sample_customers(rng, rounds)
    n = len(customer)
    requests = world.requests(customer, ids=[f"{i:08d}" for i in range(n)], decided_at=START_S + np.arange(n))
    features = getattr(world, "features", None) or parse(telco_policy(), Policy, where="policy.toml").features
    return _Asked(requests, customer, world.eligible[customer], world.q[customer], features)


def _journey(world: Any, rng: np.random.Generator, rounds: int, options: Mapping[str, Any]) -> _Asked:
    """Customers in random order, each at the moment to which random actions have brought it."""
    state = world.start(rounds)
    if not hasattr(state, "at"):
        raise SettingsError("the world's state has no at(rows)", where=str(options["world"]), hint="see docs/worlds.md")
    for _ in range(int(options.get("warm", 4))):
        world.step(state, at_random(world, state))
    state = state.at(rng.permutation(rounds))
    asked = requests_of(world, state)
    moments: Floats = START_S + np.arange(rounds, dtype=np.float64)
    requests = replace(asked, ids=[f"{i:08d}" for i in range(rounds)], decided_at=moments)
    return _Asked(requests, state.customer, world.eligible(state), world.q(state), fact_features(asked.facts))


def _bits(world: Any, features: FeatureSettings, requests: Requests) -> int:
    terms = len(Featuriser(features, world.catalogue.facts).contexts(requests.facts, requests.channels).hashes)
    return max(10, math.ceil(math.log2(10 * terms * len(world.catalogue.arms))))
