"""Actions that come with a request: scored by the same weights, the first as baseline; no name means anything else."""

from dataclasses import replace

import numpy as np
import pytest

from bandit_nba.catalogue import Action, Catalogue
from bandit_nba.catalogue.rules import compile_rules
from bandit_nba.decide import inline
from bandit_nba.decide.engine import Engine
from bandit_nba.decide.inline import InlineAction
from bandit_nba.decide.policy import Arbitration, Exploration, FeatureSettings, Policy
from bandit_nba.decide.scoring import FeatureRows
from bandit_nba.decide.wanted import Slot, Wanted, ranking
from bandit_nba.errors import InputError
from tests.decide import decide_world as world

HOSTILE = (
    "|A arm=tip1",
    "a:1000",
    "a b",
    "a\nb",
    "a\r\n|U age:5",
    'a"b',
    "a'b",
    "a\\b",
    "a\tb",
    "a\x00b",
    "\x1b[31m",
    "arm=tip1",
    "x=y?z",
    "017",
    "17",
    "",
    " ",
    "ü€𐍈",
    "\u202e",
    "A",
    "U^age",
    "{}",
    "x" * 1_000_000,
)


def test_the_same_features_give_the_same_scores_as_in_a_catalogue() -> None:
    features = {"percent": 15.0, "tone": "friendly"}
    actions = tuple(
        Action(id=n, kind="offer", group="g", value=v, features=features) for n, v in (("a", 2.0), ("b", 3.0))
    )
    catalogue = Catalogue(facts=world.CATALOGUE.facts, actions=actions)
    policy = Policy(
        features=world.POLICY.features,
        exploration=Exploration(kind="squarecb", floor=0.05),
        arbitration=Arbitration(use_value=True, levers={"g": 1.5}),
    )
    engine = Engine(catalogue, compile_rules(catalogue), policy, world.SALT, reward_unit="response")
    brought = engine.over(
        [InlineAction(id=n, group="g", value=v, features=features) for n, v in (("a", 2.0), ("b", 3.0))]
    )
    requests = world.requests(50)
    ours, theirs = engine.decide(requests, world.ExactModel()), brought.decide(requests, world.ExactModel())

    assert np.array_equal(theirs.expected_reward, ours.expected_reward[:, 1:])
    gain = theirs.expected_reward[:, 1] - theirs.expected_reward[:, 0]  # over the first action, the baseline
    assert theirs.priority[:, 0].tolist() == [0.0] * 50
    assert theirs.priority[:, 1] == pytest.approx(np.where(gain < 0, gain / 4.5, gain * 4.5))


def test_probabilities_are_those_of_the_exploration_over_all_of_them() -> None:
    engine = world.engine().over([InlineAction(id=f"x{i}", features={"n": float(i)}) for i in range(4)])
    got = engine.decide(world.requests(300), world.ExactModel())

    assert got.probability.shape == (300, 4)
    assert got.probability.sum(axis=1) == pytest.approx(np.ones(300))
    assert (got.probability >= 0.05 / 4 - 1e-12).all()
    assert got.support.all()


def test_no_rule_and_no_contact_concerns_them_but_an_unreadable_customer_gets_the_first() -> None:
    engine = world.engine().over([InlineAction(id="first"), InlineAction(id="fiber"), InlineAction(id="tip1")])
    got = engine.decide(world.requests(200, readable=0.5, seed=4), world.ExactModel())

    readable = got.requests.readable
    assert got.eligibility.mask[readable].all()
    assert got.eligibility.mask[~readable].tolist() == [[True, False, False]] * int((~readable).sum())
    assert set(np.array(got.kinds)[~readable]) == {"unreadable"}


def test_exclusions_rankings_and_slots_hold_for_them_too() -> None:
    engine = world.engine().over([InlineAction(id=n) for n in ("a", "b", "c", "d")])
    wanted = [
        Wanted(excluded=("b",)),
        ranking(9, excluded=("c",)),
        Wanted(kind="slots", slots=(Slot("1", ("d",)), Slot("2", ("a", "b", "c")), Slot("3"), Slot("4"), Slot("5"))),
    ] * 40
    got = engine.decide(replace(world.requests(120), wanted=wanted), world.ExactModel())

    for i in range(0, 120, 3):
        assert got.probability[i, 1] == 0.0
        assert sorted(got.slates[i + 1].chosen.tolist()) == [0, 1, 3]  # the baseline ranks as any other
        slots = got.slates[i + 2]
        assert slots.chosen[1] == 3
        assert sorted(slots.chosen.tolist()) == [-1, 0, 1, 2, 3]  # nothing stands twice, not even the baseline
        assert slots.chosen[4] == -1
        assert slots.conditionals[4] == 1.0


def test_the_fallback_is_the_first_action() -> None:
    engine = world.engine().over([InlineAction(id="a"), InlineAction(id="b")])
    requests = world.requests(20)

    for got in (engine.fall_back(requests, None), engine.fall_back(requests, engine.eligible(requests))):
        assert got.chosen.tolist() == [0] * 20
        assert got.propensity.tolist() == [1.0] * 20


