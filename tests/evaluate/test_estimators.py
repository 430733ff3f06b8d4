"""Every estimator: constants, limits, exactness by full enumeration, and contributions."""

import itertools
import math

import numpy as np
import pytest

from bandit_nba.errors import InputError, RefusedError
from bandit_nba.evaluate import estimate
from bandit_nba.evaluate.contributions import contributions, gradient, point_value
from bandit_nba.evaluate.estimators import ESTIMATORS, build
from bandit_nba.evaluate.sample import checked_sample

OPTIONS = {"dros": {"shrinkage": 2.0}, "subgaussian": {"shrinkage": 0.3}}


def random_log(seed, n=400):
    rng = np.random.default_rng(seed)
    weights = rng.choice([0.5, 1.5], n) * rng.choice([0.2, 1.8], n)
    rewards = (rng.random(n) < 0.3).astype(float)
    q_logged, q_policy = rng.random(n), rng.random(n)
    return weights, rewards, {"q_logged": q_logged, "q_policy": q_policy, "policy_match": weights > 1}


@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_constant_reward_gives_the_constant(name):
    # pi = the logging policy: w = 1, and any model that knows the constant
    n, c = 300, 0.37
    options = {"q_logged": np.full(n, c), "q_policy": np.full(n, c), "policy_match": np.ones(n, bool)}

    actual = estimate(np.ones(n), np.full(n, c), estimator=name, **options, **OPTIONS.get(name, {}))

    assert actual.value == pytest.approx(c, abs=1e-12)
    assert actual.low == pytest.approx(c, abs=1e-9)
    assert actual.high == pytest.approx(c, abs=1e-9)


@pytest.mark.parametrize("name", ["snips", "sndr", "el", "cressie_read", "dr", "switch_dr", "dros"])
def test_a_constant_reward_is_kept_under_any_weights(name):
    # quotients and corrected models need no weights of 1 (IPS does: that is what self-normalising is for)
    weights, _, _ = random_log(3)
    c = np.full(len(weights), 0.37)

    actual = estimate(weights, c, q_logged=c, q_policy=c, estimator=name, **OPTIONS.get(name, {}))

    assert actual.value == pytest.approx(0.37, abs=1e-12)


# Two contexts, three arms, rewards 0/1: every log of two decisions with its exact probability.
CONTEXT = np.array([0.3, 0.7])
LOGGING = np.array([[0.2, 0.5, 0.3], [0.6, 0.1, 0.3]])
POLICY = np.array([[0.7, 0.1, 0.2], [0.0, 0.4, 0.6]])
SUCCESS = np.array([[0.1, 0.6, 0.9], [0.5, 0.2, 0.7]])
TRUTH = float((CONTEXT[:, None] * POLICY * SUCCESS).sum())
WRONG_MODEL = np.array([[0.9, 0.1, 0.4], [0.3, 0.3, 0.3]])


def every_log(n):
    cells = list(itertools.product(range(2), range(3), range(2)))
    for log in itertools.product(cells, repeat=n):
        x, a, r = (np.array(column) for column in zip(*log, strict=True))
        chance = CONTEXT[x] * LOGGING[x, a] * np.where(r == 1, SUCCESS[x, a], 1 - SUCCESS[x, a])
        yield float(chance.prod()), x, a, r.astype(float)


def expectation(value):
    total = sum(chance for chance, *_ in every_log(2))
    assert total == pytest.approx(1.0, abs=1e-12)
    return sum(chance * value(x, a, r) for chance, x, a, r in every_log(2))


@pytest.mark.parametrize("name", ["ips", "dr", "switch_dr", "dros"])
def test_unbiased_by_full_enumeration(name):
    # any model, however wrong; dros and switch_dr without their bias (l = inf)
    options = {"shrinkage": math.inf} if name == "dros" else {}

    def value(x, a, r):
        sample = checked_sample(
            POLICY[x, a] / LOGGING[x, a],
            r,
            q_logged=WRONG_MODEL[x, a],
            q_policy=(POLICY * WRONG_MODEL).sum(axis=1)[x],
        )
        return point_value(build(name, sample, **options), sample)

    assert expectation(value) == pytest.approx(TRUTH, abs=1e-12)


def test_clipping_biases_down_by_exactly_what_it_cuts():
    clipped = float((CONTEXT[:, None] * LOGGING * np.minimum(POLICY / LOGGING, 2.0) * SUCCESS).sum())

    def value(x, a, r):
        sample = checked_sample(POLICY[x, a] / LOGGING[x, a], r)
        return point_value(build("ips", sample, clip=2.0), sample)

    assert clipped < TRUTH - 0.03
    assert expectation(value) == pytest.approx(clipped, abs=1e-12)


