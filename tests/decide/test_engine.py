"""The whole pipeline: a row's decision depends on its own request, the model and the salt, and on nothing else."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from bandit_nba.catalogue import Action, Catalogue
from bandit_nba.decide.batch import Decisions, Requests
from bandit_nba.decide.choice.explore import full_support, probabilities
from bandit_nba.decide.choice.salt import Salt
from bandit_nba.decide.choice.sample import ARM, draw, uniforms
from bandit_nba.decide.columns import Coded, Facts
from bandit_nba.decide.engine import Engine
from bandit_nba.decide.policy import Arbitration, Policy
from bandit_nba.decide.scoring import FeatureRows, NoModel
from bandit_nba.errors import ModelError, SettingsError
from bandit_nba.learn.compile import CompiledScorer
from bandit_nba.learn.sparse import SparseWeights
from tests.decide import decide_world as world

KINDS = ("greedy", "epsilon_greedy", "epsilon_decay", "softmax", "squarecb", "thompson", "uniform")
ARRAYS = ("expected_reward", "priority", "probability", "chosen", "propensity")


def _picked(requests: Requests, rows: list[int]) -> Requests:
    """The given rows in the given order."""
    facts = [requests.facts.row(i) for i in rows]
    return Requests(
        ids=[requests.ids[i] for i in rows],
        customers=[requests.customers[i] for i in rows],
        channels=Coded(codes=requests.channels.codes[rows], values=requests.channels.values),
        decided_at=requests.decided_at[rows],
        facts=Facts.from_rows(facts, requests.facts.schema),
        readable=requests.readable[rows],
    )


def _same(got: Decisions, expected: Decisions, rows: list[int]) -> None:
    """Bit for bit, the reasons of every removal included."""
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(got, name), getattr(expected, name)[rows], err_msg=name)
    reasons = _reasons(expected)
    assert _reasons(got) == [reasons[i] for i in rows]


def _reasons(decisions: Decisions) -> list[list[str]]:
    words = ["", *(f"{removal.stage}: {removal.reason}" for removal in decisions.eligibility.removals)]
    return [[words[code] for code in row] for row in decisions.eligibility.removed.tolist()]


@pytest.mark.parametrize("kind", KINDS)
class TestEveryExploration:
    def test_rows_are_distributions_over_their_eligible_arms(self, kind: str) -> None:
        engine = world.engine(kind=kind)

        got = engine.decide(world.requests(500, readable=0.8), world.ExactModel())

        mask = got.eligibility.mask
        assert mask[:, 0].all()
        assert len(set(mask.sum(axis=1).tolist())) > 5  # ragged
        np.testing.assert_allclose(got.probability.sum(axis=1), 1.0, rtol=0, atol=1e-12)
        assert (got.probability[~mask] == 0.0).all()
        assert (got.probability >= 0.0).all()
        if full_support(engine.policy.exploration):
            assert (got.probability[mask] > 0.0).all()
        np.testing.assert_array_equal(np.isnan(got.expected_reward), ~mask)
        np.testing.assert_array_equal(np.isnan(got.priority), ~mask)

    def test_the_choice_is_eligible_and_has_the_logged_propensity(self, kind: str) -> None:
        got = world.engine(kind=kind).decide(world.requests(500, readable=0.8), world.ExactModel())

        at = np.arange(500), got.chosen
        assert got.eligibility.mask[at].all()
        assert (got.propensity > 0.0).all()
        np.testing.assert_array_equal(got.propensity, got.probability[at])

    def test_no_eligible_arm_falls_below_the_floor(self, kind: str) -> None:
        got = world.engine(kind=kind, floor=0.2).decide(world.requests(300), world.ExactModel(examples_learned=10**9))

        mask = got.eligibility.mask
        bound = np.broadcast_to(0.2 / mask.sum(axis=1, keepdims=True), mask.shape)
        assert (got.probability[mask] >= bound[mask] * (1 - 1e-12)).all()

    def test_neither_order_nor_size_of_the_batch_matters(self, kind: str) -> None:
        engine, model = world.engine(kind=kind), world.ExactModel()
        requests = world.requests(120, readable=0.8)
        whole = engine.decide(requests, model)
        shuffled = np.random.default_rng(1).permutation(120).tolist()

        _same(engine.decide(_picked(requests, shuffled), model), whole, shuffled)
        for i in range(0, 120, 7):
            _same(engine.decide(_picked(requests, [i]), model), whole, [i])
        for start, stop in pairwise((0, 1, 2, 50, 51, 120)):
            _same(engine.decide(requests.take(start, stop), model), whole, list(range(start, stop)))

    def test_only_no_action(self, kind: str) -> None:
        """A catalogue without actions, and a customer who may have none of them."""
        empty = world.engine(catalogue=Catalogue(facts=world.CATALOGUE.facts, actions=()), policy=Policy(), kind=kind)
        nobody = world.engine(kind=kind, catalogue=_only_for_others())
        requests = world.requests(3)

        for engine in (empty, nobody):
            got = engine.decide(requests, world.ExactModel())
            assert got.chosen.tolist() == [0, 0, 0]
            assert got.propensity.tolist() == [1.0, 1.0, 1.0]

    def test_five_thousand_arms(self, kind: str) -> None:
        actions = tuple(Action(id=f"a{i}", kind="offer", group="g") for i in range(4999))
        engine = world.engine(
            catalogue=Catalogue(facts=world.CATALOGUE.facts, actions=actions), policy=Policy(), kind=kind
        )
        requests = world.requests(60)

        got = engine.decide(requests, world.ExactModel())

        assert got.probability.shape == (60, 5000)
        np.testing.assert_allclose(got.probability.sum(axis=1), 1.0, rtol=0, atol=1e-12)
        assert engine.chunk_rows < 60
        _same(engine.decide(_picked(requests, [59]), world.ExactModel()), got, [59])


def test_a_compiled_model_gives_each_row_the_same_bits_in_any_batch() -> None:
    """The real scorer of replicas, 300 rows alone, in pairs, reversed, and in chunks."""
    weights = np.random.default_rng(2).normal(0.0, 0.05, size=1 << 18).astype(np.float32)
    model = CompiledScorer(SparseWeights.of(weights), world.POLICY.features, version="m1", examples_learned=10_000)
    engine, requests = world.engine(), world.requests(300, readable=0.9)
    whole = engine.decide(requests, model)

    for i in range(0, 300, 11):
        _same(engine.decide(_picked(requests, [i]), model), whole, [i])
        _same(engine.decide(requests.take(i, i + 2), model), whole, list(range(i, min(i + 2, 300))))
    backwards = list(range(299, -1, -1))
    _same(engine.decide(_picked(requests, backwards), model), whole, backwards)
    engine.chunk_rows = 17
    _same(engine.decide(requests, model), whole, list(range(300)))


def test_the_arrays_hang_together() -> None:
    """Each stage recomputed from the one before, the lever on "retain" included."""
    engine = world.engine()
    requests = world.requests(200)
    got = engine.decide(requests, world.ExactModel(examples_learned=400))

    gain = got.expected_reward - got.expected_reward[:, :1]
    lever = np.array([1.5 if arm.action.group == "retain" else 1.0 for arm in got.arms])
    np.testing.assert_allclose(got.priority, np.where(gain < 0, gain / lever, gain * lever), rtol=1e-15)
    p = probabilities(got.priority, got.eligibility.mask, engine.policy.exploration, n=400, priority_range=5.0)
    np.testing.assert_array_equal(got.probability, p)
    np.testing.assert_array_equal(got.chosen, draw(p, uniforms(world.SALT, requests.ids, purpose=ARM)))


def test_the_same_id_draws_the_same_arm_for_ever() -> None:
    """Written down once: a change of hash, use of the salt or order of arms would break the audit of old logs.

    Ten equally likely arms: floor(10 u) by the reference of test_sample's definition.
    """
    actions = tuple(Action(id=f"a{i}", kind="offer", group="g") for i in range(1, 10))
    engine = world.engine(catalogue=Catalogue(facts={}, actions=actions), policy=Policy(), kind="uniform")
    requests = replace(world.requests(12), facts=Facts.from_rows([{}] * 12, {}))

    assert engine.decide(requests, NoModel()).chosen.tolist() == [0, 6, 7, 2, 8, 7, 5, 4, 2, 8, 0, 7]


def test_another_salt_draws_otherwise() -> None:
    requests = world.requests(300)
    one = world.engine(kind="uniform").decide(requests, NoModel())
    other = world.engine(kind="uniform", salt=Salt(id="s2", key=b"x" * 32)).decide(requests, NoModel())

    np.testing.assert_array_equal(one.probability, other.probability)
    assert (one.chosen != other.chosen).mean() > 0.5


def test_before_any_model_every_eligible_arm_is_equally_likely() -> None:
    got = world.engine(kind="squarecb").decide(world.requests(50), NoModel())

    mask = got.eligibility.mask
    np.testing.assert_allclose(got.probability[mask], (mask / mask.sum(axis=1, keepdims=True))[mask], rtol=1e-12)


def test_chunks_give_what_one_chunk_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    engine, requests = world.engine(), world.requests(1000, readable=0.9)
    whole = engine.decide(requests, world.ExactModel())
    monkeypatch.setattr(engine, "chunk_rows", 64)

    got = engine.decide(requests, world.ExactModel())
    parts = list(engine.stream(requests, world.ExactModel()))

    _same(got, whole, list(range(1000)))
    assert got.eligibility.failures == whole.eligibility.failures
    assert [len(part) for part in parts] == [64] * 15 + [40]
    assert [i for part in parts for i in part.requests.ids] == list(requests.ids)


def test_no_requests_give_no_decisions() -> None:
    got = world.engine().decide(world.requests(0), NoModel())

    assert (len(got), got.probability.shape, got.kinds) == (0, (0, 20), [])


def test_rows_that_cannot_be_read_get_safe_arms_only() -> None:
    requests = replace(world.requests(200), readable=np.arange(200) % 2 == 0)
    got = world.engine().decide(requests, world.ExactModel())

    safe = {"no_action", "bill_help", "tip1"}
    chosen = [got.arms[k].id for k in got.chosen.tolist()]
    assert set(chosen[1::2]) <= safe
    assert not set(chosen[::2]) <= safe
    assert got.kinds[:2] == ["normal", "unreadable"]


def test_versions_name_everything_that_shaped_the_decision() -> None:
    engine = world.engine()
    versions = engine.versions(world.ExactModel(), reward="r1")

    assert (versions.catalogue, versions.policy) == (world.CATALOGUE.version, world.POLICY.version)
    assert (versions.features, versions.model) == (world.POLICY.features.version, "exact")
    assert (versions.reward, versions.salt) == ("r1", "s1")


@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf])
def test_a_model_that_is_not_finite_decides_nothing(poison: float) -> None:
    class Poisoned(world.ExactModel):
        def score(self, contexts: FeatureRows, arms: FeatureRows) -> np.ndarray:
            scores = super().score(contexts, arms)
            scores[-1, -1] = poison
            return scores

    with pytest.raises(ModelError, match="model exact: gives expected rewards that are not finite"):
        world.engine().decide(world.requests(3), Poisoned())


def test_values_on_top_of_money_are_refused_when_the_engine_is_made() -> None:
    policy = Policy(arbitration=Arbitration(use_value=True))

    with pytest.raises(SettingsError, match="count money twice"):
        Engine(world.CATALOGUE, world.engine().rules, policy, world.SALT, reward_unit="money")


def _only_for_others() -> Catalogue:
    actions = tuple(Action(id=f"a{i}", kind="offer", group="sell", eligibility="customer.age < 0.0") for i in range(3))
    return Catalogue(facts=world.CATALOGUE.facts, actions=actions)
