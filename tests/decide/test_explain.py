"""Explanations add up: terms to scores, gains to priorities, removed and explained arms to the catalogue."""

import copy

import msgspec
import numpy as np
import pytest

from bandit_nba.decide.audit.recompute import Past
from bandit_nba.decide.eligibility.stages import eligible
from bandit_nba.decide.engine import Engine
from bandit_nba.decide.explain.effects import Apart, effects, fact_of
from bandit_nba.decide.explain.why import Explanation, explain, explain_logged
from bandit_nba.decide.record import logged
from bandit_nba.decide.scoring import NoModel
from bandit_nba.errors import RefusedError, UnknownIdError
from bandit_nba.learn.compile import CompiledScorer
from bandit_nba.learn.sparse import SparseWeights
from bandit_nba.learn.typical import RunningMeans
from tests.decide import decide_world as world
from tests.decide.decide_log import REWARD_VERSION, Memory, logged_as


@pytest.fixture(scope="module")
def engine() -> Engine:
    return world.engine()


@pytest.fixture(scope="module")
def model() -> CompiledScorer:
    """Weights at random, a real compiled model."""
    weights = np.random.default_rng(1).normal(0.0, 0.05, size=1 << 18).astype(np.float32)
    return CompiledScorer(SparseWeights.of(weights), world.POLICY.features, version="m1", examples_learned=400)


@pytest.fixture(scope="module")
def averaged() -> CompiledScorer:
    """The same weights, with the averages of 500 other customers."""
    weights = np.random.default_rng(1).normal(0.0, 0.05, size=1 << 18).astype(np.float32)
    features = world.engine().featuriser
    seen = world.requests(500, seed=9)
    means = RunningMeans().more(features.contexts(seen.facts, seen.channels)).means()
    sparse = SparseWeights.of(weights)
    return CompiledScorer(sparse, world.POLICY.features, version="m2", examples_learned=500, means=means)


@pytest.fixture(scope="module")
def explained(engine: Engine, model: CompiledScorer) -> Explanation:
    return explain(engine, world.requests(5), model, row=3)


def test_it_tells_the_decision_itself(engine: Engine, model: CompiledScorer, explained: Explanation) -> None:
    decided = engine.decide(world.requests(5), model)
    names = [arm.id for arm in decided.arms]

    assert explained.id == decided.requests.ids[3]
    assert explained.arm == names[decided.chosen[3]]
    assert explained.propensity == decided.propensity[3]
    assert explained.model == "m1"
    for arm in explained.arms:
        k = names.index(arm.arm)
        assert arm.probability == decided.probability[3, k]
        assert arm.priority == decided.priority[3, k]
        assert arm.expected_reward == decided.expected_reward[3, k]


def test_every_arm_is_either_removed_or_explained(engine: Engine, explained: Explanation) -> None:
    told = [arm.arm for arm in explained.arms] + [arm.arm for arm in explained.removed]

    assert sorted(told) == sorted(arm.id for arm in engine.arms)
    assert all(removed.reason for removed in explained.removed)


def test_the_funnel_runs_in_the_order_of_asking(engine: Engine, model: CompiledScorer) -> None:
    order = ["channel", "profile", "consent", "eligibility", "applicability", "suitability", "ownership"]
    requests = world.requests(60, readable=0.8)
    seen = set()
    for row in range(60):
        stages = [removed.stage for removed in explain(engine, requests, model, row=row).removed]
        assert stages == sorted(stages, key=order.index)
        seen |= set(stages)

    assert seen == set(order)


def test_contributions_add_up_to_each_expected_reward(explained: Explanation) -> None:
    for arm in explained.arms:
        assert sum(one.reward for one in arm.contributions) == pytest.approx(arm.expected_reward, abs=1e-12)


def test_what_speaks_for_and_against_is_measured_beside_the_average_eligible_arm(explained: Explanation) -> None:
    """Over the eligible arms each term's `beside_others` adds up to 0; the strongest come first."""
    sums: dict[str, float] = {}
    for arm in explained.arms:
        strength = [abs(one.beside_others) for one in arm.contributions]
        assert strength == sorted(strength, reverse=True)
        for one in arm.contributions:
            sums[one.term] = sums.get(one.term, 0.0) + one.beside_others

    assert "constant" in sums
    assert any(term.startswith("age") for term in sums)
    np.testing.assert_allclose(list(sums.values()), 0.0, atol=1e-12)


def test_gains_and_factors_make_the_priorities(explained: Explanation) -> None:
    none = next(arm for arm in explained.arms if arm.arm == "no_action")
    for arm in explained.arms:
        assert arm.gain == arm.expected_reward - none.expected_reward
        m = arm.factors.multiplier
        assert arm.priority == pytest.approx(arm.gain * m if arm.gain >= 0 else arm.gain / m)

    levers = {arm.factors.lever for arm in explained.arms}
    assert levers <= {1.0, 1.5}


def test_the_settings_of_exploration_are_told(explained: Explanation) -> None:
    """scale 10, n 400, exponent .5, range 5: gamma 200 / 5 a unit of priority."""
    assert explained.examples_learned == 400
    assert explained.gamma == pytest.approx(40.0)
    assert explained.exploration.floor == 0.05
    chances = [arm.probability for arm in explained.arms]
    assert chances == sorted(chances, reverse=True)
    assert sum(chances) == pytest.approx(1.0)


