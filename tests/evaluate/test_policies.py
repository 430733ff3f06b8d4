"""Replayed policies: distributions on the logged eligible sets, and no judgement on what was learned from."""

import numpy as np
import pytest

from bandit_nba.catalogue import Action, Catalogue
from bandit_nba.decide.policy import Exploration, FeatureSettings, Policy
from bandit_nba.errors import RefusedError
from bandit_nba.evaluate.policies import Fixed, Learned, LoggingPolicy, Uniform, refuse_seen
from tests.evaluate.logs import ARMS, SCHEMA, sampled

CATALOGUE = Catalogue(
    facts=SCHEMA,
    actions=tuple(Action(id=name, kind="offer", group="g") for name in ARMS[1:]),
)


class ByAge:
    """Expects .9 of arm a for the young and of arm b for the old, by the segment's term."""

    version = "by-age"
    examples_learned = 100

    def score(self, contexts, arms):
        del arms
        young = {i for i, name in enumerate(contexts.names) if "young" in name}
        is_young = [
            bool(young & set(contexts.terms[a:b]))
            for a, b in zip(contexts.indptr[:-1], contexts.indptr[1:], strict=True)
        ]
        return np.array([(0.1, 0.9, 0.2) if y else (0.1, 0.2, 0.9) for y in is_young])


def learned(**options):
    policy = Policy(features=FeatureSettings(customer=("segment",), channel=False))
    return Learned(ByAge(), CATALOGUE.arms, policy, learned_until=-1.0, **options)


@pytest.mark.parametrize(
    "policy", [LoggingPolicy(), Uniform(), Fixed("a"), Fixed("b"), learned()], ids=lambda p: p.name
)
def test_every_row_is_a_distribution(policy):
    log = sampled(300, seed=2)

    total = np.add.reduceat(policy.replay(log), log.indptr[:-1])

    np.testing.assert_allclose(total, 1.0, atol=1e-12)


def test_a_fixed_arm_gives_way_to_no_action_where_it_is_not_eligible():
    log = sampled(300, seed=3)
    probability = Fixed("b").replay(log)

    chosen = [log.arms[a] for a in log.arm[probability == 1.0]]

    assert chosen == ["b" if i % 10 else "no_action" for i in range(300)]


def test_the_learned_policy_is_greedy_on_the_logged_eligible_set():
    log = sampled(300, seed=4)
    segment = log.facts.columns["segment"]

    chosen = [log.arms[a] for a in log.arm[learned().replay(log) == 1.0]]

    young = [segment.values[c] == "young" for c in segment.codes]
    assert chosen == ["a" if y or i % 10 == 0 else "b" for i, y in enumerate(young)]


def test_the_learned_policy_explores_as_it_is_told():
    log = sampled(50, seed=5)

    probability = learned(exploration=Exploration(kind="epsilon_greedy", epsilon=0.3, floor=0.0)).replay(log)

    width = np.diff(log.indptr)
    expected = np.sort(np.unique(np.round([0.3 / k for k in width] + [1 - 0.3 + 0.3 / k for k in width], 12)))
    np.testing.assert_allclose(np.unique(np.round(probability, 12)), expected)


def test_judging_a_model_on_what_it_learned_from_is_refused():
    log = sampled(100, seed=6)
    policy = Fixed("a", chosen_until=40.0)

    with pytest.raises(RefusedError, match="may have learned from") as caught:
        refuse_seen(policy, log)

    assert "41 of 100" in str(caught.value.got)
    refuse_seen(policy, log.between(40.0))


class Ensemble(ByAge):
    """Three members for arms no_action, a, b: two favour a, one favours b, everywhere."""

    def score_members(self, contexts, arms):
        del arms
        return np.array([[[0.1, 0.9, 0.2]], [[0.1, 0.5, 0.4]], [[0.1, 0.2, 0.9]]]).repeat(len(contexts), axis=1)


def test_thompson_sampling_is_replayed_with_the_votes_of_the_ensemble():
    log = sampled(200, seed=7)
    policy = Policy(features=FeatureSettings(customer=("segment",), channel=False))
    exploration = Exploration(kind="thompson", members=3, floor=0.3)
    thompson = Learned(Ensemble(), CATALOGUE.arms, policy, learned_until=-1.0, exploration=exploration)

    probability = thompson.replay(log)

    names = np.array(log.arms)[log.arm]
    full = np.diff(log.indptr)[log.row] == 3
    # .7 of two and one thirds, plus .1 each; where b is not eligible the third member takes a as well
    assert np.allclose(probability[full & (names == "a")], 0.7 * 2 / 3 + 0.1)
    assert np.allclose(probability[full & (names == "b")], 0.7 / 3 + 0.1)
    assert np.allclose(probability[full & (names == "no_action")], 0.1)
    assert np.allclose(probability[~full & (names == "a")], 0.7 + 0.15)


def test_mandatory_actions_come_first_in_every_replay():
    """b is mandatory; it is eligible in nine rows of ten."""
    log = sampled(300, seed=8)
    actions = tuple(Action(id=name, kind="offer", group="g", mandatory=name == "b") for name in ARMS[1:])
    arms = Catalogue(facts=SCHEMA, actions=actions).arms
    policy = Policy(features=FeatureSettings(customer=("segment",), channel=False))
    has_b = np.arange(300) % 10 != 0
    names = np.array(log.arms)[log.arm]

    for judged in (Uniform(arms), Fixed("a", arms=arms), Learned(ByAge(), arms, policy, learned_until=-1.0)):
        probability = judged.replay(log)
        assert np.allclose(probability[(names == "b")], 1.0), judged.name
        assert np.allclose(probability[has_b[log.row] & (names != "b")], 0.0), judged.name
        np.testing.assert_allclose(np.add.reduceat(probability, log.indptr[:-1]), 1.0, atol=1e-12)
    uniform = Uniform(arms).replay(log)
    assert np.allclose(uniform[~has_b[log.row]], 0.5)
