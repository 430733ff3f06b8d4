"""The learned policy behind the protocol decides what the engine decided before there was one: bit for bit."""

import math

import msgspec
import numpy as np
import pytest

from bandit_nba.decide.choice.arbitrate import priorities
from bandit_nba.decide.choice.sample import ARM, draw, uniforms
from bandit_nba.decide.columns import Bools, Floats
from bandit_nba.decide.policies.learned import LearnedPolicy
from bandit_nba.decide.policy import Exploration, Explorer
from bandit_nba.errors import ModelError
from tests.decide import decide_world as world


def _as_it_was(priority: Floats, mask: Bools, e: Exploration, *, n: int, priority_range: float) -> Floats:
    """The exploration of the first release, written down."""
    eligible = mask.sum(axis=1, keepdims=True).astype(np.float64)
    if e.kind == "uniform":
        return np.asarray(mask / eligible)
    gap = np.fmax.reduce(priority, axis=1, keepdims=True) - priority
    leads, trails = gap == 0.0, gap > 0.0
    if e.kind == "squarecb":
        gamma = e.scale * math.pow(max(n, 1), e.exponent) / priority_range
        p = (1.0 - e.floor) / (gap * gamma + eligible) + e.floor / eligible
        p = np.where(trails, p, 0.0)
    else:
        epsilon = e.epsilon if e.kind == "epsilon_greedy" else 0.0
        p = trails * ((e.floor + (1.0 - e.floor) * epsilon) / eligible)
    return np.where(leads, (1.0 - p.sum(axis=1, keepdims=True)) / leads.sum(axis=1, keepdims=True), p)


@pytest.mark.parametrize("floor", [0.0, 0.05])
@pytest.mark.parametrize("kind", ["greedy", "epsilon_greedy", "squarecb", "uniform"])
def test_not_a_bit_has_changed(kind: str, floor: float) -> None:
    engine, requests = world.engine(kind=kind, floor=floor), world.requests(500, readable=0.9)
    model = world.ExactModel(examples_learned=900)
    got = engine.decide(requests, model)

    mask = got.eligibility.mask
    contexts = engine.featuriser.contexts(requests.facts, requests.channels)
    expected = np.where(mask, model.score(contexts, engine.arm_features), np.nan)
    lever = np.array([1.5 if arm.action.group == "retain" else 1.0 for arm in engine.arms])
    priority = priorities(expected, lever)
    p = _as_it_was(priority, mask, engine.policy.exploration, n=900, priority_range=5.0)
    np.testing.assert_array_equal(got.expected_reward, expected)
    np.testing.assert_array_equal(got.priority, priority)
    np.testing.assert_array_equal(got.probability, p)
    np.testing.assert_array_equal(got.chosen, draw(p, uniforms(world.SALT, requests.ids, purpose=ARM)))
    assert got.credit is None
    assert got.shadow is None


class Counting(world.ExactModel):
    """Counts how often it is asked."""

    asked = 0

    def score(self, *args: object) -> Floats:  # type: ignore[override]  # whatever the arguments
        self.asked += 1
        return super().score(*args)  # type: ignore[arg-type]


def test_explorations_of_one_model_score_once() -> None:
    engine, model = world.engine(), Counting()
    champion = engine.acting(model)
    assert isinstance(champion, LearnedPolicy)
    bold = champion.exploring(Exploration(kind="uniform"), name="bold")
    requests = world.requests(10)
    situation = engine.situation(requests, engine.eligible(requests))

    one, two = champion.distribution(situation), bold.distribution(situation)

    assert model.asked == 1
    np.testing.assert_array_equal(one.priority, two.priority)
    assert not np.array_equal(one.probability, two.probability)


def test_a_member_that_is_not_finite_decides_nothing() -> None:
    class Torn(world.ExactModel):
        def score_members(self, contexts: object, arms: object) -> Floats:
            scores = np.stack([self.score(contexts, arms), self.score(contexts, arms)])  # type: ignore[arg-type]
            scores[1, 0, 0] = np.nan
            return scores

    with pytest.raises(ModelError, match="not finite"):
        world.engine(kind="thompson").decide(world.requests(3), Torn())


def test_an_explorer_takes_every_key_of_an_exploration_but_the_floor() -> None:
    assert {*Exploration.__struct_fields__} - {*Explorer.__struct_fields__} == {"floor"}
    assert msgspec.convert({"kind": "softmax"}, Explorer).temperature == 0.1
