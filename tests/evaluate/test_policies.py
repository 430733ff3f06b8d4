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
