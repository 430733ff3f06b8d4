"""One cell: a policy's value over the first 1, 2, ... steps of a journey, from the log of others, against the truth."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import msgspec
import numpy as np

from bandit_nba.decide.columns import Floats
from bandit_nba.errors import RefusedError, SettingsError
from bandit_nba.evaluate.journeys import JourneyEstimator, component_weights, estimate_journeys
from experiments.journey_ope.fitted import expected
from experiments.journey_ope.log import Journeys, Ranking, logged, truth
from experiments.runner.results import Measure
from experiments.runner.sweep import Cell
from simulators import registry


def play(cell: Cell) -> list[Measure]:
    """Of each horizon (`x`): refused, and where it was not, value, error, covered and width; `ess` of its last step."""
    journeys, value, se = _both(msgspec.json.encode(cell.scenario_options, order="sorted"), cell.seed, cell.rounds)
    weights = step_weights(journeys, str(cell.policy_options.get("propensities", "mixture")))
    estimator: JourneyEstimator = cell.policy_options["estimator"]
    interval = str(cell.policy_options.get("interval", "skewed_t"))
    model = expected(journeys) if estimator == "dr" else None
    found: list[Measure] = []
    for horizon in range(1, len(value) + 1):
        true, x = float(value[horizon - 1]), float(horizon)
        found += [Measure("truth", true, x), Measure("truth_se", float(se[horizon - 1]), x)]
        found += judge(journeys, weights, estimator, horizon=horizon, true=true, model=model, interval=interval)
    return found


def judge(
    journeys: Journeys,
    weights: Floats,
    estimator: JourneyEstimator,
    *,
    horizon: int,
    true: float,
    model: tuple[Floats, Floats] | None = None,
    interval: str = "skewed_t",
) -> list[Measure]:
    """One horizon's measures; a refusal carries its reason as the label. model: what `expected` gave, for dr."""
    n, x = len(weights), float(horizon)
    q_logged, q_policy = (None, None) if model is None else (q[:, :horizon, horizon - 1].ravel() for q in model)
    try:
        made = estimate_journeys(
            weights[:, :horizon].ravel(),
            journeys.rewards[:, :horizon].ravel(),
            journeys=np.repeat(np.arange(n), horizon),
            steps=np.tile(np.arange(horizon), n),
            horizon=horizon,
            discount=journeys.discount,
            estimator=estimator,
            q_logged=q_logged,
            q_policy=q_policy,
            interval=interval,
        )
    except RefusedError as error:
        return [Measure("refused", 1.0, x, str(error))]
    one = made.estimate
    return [
        Measure("refused", 0.0, x),
        Measure("ess", min(made.ess_per_step), x),
        Measure("value", one.value, x),
        Measure("error", one.value - true, x),
        Measure("covered", float(one.low <= true <= one.high), x),
        Measure("width", one.high - one.low, x),
    ]


def step_weights(journeys: Journeys, propensities: str) -> Floats:
    """Per-decision weights, (n, T), whose products are the weights of journeys.

    propensities: own (of the component that decided), mixture (of whole journeys) or marginal, which is wrong: the
    mixture of each step by itself, as if customers were assigned anew at each.
    """
    if propensities == "own":
        rows = np.arange(len(journeys.arm))
        return np.asarray(journeys.policy / journeys.components[rows, :, journeys.component])
    if propensities == "marginal":
        return np.asarray(journeys.policy / (journeys.components @ journeys.shares))
    if propensities != "mixture":
        raise SettingsError("not a choice", where="propensities", got=propensities, allowed="own, mixture, marginal")
    whole = component_weights(journeys.policy, journeys.components, journeys.shares)
    return np.asarray(np.column_stack([whole[:, :1], whole[:, 1:] / whole[:, :-1]]))


@lru_cache(maxsize=1)
def _both(options: bytes, seed: int, n: int) -> tuple[Journeys, Floats, Floats]:
    """The scenario's log and its truth, made once for all estimators."""
    given: Mapping[str, Any] = msgspec.json.decode(options)
    world = registry.make(str(given["world"]), **{"seed": seed, **given.get("world_options", {})})
    steps, money = int(given["steps"]), bool(given.get("money", False))
    rng = np.random.default_rng([0x0BE5, seed])
    spread = world.q(world.start(2_000)).std(axis=0)

    def ranking(share: float) -> Ranking:
        return Ranking(0.5 * spread * rng.normal(size=len(spread)), share)

    judged = ranking(float(given["judged"]))
    components = [ranking(float(share)) for share in given["loggers"]]
    shares = np.full(len(components), 1.0 / len(components))
    journeys = logged(world, components, shares, judged, n=n, steps=steps, money=money)
    value, se = truth(world, judged, n=int(given["truth_customers"]), steps=steps, money=money)
    return journeys, value, se