def test_over_leaves_the_engine_as_it_was() -> None:
    engine = world.engine()
    before = engine.decide(world.requests(50), world.ExactModel())
    engine.over([InlineAction(id="a")]).decide(world.requests(50), world.ExactModel())

    assert np.array_equal(engine.decide(world.requests(50), world.ExactModel()).probability, before.probability)


@pytest.mark.parametrize(
    ("actions", "match"),
    [
        ([], "is no list of actions"),
        ([InlineAction(id="a"), InlineAction(id="a")], "stands twice"),
        ([InlineAction(id=str(i)) for i in range(1_001)], "is no list of actions"),
        ([InlineAction(id="a", features={f"f{i}": 1.0 for i in range(101)})], "are too many"),
        ([InlineAction(id="a", features={"arm": "b"})], "is given to every arm"),
        ([InlineAction(id="a", features={"a=b": 1.0})], "is not a feature name"),
        ([InlineAction(id="a", features={"a?": 1.0})], "is not a feature name"),
        ([InlineAction(id="a", features={"17": 1.0})], "is not a feature name"),
        ([InlineAction(id="a", features={"": 1.0})], "is not a feature name"),
        ([InlineAction(id="a", features={"a|U age": 1.0})], "is not a feature name"),
        ([InlineAction(id="a", features={"a\n": 1.0})], "is not a feature name"),
    ],
)
def test_what_cannot_be_decided_among_is_refused(actions: list[InlineAction], match: str) -> None:
    with pytest.raises(InputError, match=match):
        inline.checked(actions)


def test_json_comes_back_as_it_was_and_equal_actions_are_equal_bytes() -> None:
    actions = (InlineAction(id="a", features={"z": 0.1, "b": 'x"\n|'}), InlineAction(id="b", value=2.0, group="g"))
    same = (InlineAction(id="a", features={"b": 'x"\n|', "z": 0.1}), actions[1])

    assert inline.decoded(inline.encoded(actions)) == actions
    assert inline.encoded(actions) == inline.encoded(same)
    assert inline.encoded(actions) != inline.encoded(actions[::-1])


class TestHostileTexts:
    """Whatever a name or value holds, it is one feature of its own arm, in namespace A, and changes no other arm."""

    FEATURES = FeatureSettings(customer=("region",), bits=18)

    def test_a_name_is_the_name_of_one_arm_and_its_action(self) -> None:
        featuriser = world.engine().featuriser
        rows = featuriser.arms(inline.arms_of([InlineAction(id=text) for text in HOSTILE]))

        assert set(rows.namespaces) == {"A"}
        assert np.diff(rows.indptr).tolist() == [2] * len(HOSTILE)  # the arm itself and its group
        arms = [rows.terms[start] for start in rows.indptr[:-1].tolist()]
        assert len({int(rows.hashes[term]) for term in arms}) == len(HOSTILE)

    def test_a_value_is_one_feature_of_its_own(self) -> None:
        featuriser = world.engine().featuriser
        plain = featuriser.arms(inline.arms_of([InlineAction(id="a"), InlineAction(id="b", features={"n": 2.0})]))
        for text in HOSTILE:
            actions = [InlineAction(id="a", features={"topic": text}), InlineAction(id="b", features={"n": 2.0})]
            rows = featuriser.arms(inline.arms_of(actions))
            assert set(rows.namespaces) == {"A"}
            assert np.diff(rows.indptr).tolist() == [3, 3]
            assert _hashed(rows, 0)[:2] == _hashed(plain, 0)
            assert _hashed(rows, 1) == _hashed(plain, 1)

    def test_a_fact_is_one_feature_of_its_own_row(self) -> None:
        engine = world.engine(policy=Policy(features=self.FEATURES))
        for text in HOSTILE:
            requests = world.requests(2)
            facts = [{"region": text}, {"region": "n"}]
            requests = replace(requests, facts=type(requests.facts).from_rows(facts, world.CATALOGUE.facts))
            rows = engine.featuriser.contexts(requests.facts, requests.channels)
            assert np.diff(rows.indptr).tolist() == [2, 2]  # region and channel
            assert set(rows.namespaces) <= {"U", "R"}
            alone = engine.featuriser.contexts(requests.facts.take(1, 2), requests.take(1, 2).channels)
            assert _hashed(rows, 1) == _hashed(alone, 0)

    def test_the_others_are_decided_as_if_it_had_another_name(self) -> None:
        engine, requests = world.engine(), world.requests(30)
        plain = engine.over([InlineAction(id="a"), InlineAction(id="b"), InlineAction(id="c")])
        before = plain.decide(requests, world.ExactModel()).expected_reward
        for text in HOSTILE:
            hostile = engine.over([InlineAction(id="a"), InlineAction(id=text or "-"), InlineAction(id="c")])
            after = hostile.decide(requests, world.ExactModel()).expected_reward
            assert np.array_equal(after[:, [0, 2]], before[:, [0, 2]])


def _hashed(rows: FeatureRows, i: int) -> list[tuple[int, float]]:
    part = slice(int(rows.indptr[i]), int(rows.indptr[i + 1]))
    terms = rows.terms[part]
    return list(zip(rows.hashes[terms].tolist(), rows.values[part].tolist(), strict=True))
