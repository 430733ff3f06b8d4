"""One cell of a journey sweep: a policy plays customers 0 .. n - 1 of a world to its end."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from bandit_nba.decide.columns import Floats, Ints
from bandit_nba.errors import SettingsError
from experiments.runner.customers.product import JourneyProduct
from experiments.runner.own_policy import own
from experiments.runner.results import Measure
from experiments.runner.sweep import Cell
from simulators import registry
from simulators.journey import rollout
from simulators.journey.lifecycle import CUSTOMER, STAGES


def play(cell: Cell) -> list[Measure]:
    """`rounds` customers. Scenario: `world`, `world_options`, `rival` (a policy that each is compared with).

    money, responses: mean per customer, discounted; money_se over customers. gain, gain_se: money less the rival's,
    customer by customer with the same chances. curves by step: money_so_far, active, contacts, regret (in responses).
    mix: share of actions of a group among the decisions of a stage, label "stage/group".
    """
    options = cell.scenario_options
    world: Any = registry.make(str(options["world"]), seed=cell.seed, **dict(options.get("world_options", {})))
    if not hasattr(world, "start"):
        raise SettingsError("is no journey world", where="world", got=options["world"], hint="see docs/worlds.md")
    replication = int(options.get("replication", 0))
    played = journey(world, cell.policy_options, n=cell.rounds, seed=cell.seed, replication=replication)
    found = played.measures()
    rival = options.get("rival")
    if rival:
        other = journey(world, dict(rival), n=cell.rounds, seed=cell.seed, replication=replication)
        gain = rollout.mean_of(played.money - other.money)
        base = rollout.mean_of(other.money)
        found += [Measure("gain", gain.mean), Measure("gain_se", gain.se), Measure("rival", base.mean)]
    return found


class Journeys:
    """What a run has seen: per-customer sums and per-step means."""

    def __init__(self, world: Any, n: int) -> None:
        self.money, self.responses = np.zeros(n), np.zeros(n)
        self.steps: dict[str, list[float]] = {"active": [], "contacts": [], "money_so_far": [], "regret_so_far": []}
        self._groups = [arm.action.group for arm in world.catalogue.arms]
        self._names = tuple(dict.fromkeys(self._groups))
        self._group = np.array([self._names.index(group) for group in self._groups])
        self._mix = np.zeros((len(STAGES), len(self._names)))

    def see(self, stage: Ints, arm: Ints, *, alive: float, money: Floats, responses: Floats, regret: float) -> None:
        """One step."""
        np.add.at(self._mix, (stage, self._group[arm]), 1.0)
        self.money += money
        self.responses += responses
        before = self.steps["regret_so_far"][-1] if self.steps["regret_so_far"] else 0.0
        for name, value in (
            ("active", alive),
            ("contacts", float((arm > 0).mean())),
            ("money_so_far", float(self.money.mean())),
            ("regret_so_far", before + regret),
        ):
            self.steps[name].append(value)

    def measures(self) -> list[Measure]:
        """All of it as measures."""
        value = rollout.mean_of(self.money)
        found = [
            Measure("money", value.mean),
            Measure("money_se", value.se),
            Measure("responses", float(self.responses.mean())),
            Measure("active_at_end", self.steps["active"][-1]),
            Measure("contacts_per_step", float(np.mean(self.steps["contacts"]))),
        ]
        found += [Measure(name, v, float(t)) for name, values in self.steps.items() for t, v in enumerate(values, 1)]
        decided = self._mix.sum(axis=1)
        for i in np.flatnonzero(decided).tolist():
            found += [
                Measure("mix", float(self._mix[i, j] / decided[i]), label=f"{STAGES[i]}/{name}")
                for j, name in enumerate(self._names)
            ]
        return found


def journey(world: Any, options: Mapping[str, Any], *, n: int, seed: int, replication: int) -> Journeys:
    """Play one policy to the end. In worlds without a life cycle all are active until they leave."""
    policy = make_policy(world, options, seed=seed)
    state = world.start(n, replication=replication)
    seen = Journeys(world, n)
    rows, staged = np.arange(n), hasattr(state, "stage")
    stage, gone = np.full(n, STAGES.index("active")), np.zeros(n, dtype=np.bool_)
    while state.t < world.steps:
        stage, t = state.stage.copy() if staged else stage, state.t
        arm = policy(world, state)
        q = world.q(state)
        best = np.where(world.eligible(state), q, -np.inf).max(axis=1)
        outcome = world.step(state, arm)  # which refuses arms that there are not
        regret = float((best - q[rows, arm]).mean())
        weight = world.discount**t
        gone |= outcome.left
        alive = float(CUSTOMER[state.stage].mean()) if staged else 1.0 - float(gone.mean())
        seen.see(stage, outcome.arm, alive=alive, money=weight * outcome.value, responses=outcome.reward, regret=regret)
        learn = getattr(policy, "learn", None)
        if learn is not None:
            learn(outcome)
    return seen


def make_policy(world: Any, options: Mapping[str, Any], *, seed: int) -> rollout.Policy:
    """kind: nothing, random, myopic (knows q), myopic_money, patient (knows q and fatigue; `price`), product or own.

    own: what `journey_policy(world, *, seed, **options)` of `file` gives: a function (world, state) -> arms, whose
    `learn(outcome)`, if it has one, is called after each step.

    Raises
    ------
    SettingsError
        If the kind is not one of these.
    """
    kind = str(options.get("kind", ""))
    known: dict[str, rollout.Policy] = {
        "nothing": rollout.nothing,
        "random": rollout.at_random,
        "myopic": rollout.myopic,
        "myopic_money": rollout.myopic_money,
    }
    if kind in ("myopic_money", "patient") and not hasattr(world, "money"):
        raise SettingsError(
            "the world has no money(state)", where=f"policy {kind}", hint="docs/worlds.md says what it is"
        )
    if kind in known:
        return known[kind]
    if kind == "patient" and not hasattr(world.start(1), "fatigue"):
        raise SettingsError("the world's state has no fatigue", where="policy patient")
    if kind == "patient":
        return rollout.patient(float(options["price"]))
    if kind == "product":
        return JourneyProduct(world, options, seed=seed)
    if kind == "own":
        policy: rollout.Policy = own(options, "journey_policy", world, seed=seed)
        return policy
    kinds = (*known, "patient", "product", "own")
    raise SettingsError("no such policy", where="sweep.toml: policies.options.kind", got=kind, allowed=", ".join(kinds))
