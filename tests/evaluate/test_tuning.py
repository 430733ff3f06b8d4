"""Tuning: hand-checked scores, and choices that the data force."""

from math import inf, log, sqrt

import numpy as np
import pytest
from scipy import stats

from bandit_nba.errors import InputError
from bandit_nba.evaluate.tuning import TUNABLE, tune

W = np.array([4.0, 0.0, 1.0, 1.0])
R = np.array([1.0, 1.0, 0.0, 1.0])


def test_estimated_mse_by_hand():
    # clip 2: w' r = 2, 0, 0, 1: variance (4 + 1)/4 - (3/4)^2 = .6875 over n; bias = (4 - 2)/4 = .5
    direct = tune(W, R, estimator="ips", candidates=[2.0], bias="direct")
    bound = tune(W, R, estimator="ips", candidates=[2.0], bias="bound", delta=0.1)

    level = log(20)
    high = 0.5 + sqrt(2 * 4.5 * level / 4) + 2 * 4 * level / 12
    assert direct.scores == (pytest.approx(0.6875 / 4 + 0.25, abs=1e-12),)
    assert bound.scores == (pytest.approx(0.6875 / 4 + high**2, abs=1e-12),)


def test_no_clipping_where_weights_are_light_and_clipping_where_they_are_heavy():
    rng = np.random.default_rng(0)
    light = rng.choice([0.8, 1.2], 5000)
    heavy = np.where(np.arange(5000) < 100, 50.0, 0.5)
    rewards = np.tile([0.0, 1.0], 2500)  # residuals of +-.5 that cancel: clipping costs no bias
    candidates = [0.6, 1.2, inf]

    assert tune(light, rewards, estimator="ips", candidates=candidates, bias="direct").value >= 1.2
    q = {"q_logged": np.full(5000, 0.5), "q_policy": np.full(5000, 0.5)}
    assert tune(heavy, rewards, **q, estimator="dr", candidates=candidates, bias="direct").value == 0.6


def test_slope_by_hand():
    # values and half widths from the formulas; the walk from the widest must stop exactly where the condition fails,
    # among so many candidates that another constant stops elsewhere
    rng = np.random.default_rng(3)
    weights = np.where(rng.random(4000) < 0.05, 12.0, 0.4)
    rewards = (rng.random(4000) < 0.5).astype(float)
    candidates = tuple(np.linspace(0.2, 12.0, 200).tolist())
    terms = [np.minimum(weights, c) * rewards for c in candidates]
    values = [t.mean() for t in terms]
    widths = [stats.t(3999).ppf(0.9) * t.std(ddof=1) / sqrt(4000) for t in terms]

    expected = len(candidates) - 1  # the widest is the last
    for i in range(len(candidates) - 2, -1, -1):
        later = range(i + 1, len(candidates))
        if any(abs(values[j] - values[i]) > widths[i] + (sqrt(6) - 1) * widths[j] for j in later):
            break
        expected = i

    found = tune(weights, rewards, estimator="ips", candidates=candidates, method="slope")

    assert 0 < expected < len(candidates) - 1
    assert found.value == candidates[expected]
    assert found.scores == pytest.approx(widths)


def test_slope_goes_on_while_intervals_agree():
    # the same value at every clipping: the narrowest is taken; a clipping that moves the value stops before it
    rng = np.random.default_rng(1)
    weights = rng.choice([0.5, 1.5], 4000)
    noise = rng.random(4000)

    agreeing = tune(weights, np.zeros(4000) + noise * 1e-9, estimator="ips", candidates=[0.5, 1.0, 2.0], method="slope")
    moving = tune(weights, np.ones(4000), estimator="ips", candidates=[0.1, 2.0], method="slope")

    assert agreeing.value in (0.5, 1.0, 2.0)
    assert moving.value == 2.0


@pytest.mark.parametrize("estimator", TUNABLE)
@pytest.mark.parametrize("method", ["mse", "slope"])
def test_default_grids_work(estimator, method):
    rng = np.random.default_rng(2)
    q = {"q_logged": rng.random(500), "q_policy": rng.random(500)}

    found = tune(rng.exponential(size=500), rng.random(500), **q, estimator=estimator, method=method)

    assert found.value in found.candidates
    assert len(found.scores) == len(found.candidates) >= 5
    assert np.isfinite(found.scores).all()


def test_customers_count_as_one():
    # the same decision four times by one customer: the variance is that of a quarter of the data
    grouped = tune(
        np.repeat(W, 4),
        np.repeat(R, 4),
        estimator="ips",
        candidates=[2.0],
        bias="direct",
        groups=np.repeat(np.arange(4), 4),
    )

    assert grouped.scores == (pytest.approx(0.6875 / 4 + 0.25, abs=1e-12),)


@pytest.mark.parametrize(
    "options",
    [{"estimator": "snips"}, {"method": "grid"}, {"delta": 0.0}, {"candidates": []}, {"candidates": [-1.0]}],
)
def test_wrong_options_are_refused(options):
    with pytest.raises(InputError):
        tune(W, R, **{"estimator": "ips", **options})
