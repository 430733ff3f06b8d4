"""The public function: hand-checked numbers, validation, and what is refused."""

import math

import numpy as np
import pytest

from bandit_nba.errors import InputError, RefusedError
from bandit_nba.evaluate import Estimate, estimate

W = [2.0, 0.5, 0.0, 1.5]
R = [1.0, 0.0, 1.0, 1.0]


def test_ips_by_hand():
    # w r = 2, 0, 0, 1.5: mean .875; squared deviations 1.265625 + .765625 * 2 + .390625 = 3.1875; se^2 = 3.1875 / 3 / 4
    actual = estimate(W, R, estimator="ips")

    half = 1.959963984540054 * math.sqrt(3.1875 / 12)
    assert actual.value == 0.875
    assert actual.low == pytest.approx(0.875 - half, abs=1e-12)
    assert actual.high == pytest.approx(0.875 + half, abs=1e-12)
    assert actual.n == 4
    assert actual.ess == pytest.approx(16 / 6.5, abs=1e-12)


def test_snips_by_hand():
    # V = 3.5 / 4; se^2 = sum w^2 (r - V)^2 / (sum w)^2 = (4 + 2.25) / 64 + .25 * 49 / 64, all over 16
    actual = estimate(W, R, estimator="snips")

    half = 1.959963984540054 * math.sqrt((6.25 / 64 + 0.25 * 49 / 64) / 16)
    assert actual.value == 0.875
    assert actual.high - actual.low == pytest.approx(2 * half, abs=1e-12)


def test_dr_by_hand():
    # contributions: .5 + 2 * .6 = 1.7; .5 - .5 * .4 = .3; .5 + 0 = .5; .5 + 1.5 * .6 = 1.4
    actual = estimate(W, R, estimator="dr", q_logged=[0.4] * 4, q_policy=[0.5] * 4)

    assert actual.value == pytest.approx(3.9 / 4, abs=1e-12)


def test_snips_is_the_default():
    assert estimate(W, R) == estimate(W, R, estimator="snips", interval="gaussian", alpha=0.05)


@pytest.mark.parametrize("column", ["weights", "rewards", "q_logged", "q_policy"])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_not_finite_is_named_by_its_row(column, bad):
    columns = {"weights": list(W), "rewards": list(R), "q_logged": [0.4] * 4, "q_policy": [0.5] * 4}
    columns[column][2] = bad

    with pytest.raises(InputError, match=rf"{column}\[2\].*not finite"):
        estimate(columns.pop("weights"), columns.pop("rewards"), estimator="dr", **columns)


def test_a_negative_weight_is_named_by_its_row():
    with pytest.raises(InputError, match=r"weights\[1\].*negative"):
        estimate([1.0, -0.1], [0.0, 1.0])


def test_a_weight_outside_of_the_possible_range_is_refused():
    with pytest.raises(InputError, match=r"weights\[0\].*outside weight_range"):
        estimate(W, R, weight_range=(0.0, 1.9))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"estimator": "ipw"}, "no such estimator"),
        ({"interval": "normal"}, "no such interval"),
        ({"alpha": 0.0}, "alpha"),
        ({"alpha": math.nan}, "alpha"),
        ({"clip": 0.0}, "clip"),
        ({"clip": math.nan}, "clip"),
        ({"shrinkage": 1.0}, "does not shrink"),
        ({"weight_range": (0.0, 0.5)}, "weight_range"),
        ({"weight_range": (1.5, 3.0)}, "weight_range"),
        ({"reward_range": (1.0, 1.0)}, "reward range is empty"),
        ({"groups": [1, 2, 3]}, "groups"),
        ({"groups": ["a", None, "b", "c"]}, r"groups\[1\]"),
        ({"estimator": "dr"}, "dr needs q_policy"),
        ({"estimator": "dm"}, "dm needs q_policy"),
        ({"estimator": "replay"}, "replay needs policy_match"),
        ({"estimator": "replay", "policy_match": [0, 1, 2, 0]}, r"policy_match\[2\]"),
        ({"estimator": "dm", "q_policy": [0.5] * 4, "clip": 2.0}, "dm does not clip"),
    ],
)
def test_wrong_options_are_refused_by_name(options, message):
    with pytest.raises(InputError, match=message):
        estimate(W, R, **options)


def test_vectors_of_another_length_and_shape_are_refused():
    with pytest.raises(InputError, match="rewards: the vector has another length"):
        estimate(W, R[:3])
    with pytest.raises(InputError, match="not a flat vector"):
        estimate([W], R)
    with pytest.raises(InputError, match="no decision to judge"):
        estimate([], [])
    with pytest.raises(InputError, match="not numbers"):
        estimate(["a"], [1.0])


