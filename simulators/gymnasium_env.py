"""Journey worlds as gymnasium environments: one customer at a time, or many side by side.

    env = gymnasium.make("nba/telco-journey-v0", world_options={"seed": 1})
    envs = gymnasium.make_vec("nba/telco-journey-v0", num_envs=1_000, vectorization_mode="vector_entry_point")

Importing this module registers every journey world. A budget is shared by customers, so worlds are played without it.

An episode is one customer's journey. terminated: the customer is lost; truncated: the world's horizon is reached.
reward: money of the step, or with reward="response" a response received within the horizon. info holds `action_mask`
(int8), and the truth `q` of every arm, at which a learner must not look.
An action that is not eligible counts as no action, and info says so (`refused`).
"""

from collections.abc import Mapping
from typing import Any, Literal

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from bandit_nba.decide.columns import Bools, Floats, Ints
from bandit_nba.errors import SettingsError
from simulators.journey import JourneyWorld, State, named
from simulators.journey.observations import LIMIT, Observer, Singles
from simulators.journey.world import whole
from simulators.registry import make
from simulators.world import Outcome

RewardKind = Literal["money", "response"]
NOTHING: Mapping[str, Any] = {}
MOST_REPLICATIONS = 1 << 31


class JourneyEnv(gym.Env[Any, Any]):
    """One customer at a time; each reset draws another of `customers`.

    Options of `reset`: customer (its number) and replication, to play a journey again.
    """

    def __init__(
        self,
        world: str | JourneyWorld = "telco-journey",
        *,
        world_options: Mapping[str, Any] = NOTHING,
        customers: int = 10_000,
        reward: RewardKind = "money",
    ) -> None:
        self.metadata = {"render_modes": []}
        self.world = _world(world, world_options)
        self.observer = Observer(self.world)
        self.reward_kind = _reward_kind(reward)
        self.action_space = spaces.Discrete(len(self.world.catalogue.arms))
        self.observation_space = _space(self.observer)
        self._arms = np.arange(len(self.world.catalogue.arms))
        self._pool = self.world.start(customers)
        self._state: State | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Singles, dict[str, Any]]:
        """A customer at step 0."""
        super().reset(seed=seed)
        drawn = self.np_random.integers([len(self._pool), MOST_REPLICATIONS])
        given = options or {}
        customer = given.get("customer", drawn[0])
        whole("customer", customer)
        if not 0 <= customer < len(self._pool):
            raise SettingsError(
                "no such customer", where="customer", got=customer, allowed=f"0 to {len(self._pool) - 1}"
            )
        who = np.array([customer], dtype=np.int64)
        self._state = self.world.afresh(self._pool.at(who), _replication(given, drawn[1]))
        self._foreseen = self.world.foresee(self._state, self.world.steps)
        self._fixed = self.observer.fixed(self._state)
        return self._seen(self._state)

    def step(self, action: np.int64) -> tuple[Singles, float, bool, bool, dict[str, Any]]:
        """One period of this customer's life."""
        state = self._state
        if state is None:
            raise gym.error.ResetNeeded("call reset before step: this journey has not begun, or has ended")
        if not 0 <= action < self._mask.shape[1]:  # numpy would count -1 from the end
            raise gym.error.InvalidAction(f"action {action!r} is none of {self.action_space}")
        refused = not self._mask[0, action]
        done = 0 if refused else int(action)
        arm = self._arms[done : done + 1].copy()
        outcome = self.world.advance(state, arm, self._p[:, done], self._foreseen.at(state.t))
        seen, info = self._seen(state)
        info["refused"] = refused
        earned = outcome.value if self.reward_kind == "money" else outcome.reward
        terminated, truncated = bool(outcome.left[0]), state.t >= self.world.steps
        if terminated or truncated:
            self._state = None
        return seen, float(earned[0]), terminated, truncated, info

    def _seen(self, state: State) -> tuple[Singles, dict[str, Any]]:
        self._mask, self._p = self.world.eligible(state), self.world.responses.chances(state)
        q = self._p[0] * self.world.responses.within[state.channel[0]]
        mask = self._mask[0]
        info = {"action_mask": mask.view(np.int8), "q": q}
        return self.observer.moving(state, self._fixed.copy())[0], info