def test_before_any_model_there_is_nothing_to_take_apart(engine: Engine) -> None:
    found = explain(engine, world.requests(1), NoModel())

    assert found.model == "none"
    assert all(arm.contributions == () for arm in found.arms)


def test_explaining_changes_nothing(engine: Engine, model: CompiledScorer) -> None:
    requests = world.requests(5)
    before = copy.deepcopy(requests)
    decided = engine.decide(requests, model)

    first = explain(engine, requests, model, row=2)

    assert explain(engine, requests, model, row=2) == first
    np.testing.assert_array_equal(engine.decide(requests, model).probability, decided.probability)
    assert [requests.facts.row(i) for i in range(5)] == [before.facts.row(i) for i in range(5)]


class TestLogged:
    """A decision from the log is explained under the versions that made it."""

    def test_as_it_was_made(self, engine: Engine, model: CompiledScorer, explained: Explanation) -> None:
        source = Memory()
        source.models["m1"] = model
        decided = engine.decide(world.requests(5), model)
        record = logged_as(decided, engine.versions(model, reward=REWARD_VERSION))[3]

        assert explain_logged(logged(record), Past(source)) == explained

    def test_a_fallback_has_chances_but_no_scores(self, engine: Engine, model: CompiledScorer) -> None:
        requests = world.requests(5)
        eligibility = eligible(engine.catalogue, engine.rules, requests)
        made = engine.fall_back(requests, eligibility)
        record = logged_as(made, engine.versions(model, reward=REWARD_VERSION))[3]

        found = explain_logged(logged(record), Past(Memory()))

        assert found.kind == "fallback"
        assert {arm.arm for arm in found.arms} <= {"no_action", "bill_help", "tip1"}
        assert {arm.probability for arm in found.arms} == {1 / len(found.arms)}
        assert all(arm.contributions == () for arm in found.arms)
        assert found.gamma is None
        assert found.removed[-1].stage == "fallback"

    def test_a_model_that_is_gone(self, engine: Engine, model: CompiledScorer) -> None:
        record = logged_as(engine.decide(world.requests(1), model), engine.versions(model, reward=REWARD_VERSION))[0]

        with pytest.raises(UnknownIdError, match="no such model"):
            explain_logged(logged(record), Past(Memory()))


class TestEffects:
    """Facts as wholes, beside the average customer and the average eligible arm."""

    @pytest.mark.parametrize("compared", [True, False])
    def test_they_add_up_to_each_expected_reward(
        self, engine: Engine, averaged: CompiledScorer, model: CompiledScorer, compared: bool
    ) -> None:
        for row in range(5):
            found = explain(engine, world.requests(5), averaged if compared else model, row=row)

            assert found.compared == compared
            for arm in found.arms:
                total = found.average + sum(one.effect for one in arm.effects)
                assert total == pytest.approx(arm.expected_reward, abs=1e-12)

    def test_over_eligible_arms_each_fact_adds_up_to_nothing(self, engine: Engine, averaged: CompiledScorer) -> None:
        found = explain(engine, world.requests(5), averaged, row=2)
        sums: dict[str, float] = {}
        for arm in found.arms:
            for one in arm.effects:
                sums[one.fact] = sums.get(one.fact, 0.0) + one.effect

        assert set(sums) >= {"", "channel", "contract", "age", "owned"}
        np.testing.assert_allclose(list(sums.values()), 0.0, atol=1e-12)

    def test_the_average_customer_has_nothing_that_speaks_for_or_against(self) -> None:
        """By hand: weights 2 and 4 for contract=a, b on one arm, 0 on the other; shares .75, .25; the customer has b.

        The fact gives (1 - .25) x 4 - .75 x 2 = 1.5 to the first arm: half of it beside the average of the two.
        """
        row = Apart(
            names=("constant", "arm", "contract=b"), contributions=np.array([[1, 1], [0, 2], [4, 0]]), singles=3
        )
        average = Apart(
            names=("constant", "arm", "contract=a", "contract=b"),
            contributions=np.array([[1, 1], [0, 2], [1.5, 0], [1.0, 0]]),
            singles=4,
        )

        first, second = effects(row, average, {"contract"})

        assert {one.fact: one.effect for one in first} == {"contract": 0.75, "": 0.25}
        assert {one.fact: one.effect for one in second} == {"contract": -0.75, "": -0.25}
        same, _ = effects(average, average, {"contract"})
        assert {one.fact: one.effect for one in same} == {"contract": 0.0, "": 0.25}

    @pytest.mark.parametrize(
        ("name", "single", "fact"),
        [
            ("contract=a x b", True, "contract"),
            ("age?", True, "age"),
            ("age=..30", True, "age"),
            ("contract=a x b x age=30..", False, "contract x age"),
            ("age x age=..30", False, "age"),
        ],
    )
    def test_terms_tell_their_facts(self, name: str, single: bool, fact: str) -> None:
        assert fact_of(name, {"contract", "age"}, single=single) == fact


def test_what_has_been_erased_cannot_be_explained(engine: Engine, model: CompiledScorer) -> None:
    made = engine.decide(world.requests(1), model)
    record = logged_as(made, engine.versions(model, reward=REWARD_VERSION))[0]
    erased = msgspec.structs.replace(record, facts=None)

    with pytest.raises(RefusedError, match="erased"):
        explain_logged(logged(erased), Past(Memory()))