def test_sndr_by_hand():
    # q(x,pi) .2 on average; residuals .5, -.5, .5 under weights 2, 1, 1: (1 - .5 + .5) / 4
    actual = estimate([2.0, 1.0, 1.0], [1.0, 0.0, 1.0], q_logged=[0.5] * 3, q_policy=[0.1, 0.2, 0.3], estimator="sndr")

    assert actual.value == pytest.approx(0.2 + 1.0 / 4, abs=1e-12)


def test_switch_dr_trusts_weights_up_to_the_clipping():
    # weights 2 and 3 at l = 2: the first is corrected by 2 * .5, the second is not
    actual = estimate([2.0, 3.0], [1.0, 1.0], q_logged=[0.5] * 2, q_policy=[0.1] * 2, estimator="switch_dr", clip=2.0)

    assert actual.value == pytest.approx(0.1 + 1.0 / 2, abs=1e-12)


def test_replay_is_the_mean_over_matches():
    actual = estimate(
        [9.0, 9.0, 9.0, 9.0], [1.0, 0.0, 1.0, 1.0], policy_match=[True, True, False, True], estimator="replay"
    )

    assert actual.value == pytest.approx(2 / 3, abs=1e-12)
    assert actual.n == 3
    assert actual.ess == 3


def test_replay_without_any_match_is_refused():
    with pytest.raises((RefusedError, InputError)):
        estimate([1.0, 1.0], [1.0, 0.0], policy_match=[False, False], estimator="replay")


def test_limits_of_the_shrunk_estimators():
    weights, rewards, q = random_log(5)
    q.pop("policy_match")
    dm = estimate(weights, rewards, **q, estimator="dm").value
    dr = estimate(weights, rewards, **q, estimator="dr").value
    ips = estimate(weights, rewards, estimator="ips").value

    def value(name, **options):
        return estimate(weights, rewards, **q, estimator=name, **options).value

    assert value("dros", shrinkage=0.0) == pytest.approx(dm, abs=1e-12)
    assert value("dros", shrinkage=math.inf) == pytest.approx(dr, abs=1e-12)
    assert value("dros", shrinkage=1e12) == pytest.approx(dr, abs=1e-9)
    assert value("switch_dr") == pytest.approx(dr, abs=1e-12)
    assert value("switch_dr", clip=0.01) == pytest.approx(dm, abs=1e-12)
    assert value("subgaussian", shrinkage=0.0) == pytest.approx(dr, abs=1e-12)
    assert estimate(weights, rewards, estimator="subgaussian", shrinkage=0.0).value == pytest.approx(ips, abs=1e-12)
    # l = 1 weighs every decision 1, also for the weights below 1
    assert estimate(weights, rewards, estimator="subgaussian", shrinkage=1.0).value == pytest.approx(rewards.mean())


def test_shrunk_weights_by_hand():
    # dros: 4 * 2 / (4 + 4) = 1; sub-Gaussian: 2 / (.5 + .5 * 2) = 4/3
    dros = estimate([2.0, 2.0], [1.0, 0.0], q_logged=[0, 0], q_policy=[0, 0], estimator="dros", shrinkage=4.0)
    subgaussian = estimate([2.0, 2.0], [1.0, 0.0], estimator="subgaussian", shrinkage=0.5)

    assert dros.value == pytest.approx(0.5, abs=1e-12)
    assert subgaussian.value == pytest.approx(2 / 3, abs=1e-12)


@pytest.mark.parametrize("name", ["dros", "subgaussian"])
def test_open_shrinkage_is_tuned_and_told(name):
    weights, rewards, q = random_log(6)

    actual = estimate(weights, rewards, q_logged=q["q_logged"], q_policy=q["q_policy"], estimator=name)

    assert any("chosen by estimated mean squared error" in text for text in actual.warnings)


@pytest.mark.parametrize("bad", [-0.1, math.nan])
@pytest.mark.parametrize("name", ["dros", "subgaussian"])
def test_shrinkage_out_of_range_is_refused(name, bad):
    with pytest.raises(InputError, match="shrinkage"):
        estimate([1.0, 1.0], [1.0, 0.0], q_logged=[0, 0], q_policy=[0, 0], estimator=name, shrinkage=bad)