class JourneyVectorEnv(VectorEnv[Any, Any, Any]):
    """`num_envs` customers side by side; a lost one is replaced at the next step (AutoresetMode.NEXT_STEP).

    All share the world's calendar: a replacement joins at the present step, and the horizon ends all of them at once.
    """

    def __init__(
        self,
        world: str | JourneyWorld = "telco-journey",
        *,
        num_envs: int,
        world_options: Mapping[str, Any] = NOTHING,
        reward: RewardKind = "money",
    ) -> None:
        self.metadata = {"autoreset_mode": AutoresetMode.NEXT_STEP, "render_modes": []}
        self.world = _world(world, world_options)
        self.observer = Observer(self.world)
        self.reward_kind = _reward_kind(reward)
        self.num_envs = num_envs
        self.single_action_space = spaces.Discrete(len(self.world.catalogue.arms))
        self.single_observation_space = _space(self.observer)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self._pool = self.world.start(num_envs)
        self._state = self._pool.copy()
        self._done: Bools = np.zeros(num_envs, dtype=np.bool_)

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Singles, dict[str, Any]]:
        """All customers at step 0; one seed for all (of several the first counts)."""
        super().reset(seed=seed[0] if isinstance(seed, list) else seed)
        drawn = self.np_random.integers(MOST_REPLICATIONS)
        self._state = self.world.afresh(self._pool, _replication(options or {}, drawn))
        self._done = np.zeros(self.num_envs, dtype=np.bool_)
        return self.observer(self._state), self._truth()

    def step(self, actions: Ints) -> tuple[Singles, Floats, Bools, Bools, dict[str, Any]]:
        """One period of all customers' lives; rows that had ended are started afresh instead, with reward 0."""
        state, fresh = self._state, self._done
        if state.t >= self.world.steps:
            seen, info = self.reset()
            return seen, np.zeros(self.num_envs), np.zeros_like(fresh), np.zeros_like(fresh), info
        if fresh.any():
            self._replace(np.flatnonzero(fresh))
        mask = self.world.eligible(state)
        arm = np.asarray(actions)
        whole = arm.shape == (self.num_envs,) and np.issubdtype(arm.dtype, np.integer)
        if not (whole and ((arm >= 0) & (arm < mask.shape[1])).all()):
            raise gym.error.InvalidAction(f"actions {actions!r} are none of {self.action_space}")
        arm = arm.astype(np.int64, copy=False)
        refused = ~mask[np.arange(self.num_envs), arm]
        arm = np.where(refused | fresh, 0, arm)
        before = state.at(np.flatnonzero(fresh)) if fresh.any() else None
        outcome: Outcome = self.world.step(state, arm)
        if before is not None:
            _put_back(state, before, np.flatnonzero(fresh))
        earned = outcome.value if self.reward_kind == "money" else outcome.reward
        terminated = outcome.left & ~fresh
        truncated = np.full(self.num_envs, state.t >= self.world.steps)
        self._done = terminated | truncated
        return (
            self.observer(state),
            np.where(fresh, 0.0, earned),
            terminated,
            truncated,
            self._truth() | {"refused": refused},
        )

    def _replace(self, rows: Ints) -> None:
        """New customers in these rows: others of the pool, with chances of their own, who join now."""
        others = self._pool.at(self.np_random.integers(self.num_envs, size=len(rows)))
        others = self.world.afresh(others, int(self.np_random.integers(MOST_REPLICATIONS)))
        for name in ("joined", "since", "last_purchase", "protected", "event_until"):
            setattr(others, name, getattr(others, name) + self._state.t)
        _put_back(self._state, others, rows)

    def _truth(self) -> dict[str, Any]:
        mask, q = self.world.eligible(self._state), self.world.q(self._state)
        return {"action_mask": mask.view(np.int8), "q": q}


def _replication(options: Mapping[str, Any], drawn: np.int64) -> int:
    found = options.get("replication", drawn)
    whole("replication", found)
    return int(found)


def _put_back(state: State, others: State, rows: Ints) -> None:
    for target, source in zip(state.digest_arrays(), others.digest_arrays(), strict=True):
        target[rows] = source


def _world(world: str | JourneyWorld, options: Mapping[str, Any]) -> JourneyWorld:
    made = world if isinstance(world, JourneyWorld) else make(world, **{"seed": 0, **options})
    if isinstance(world, str) and isinstance(made, JourneyWorld) and made.limits.budget_per_1000:
        places = {**options.get("overrides", {}), "limits.budget_per_1000": 0.0}
        made = make(world, **{"seed": 0, **options, "overrides": places})
    if not isinstance(made, JourneyWorld):
        raise SettingsError("is no journey world", where="world", got=str(world))
    if made.limits.budget_per_1000:
        raise SettingsError(
            "a budget is shared by customers, so that one customer is no environment",
            where=f"world {made.name}",
            hint='overrides={"limits.budget_per_1000": 0.0}',
        )
    return made


def _reward_kind(kind: str) -> str:
    if kind not in ("money", "response"):
        raise SettingsError("not a choice", where="reward", got=kind, allowed="money, response")
    return kind


def _register() -> None:
    for name in named.WORLDS:
        gym.register(
            id=f"nba/{name}-v0",
            entry_point="simulators.gymnasium_env:JourneyEnv",
            vector_entry_point="simulators.gymnasium_env:JourneyVectorEnv",
            kwargs={"world": name},
        )


def _space(observer: Observer) -> spaces.Box:
    return spaces.Box(-LIMIT, LIMIT, shape=(len(observer.names),), dtype=np.float32)


_register()
