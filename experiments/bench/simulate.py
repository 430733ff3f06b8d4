"""The journey simulator on one core: the world alone, with the learned policy deciding, and as a gymnasium environment.

world_per_s: customer-steps a second of `telco-journey` with uniformly random eligible actions that are drawn outside of
the time measured. policy_per_s: facts, the product's engine (its rules, features, a compiled model, SquareCB with a
floor, keyed sampling) and the world's step together. gym_per_s: steps a second of `JourneyEnv`, one customer at a time,
truth and action mask included. All by CPU time of this process, one thread.
"""

import time
from typing import Any

import gymnasium
import numpy as np
from threadpoolctl import threadpool_limits

import simulators.gymnasium_env  # noqa: F401 - registers the environments
from bandit_nba.catalogue.rules import compile_rules
from bandit_nba.decide.choice.salt import Salt
from bandit_nba.decide.engine import Engine
from bandit_nba.decide.policy import Exploration, FeatureSettings, Learning, Number, Policy
from bandit_nba.learn.compile import CompiledScorer
from bandit_nba.learn.vowpal import VowpalRegressor
from experiments.bench.memory import peak_mb
from simulators import make
from simulators.journey import JourneyWorld, rollout

WORLD = "telco-journey"
SIZES = (10_000, 100_000, 1_000_000)
STEPS = 8
POLICY_ROWS = 20_000
GYM_STEPS = 5_000
REPEATS = 5


def measure(*, quick: bool = False) -> dict[str, Any]:
    """Rates a second, medians of repeats; rows and bytes by number of customers."""
    world: JourneyWorld = make(WORLD, seed=1)
    repeats = 2 if quick else REPEATS
    sizes = SIZES[:2] if quick else SIZES
    with threadpool_limits(1):
        by_size = {n: _world_row(world, n, repeats=repeats if n < SIZES[2] else 2) for n in sizes}
        policy = [_policy_per_s(world) for _ in range(repeats)]
        gym_rates = [_gym_per_s(world, 1_000 if quick else GYM_STEPS) for _ in range(repeats)]
    rates = [row["per_s"] for row in by_size.values()]
    return {
        "world_per_s": float(np.median(rates)),
        "policy_per_s": float(np.median(policy)),
        "gym_per_s": float(np.median(gym_rates)),
        "linear": float(max(rates) / min(rates)),
        "rows": {str(n): row for n, row in by_size.items()},
        "peak_memory_mb": peak_mb(),
        "arms": len(world.catalogue.arms),
        "facts": len(world.catalogue.facts),
        "clock": "process CPU time, one thread",
    }


def _world_row(world: JourneyWorld, n: int, *, repeats: int) -> dict[str, float]:
    state = world.start(n)
    rates = []
    for _ in range(repeats):
        spent = 0.0
        for _ in range(STEPS):
            arm = rollout.at_random(world, state)
            started = time.process_time()
            world.step(state, arm)
            spent += time.process_time() - started
        rates.append(n * STEPS / spent)
    return {"per_s": float(np.median(rates)), "state_bytes_per_customer": state.bytes / n}


def _policy_per_s(world: JourneyWorld) -> float:
    """Facts -> engine -> step, with a model that has learned a few thousand random decisions."""
    engine, scorer = _learned(world)
    state = world.start(POLICY_ROWS)
    started = time.process_time()
    for _ in range(STEPS):
        made = engine.decide(world.requests(state), scorer)
        world.step(state, made.chosen)
    return POLICY_ROWS * STEPS / (time.process_time() - started)


def _learned(world: JourneyWorld) -> tuple[Engine, CompiledScorer]:
    numbers = {"tenure_months": 72.0, "monthly_charges": 120.0, "total_charges": 8700.0, "recent_contacts": 4.0}
    features = FeatureSettings(
        customer=(
            "senior",
            "partner",
            "dependents",
            *numbers,
            "contract",
            "payment",
            "paperless",
            "internet",
            "owned",
            "stage",
            "event",
            "issue",
        ),
        numbers={name: Number(scale=scale) for name, scale in numbers.items()},
        interactions=("UA", "RA"),
    )
    learning = Learning()
    policy = Policy(features=features, learning=learning, exploration=Exploration(kind="squarecb", floor=0.02))
    salt = Salt(id="bench", key=b"0" * 32)
    engine = Engine(world.catalogue, compile_rules(world.catalogue), policy, salt, reward_unit="response")
    state = world.start(4_000)
    requests, arm = world.requests(state), rollout.at_random(world, state)
    contexts = engine.featuriser.contexts(requests.facts, requests.channels)
    regressor = VowpalRegressor(features, learning)
    regressor.learn(contexts, engine.arm_features, arm, world.step(state, arm).reward)
    scorer = CompiledScorer(
        regressor.weights(), features, learning, version="bench", examples_learned=regressor.examples_learned
    )
    return engine, scorer


def _gym_per_s(world: JourneyWorld, steps: int) -> float:
    env = gymnasium.make(f"nba/{WORLD}-v0", world_options={"seed": world.seed}).unwrapped
    rng = np.random.default_rng(0)
    _, info = env.reset(seed=0)
    places = rng.random(steps).tolist()
    started = time.process_time()
    for place in places:
        allowed = info["action_mask"].nonzero()[0]
        _, _, terminated, truncated, info = env.step(allowed[int(place * len(allowed))])
        if terminated or truncated:
            _, info = env.reset()
    return steps / (time.process_time() - started)
