"""The policies that a search tries: today's, with other features, crosses, VW options, exploration and levers."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

import msgspec
import numpy as np

from bandit_nba.catalogue import Catalogue, FactSchema
from bandit_nba.catalogue.action import NO_ACTION
from bandit_nba.decide.choice.weighing import Arbitration, Lever
from bandit_nba.decide.policy import Exploration, FeatureSettings, Learning, Policy

T = TypeVar("T")

NAME = "found"
LEAST_FLOOR = 0.01
"""What every policy found goes on exploring: without it its log could judge no other policy."""

CROSSES: Sequence[tuple[str, ...]] = (("UA",), ("UA", "RA"), ("UA", "RA", "URA"), ("UA", "UUA"), ("UA", "RA", "UUA"))
OPTIONS: Sequence[Mapping[str, float | bool | str]] = (
    {},
    {"coin": True},
    {"ftrl": True, "ftrl_alpha": 0.005, "ftrl_beta": 1.0},
    {"ftrl": True, "ftrl_alpha": 0.02, "ftrl_beta": 1.0},
    {"learning_rate": 0.1},
    {"learning_rate": 2.0},
)
EXPLORATIONS: Sequence[Mapping[str, float | str]] = (
    {"kind": "squarecb", "scale": 1.0, "exponent": 0.5},
    {"kind": "squarecb", "scale": 10.0, "exponent": 0.5},
    {"kind": "squarecb", "scale": 100.0, "exponent": 0.5},
    {"kind": "epsilon_greedy", "epsilon": 0.02},
    {"kind": "softmax", "temperature": 0.02},
    {"kind": "thompson", "members": 8},
)
FLOORS = (LEAST_FLOOR, 0.02, 0.05)
LEVERS = (0.5, 2.0)


def space(
    policy: Policy, schema: FactSchema, *, groups: Sequence[str] = (), most: int, rng: np.random.Generator
) -> list[Policy]:
    """At most `most` different policies, today's kind of model first; a wider space is sampled, evenly by model.

    groups: of actions whose levers are searched, too. Everything else (values, context weights, priors, mixture, safe
    policy) stays as it is.
    """
    models = _distinct([(f, learning) for f in _features(policy.features, schema) for learning in _learning(policy)])
    today = [policy.exploration] if policy.exploration.floor >= LEAST_FLOOR else []
    explorations = _distinct([*today, *_explorations(policy.exploration.floor)])
    weighings = [policy.arbitration, *_levers(policy.arbitration, groups)]
    acting = [(explore, weigh) for explore in explorations for weigh in weighings]
    first, rest = models[0], models[1:]
    order = [first, *(rest[i] for i in rng.permutation(len(rest)).tolist())]
    per_model = max(1, min(len(acting), -(-most // len(order))))
    found = []
    for number, (features, learning) in enumerate(order):
        picks = rng.permutation(len(acting))[:per_model].tolist()
        if number == 0 and 0 not in picks:
            picks[0] = 0  # today's own way to act, where it explores enough
        for exploration, arbitration in (acting[i] for i in sorted(picks)):
            one = msgspec.structs.replace(
                policy,
                name=NAME,
                features=features,
                learning=learning,
                exploration=exploration,
                arbitration=arbitration,
            )
            found.append(one)
    return found[:most]


def groups_of(catalogue: Catalogue) -> tuple[str, ...]:
    """The groups whose levers can be set: all but that of "no action"."""
    return tuple(dict.fromkeys(arm.action.group for arm in catalogue.arms if arm.action.id != NO_ACTION))


def _levers(today: Arbitration, groups: Sequence[str]) -> Iterator[Arbitration]:
    """Each group wanted more, and less, than today; and nothing wanted more than anything else."""
    for group in groups:
        for factor in LEVERS:
            if isinstance(today.levers, Mapping):
                levers: Mapping[str, float] | tuple[Lever, ...] = {
                    **today.levers,
                    group: today.levers.get(group, 1.0) * factor,
                }
            else:
                levers = (*today.levers, Lever(group=group, lever=factor))
            yield msgspec.structs.replace(today, levers=levers)
    if today.levers:
        yield msgspec.structs.replace(today, levers={})


def _features(base: FeatureSettings, schema: FactSchema) -> Iterator[FeatureSettings]:
    """Today's, with other crosses, and with every declared fact that is no free text."""
    yield base
    named = {*base.customer, *base.request}
    more = tuple(name for name, kind in schema.items() if kind != "text" and name not in named)
    wider = msgspec.structs.replace(base, customer=(*base.customer, *more)) if more else base
    if more:
        yield wider
    for crosses in CROSSES:
        if base.request or base.channel or not any("R" in letters for letters in crosses):
            yield msgspec.structs.replace(base, interactions=crosses)


def _learning(policy: Policy) -> Iterator[Learning]:
    yield policy.learning
    for options in OPTIONS:
        yield Learning(options=options)


def _explorations(floor: float) -> Iterator[Exploration]:
    for settings in EXPLORATIONS:
        for one in (*FLOORS, floor):
            yield msgspec.convert({**settings, "floor": max(one, LEAST_FLOOR)}, Exploration)


def _distinct(items: Sequence[T]) -> list[T]:
    found: list[T] = []
    for item in items:
        if item not in found:
            found.append(item)
    return found