def test_no_weight_at_all_is_refused_for_a_quotient_and_zero_for_an_average():
    with pytest.raises(RefusedError, match="snips has no finite value"):
        estimate([0.0, 0.0], [1.0, 0.0], estimator="snips")

    assert estimate([0.0, 0.0], [1.0, 0.0], estimator="ips").value == 0.0


def test_numbers_that_overflow_are_refused():
    with pytest.raises(RefusedError):
        estimate([1e200, 1.0], [1e200, 1.0], estimator="ips")


def test_ends_that_contradict_each_other_are_refused():
    # the mean of w r is far above any possible reward: no propensities give such weights
    with pytest.raises(RefusedError, match="no value of the policy explains both ends"):
        estimate(np.full(500, 40.0), np.tile([0.0, 1.0], 250), estimator="ips", interval="confidence_sequence")


def test_one_decision_has_no_interval():
    with pytest.raises(RefusedError, match="at least two"):
        estimate([1.0], [1.0])


def test_warnings_tell_small_samples_wrong_propensities_and_clipping():
    rng = np.random.default_rng(0)
    weights = rng.exponential(size=500)
    rewards = (rng.random(500) < 0.5).astype(float)

    few = estimate(weights[:50], rewards[:50]).warnings
    wrong = estimate(2 * weights, rewards).warnings
    clipped = estimate(weights, rewards, estimator="ips", clip=2.0).warnings

    assert any("worth only" in text for text in few)
    assert any("mean weight is" in text for text in wrong)
    assert any("exceed the clipping at 2" in text for text in clipped)
    assert estimate(weights, rewards).warnings == ()


def test_mean_weight_by_hand():
    # weights 3 and 1 in equal numbers: mean 2, sd 1, error 1/20: z = 20; by customers of four: twice the error
    weights, rewards = np.tile([3.0, 1.0], 200), np.full(400, 0.5)
    customers = np.repeat(np.arange(100), 4)
    alike = np.repeat(np.tile([3.0, 1.0], 50), 4)

    assert any("mean weight is 2 and should be 1 (z = 20.0)" in text for text in estimate(weights, rewards).warnings)
    grouped = estimate(alike, rewards, groups=customers).warnings
    assert any("(z = 10.0)" in text for text in grouped)
    assert any("z = inf" in text for text in estimate(np.full(400, 1.001), rewards).warnings)


def test_no_width_is_told():
    actual = estimate(np.ones(300), np.zeros(300))

    assert (actual.low, actual.high) == (0.0, 0.0)
    assert any("no width" in text for text in actual.warnings)


def test_repeated_customers_widen_the_interval_as_if_each_were_one_decision():
    # every customer decided ten times with the same result: the information of 200 decisions, not of 2,000
    rng = np.random.default_rng(1)
    weights, rewards = rng.exponential(size=200), rng.random(200)
    once = estimate(weights, rewards)
    repeated = np.repeat(weights, 10), np.repeat(rewards, 10)

    naive = estimate(*repeated)
    robust = estimate(*repeated, groups=np.repeat(np.arange(200), 10))

    assert robust.half_width == pytest.approx(once.half_width, rel=1e-9)
    assert naive.half_width == pytest.approx(once.half_width / math.sqrt(10), rel=1e-9)


def test_customers_may_have_any_key():
    keys = np.array(["ann", "bob", "ann", "cy"])

    assert estimate(W, R, groups=keys) == estimate(W, R, groups=[7, 3, 7, 1])


def test_the_estimate_is_frozen():
    actual = estimate(W, R)

    assert isinstance(actual, Estimate)
    with pytest.raises(AttributeError):
        actual.value = 1.0  # type: ignore[misc]


@pytest.mark.parametrize("name", ["weights", "rewards"])
@pytest.mark.parametrize("wrong", [np.array(R) + 1j, np.ma.masked_greater(R, 0.5)], ids=["complex", "masked"])
def test_what_numpy_would_quietly_make_real_or_unmask_is_refused(name, wrong):
    with pytest.raises(InputError, match=name):
        estimate(**({"weights": W, "rewards": R} | {name: wrong}))


@pytest.mark.parametrize(
    ("changed", "how"),
    [
        ({"weights": [0.0] * 4}, {"estimator": "ips", "interval": "clopper_pearson"}),
        ({"weights": [1e200] * 3 + [2e200]}, {"interval": "cressie_read"}),
        ({"weight_range": (0.0, 1e308)}, {"interval": "el"}),
        ({"rewards": [1e308, 0.0, 0.0, 0.0]}, {"estimator": "dros", "q_logged": R, "q_policy": R}),
    ],
)
def test_numbers_that_cannot_be_computed_with_are_refused_by_name(changed, how):
    with pytest.raises(RefusedError):
        estimate(**({"weights": W, "rewards": R} | changed), **how)