def test_cressie_read_of_one_example():
    # published with vw-estimators: p = .3, r = 1, pi = .6
    sample = checked_sample([0.6 / 0.3], [1.0])

    assert point_value(build("cressie_read", sample), sample) == 1.0


def test_cressie_read_by_hand():
    # w = 2, 0, 2; r = 1, 0, 0; possible weights 0..2: sum w = 4 > 3, so the imaginary weight is 0
    # a = 4/4 = 1: no correction is left, g = -1 and b = 0: V = (sum w r) / 4 = 1/2, no missing mass
    sample = checked_sample([2.0, 0.0, 2.0], [1.0, 0.0, 0.0], weight_range=(0.0, 2.0))

    assert point_value(build("cressie_read", sample), sample) == pytest.approx(0.5, abs=1e-12)


def test_empirical_likelihood_by_hand():
    # w = 2, 2, 0 in equal numbers of 2 and half of 0: the likeliest Q gives both values mass 1/2,
    # so the two decisions with w = 2 get 1/4 each: V = 1/4 * 2 * 1
    sample = checked_sample([2.0, 2.0, 0.0], [1.0, 0.0, 1.0], weight_range=(0.0, 2.0))

    assert point_value(build("el", sample), sample) == pytest.approx(0.5, abs=1e-9)


def test_empirical_likelihood_tilts_up_where_the_seen_weights_are_too_small():
    # w = .5, .5, 1.5: the tilt is -2/3, Q = 1/4, 1/4, 1/2 (mean weight 1): V = .25 * .5 + .5 * 1.5
    sample = checked_sample([0.5, 0.5, 1.5], [1.0, 0.0, 1.0], weight_range=(0.0, 2.0))

    assert point_value(build("el", sample), sample) == pytest.approx(0.875, abs=1e-9)


def test_empirical_likelihood_uses_the_possible_weights():
    # every weight seen is below 1: the missing mass sits at weights not seen, and gets the mean reward
    w, r = np.full(50, 0.5), np.r_[np.ones(10), np.zeros(40)]

    infinite = estimate(w, r, estimator="el").value
    finite = estimate(w, r, estimator="el", weight_range=(0.0, 10.0)).value

    # infinite: tilt 0, sum Q w = 1/2, so V = .5 * .2 + .5 * .2
    assert infinite == pytest.approx(0.2, abs=1e-12)
    assert finite == pytest.approx(0.2, abs=1e-12)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_contributions_average_to_the_estimate(name):
    weights, rewards, q = random_log(7)
    sample = checked_sample(weights, rewards, **q, weight_range=(0.0, 4.0))
    estimator = build(name, sample, **OPTIONS.get(name, {}))

    assert contributions(estimator, sample).mean() == pytest.approx(point_value(estimator, sample), abs=1e-12)


def test_contributions_of_an_average_are_its_terms():
    weights, rewards, _ = random_log(8)
    sample = checked_sample(weights, rewards)

    np.testing.assert_allclose(contributions(build("ips", sample), sample), weights * rewards, atol=1e-12)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_influence_is_what_one_more_decision_would_change(name):
    # independent of the complex step: re-estimate with one decision counted (1 + h) times
    weights, rewards, q = random_log(9, n=60)
    sample = checked_sample(weights, rewards, **q, weight_range=(0.0, 4.0))
    estimator = build(name, sample, **OPTIONS.get(name, {}))
    moments = estimator.moments(sample)
    sums, h = moments.sum(axis=1), 1e-6

    up = np.array([float(estimator.value(sums + h * moments[:, i])) for i in range(60)])
    down = np.array([float(estimator.value(sums - h * moments[:, i])) for i in range(60)])

    np.testing.assert_allclose(gradient(estimator, sums) @ moments, (up - down) / (2 * h), atol=1e-8)


def test_unknown_names_are_refused():
    with pytest.raises(InputError, match="no such estimator"):
        build("mrdr", checked_sample([1.0], [1.0]))


def test_decisions_in_any_order_give_the_same_value():
    weights, rewards, q = random_log(10)
    order = np.random.default_rng(0).permutation(len(weights))
    shuffled = {key: column[order] for key, column in q.items()}

    for name in ESTIMATORS:
        options = OPTIONS.get(name, {})
        straight = estimate(weights, rewards, **q, estimator=name, **options).value
        mixed = estimate(weights[order], rewards[order], **shuffled, estimator=name, **options).value
        assert mixed == pytest.approx(straight, abs=1e-12), name
