"""Priors: the formula by hand, and a world in which new actions arrive that a model alone overlooks or overrates."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from bandit_nba.catalogue import Action, Catalogue
from bandit_nba.catalogue.rules import compile_rules
from bandit_nba.decide.batch import Requests
from bandit_nba.decide.choice.prior import Prior, prior_of, shrinkage
from bandit_nba.decide.columns import Coded, Facts, Floats
from bandit_nba.decide.engine import Engine
from bandit_nba.decide.explain.why import explain
from bandit_nba.decide.policy import Exploration, FeatureSettings, Policy
from bandit_nba.decide.scoring import FeatureRows, NoModel, Scorer
from bandit_nba.learn.compile import CompiledScorer
from bandit_nba.learn.vowpal import VowpalRegressor
from tests.decide import decide_world as world

FEATURES = FeatureSettings(customer=("segment",), channel=False, bits=16)
TILT = {"young": 0.7, "middle": 1.0, "old": 1.3}  # how much likelier than on average each segment responds

#                  response rate, what the catalogue says of it
KNOWN = {"small": (0.04, 0.5), "medium": (0.06, 1.0), "large": (0.08, 1.5), "huge": (0.10, 2.0)}
NEW = {"good": (0.20, 0.0), "bad": (0.01, 6.0)}  # beyond what the model knows: depth says the opposite of the truth
NO_ACTION = 0.02
PRIORS = {"new": Prior(rate=0.12, strength=300.0)}


class Counting:
    """A model of constants that knows how often it has seen each arm."""

    version = "counting"
    examples_learned = 1_000

    def __init__(self, score: float = 0.5, **examples: int) -> None:
        self.arm_examples = examples
        self._score = score

    def score(self, contexts: FeatureRows, arms: FeatureRows) -> Floats:
        return np.full((len(contexts), len(arms)), self._score)


def test_the_formula_by_hand() -> None:
    """(n m + s r) / (n + s): 30 examples at .5 and 10 believed at .1 make .4; none, the rate; no prior, the model."""
    found = shrinkage(
        _catalogue("tried", "fresh", "free").arms,
        {"tried": Prior(rate=0.1, strength=10.0), "fresh": Prior(rate=0.1, strength=10.0)},
        Counting(tried=30, free=5),
    )

    assert found is not None
    assert found.of(np.full((2, 4), 0.5)) == pytest.approx(np.tile([0.5, 0.4, 0.1, 0.5], (2, 1)))


def test_groups_without_their_own_take_the_default_but_no_action_never_does() -> None:
    arms = _catalogue("a", "b").arms
    own, default, none = (Prior(rate=rate, strength=1.0) for rate in (0.1, 0.2, 0.3))

    assert [prior_of(arm, {"a": own, "default": default}) for arm in arms] == [None, own, default]
    assert prior_of(arms[0], {"none": none}) == none
    assert shrinkage(arms, {}, Counting()) is None


def test_a_model_that_does_not_count_knows_nothing_of_any_arm() -> None:
    engine = _engine(Policy(priors={"default": Prior(rate=0.25, strength=8.0)}), "a", "b")
    got = engine.decide(_requests(engine, 5), NoModel())

    assert got.expected_reward.tolist() == [[0.0, 0.25, 0.25]] * 5


def test_as_examples_come_in_the_model_takes_over() -> None:
    priors = {"default": Prior(rate=0.1, strength=100.0)}
    arms = _catalogue("a").arms
    weights = [shrinkage(arms, priors, Counting(a=n)) for n in (0, 100, 900, 10**9)]

    assert [w.weight[1] for w in weights if w] == pytest.approx([0.0, 0.5, 0.9, 1.0], abs=1e-6)


def test_inline_arms_have_priors_by_their_group() -> None:
    from bandit_nba.decide.inline import InlineAction

    policy = Policy(priors={"hot": Prior(rate=0.3, strength=10.0), "inline": Prior(rate=0.1, strength=10.0)})
    engine = _engine(policy, "a").over([InlineAction(id="x"), InlineAction(id="y", group="hot"), InlineAction(id="z")])
    got = engine.decide(_requests(engine, 1), Counting(score=0.5, z=30))

    assert got.expected_reward[0].tolist() == pytest.approx([0.1, 0.3, 0.4])


def test_explanations_add_up_with_the_prior_as_a_term_of_its_own() -> None:
    engine = _engine(Policy(features=FEATURES, priors={"default": Prior(rate=0.3, strength=30.0)}), *KNOWN)
    scorer = _learned(engine, rows=400, seed=3)[1]
    found = explain(engine, _requests(engine, 1, seed=9), scorer)

    for arm in found.arms:
        assert sum(part.reward for part in arm.contributions) == pytest.approx(arm.expected_reward, abs=1e-9)
        assert ("prior" in {part.term for part in arm.contributions if part.reward}) == (arm.arm != "no_action")


class TestNewActions:
    """10,000 decisions among known actions, then a good and a bad new one arrive for 16,000 more; 4 worlds.

    What the model has learned of the known actions' depth speaks for the bad one and against the good one. Bounds are
    wide around what was seen over 8 seeds. Shares of the first 1,000 decisions: with the prior .06 to .48 for both;
    without it, over 12 seeds, .60 on average for the bad one and .018 (median) for the good one. One seed alone may
    come out otherwise on another processor: what is learned first hangs on the last bits.
    """

    def test_with_a_prior_both_are_tried_and_the_truth_decides(self) -> None:
        shares = np.stack([_play(PRIORS, seed=seed) for seed in range(4)])
        first, soon, last = shares[:, 0], shares[:, :4].mean(axis=1), shares[:, -3:].mean(axis=1)

        assert (first > 0.04).all()  # neither starved
        assert (first < 0.60).all()  # nor flooded
        assert (soon[:, _BAD] < 0.20).all()
        assert (soon[:, _GOOD] > 0.30).all()
        assert (last[:, _GOOD] > 0.60).all()
        assert (last[:, _BAD] < 0.03).all()

    def test_without_one_the_model_floods_the_bad_and_starves_the_good(self) -> None:
        first = np.stack([_play({}, seed=seed, after=1)[0] for seed in range(12)])

        assert first[:, _BAD].mean() > 0.4
        assert np.median(first[:, _GOOD]) < 0.05
        with_prior = np.stack([_play(PRIORS, seed=seed, after=1)[0] for seed in range(12)])
        assert np.median(with_prior[:, _GOOD]) > 5 * np.median(first[:, _GOOD])


_GOOD, _BAD = 0, 1


def _play(priors: dict[str, Prior], *, seed: int, before: int = 10, after: int = 16, size: int = 1_000) -> Floats:
    """Shares of the good and the bad action in each batch after their arrival, (after, 2)."""
    policy = Policy(features=FEATURES, exploration=Exploration(kind="squarecb", floor=0.05), priors=priors)
    engine = _engine(policy, *KNOWN)
    regressor, scorer, counts = _learned(engine, rows=0, seed=seed)
    shares = []
    for batch in range(before + after):
        if batch == before:
            engine = _engine(policy, *KNOWN, *NEW)
        names = _batch(engine, regressor, scorer, rows=size, seed=seed * 1_000 + batch)
        counts.update(names)
        scorer = _compiled(regressor, counts)
        shares.append([names.count(name) / size for name in NEW])
    return np.array(shares[before:])


def _learned(engine: Engine, *, rows: int, seed: int) -> tuple[VowpalRegressor, Scorer, Counter[str]]:
    regressor, counts = VowpalRegressor(FEATURES), Counter[str]()
    scorer: Scorer = NoModel()
    if rows:
        counts.update(_batch(engine, regressor, scorer, rows=rows, seed=seed))
        scorer = _compiled(regressor, counts)
    return regressor, scorer, counts


def _batch(engine: Engine, regressor: VowpalRegressor, scorer: Scorer, *, rows: int, seed: int) -> list[str]:
    """Decide, draw responses, learn; the arms that were chosen."""
    rng = np.random.default_rng(seed)
    requests = _requests(engine, rows, seed=seed)
    got = engine.decide(requests, scorer)
    names = [engine.arms[k].id for k in got.chosen.tolist()]
    tilt = [TILT[str(row["segment"])] for row in requests.facts.rows()]
    rates = {"no_action": NO_ACTION, **{name: rate for name, (rate, _) in (KNOWN | NEW).items()}}
    chance = np.array([rates[name] * t for name, t in zip(names, tilt, strict=True)])
    contexts = engine.featuriser.contexts(requests.facts, requests.channels)
    regressor.learn(contexts, engine.arm_features, got.chosen, (rng.random(rows) < chance).astype(np.float64))
    return names


def _compiled(regressor: VowpalRegressor, counts: Counter[str]) -> CompiledScorer:
    return CompiledScorer(
        regressor.weights(), FEATURES, version="v", examples_learned=counts.total(), arm_examples=dict(counts)
    )


def _catalogue(*names: str) -> Catalogue:
    depth = {name: depth for name, (_, depth) in (KNOWN | NEW).items()}
    groups = dict.fromkeys(KNOWN, "known") | dict.fromkeys(NEW, "new")
    actions = [
        Action(id=n, kind="offer", group=groups.get(n, n), features={"depth": depth[n]} if n in depth else {})
        for n in names
    ]
    return Catalogue(facts={"segment": "category"}, actions=tuple(actions))


def _engine(policy: Policy, *names: str) -> Engine:
    catalogue = _catalogue(*names)
    return Engine(catalogue, compile_rules(catalogue), policy, world.SALT, reward_unit="response")


def _requests(engine: Engine, rows: int, *, seed: int = 0) -> Requests:
    rng = np.random.default_rng(seed)
    segments = rng.choice(list(TILT), size=rows).tolist()
    return replace(
        world.requests(0),
        ids=[f"p{seed}-{i}" for i in range(rows)],
        customers=[""] * rows,
        channels=Coded(codes=np.zeros(rows, dtype=np.int64), values=("web",)),
        decided_at=np.full(rows, world.T0),
        facts=Facts.from_rows([{"segment": s} for s in segments], engine.catalogue.facts),
        readable=np.ones(rows, dtype=np.bool_),
    )
