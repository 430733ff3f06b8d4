"""Shards merge into exactly what one pass over the whole log gives."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bandit_nba.errors import InputError
from bandit_nba.evaluate import accumulate, estimate
from bandit_nba.evaluate.accumulator import MomentSums
from bandit_nba.evaluate.estimators import ESTIMATORS

OPTIONS = {"dros": {"shrinkage": 2.0}, "subgaussian": {"shrinkage": 0.3}}


def shard(columns, rows):
    return {key: column[rows] for key, column in columns.items()}


@settings(max_examples=25, deadline=None)
@given(
    name=st.sampled_from(ESTIMATORS),
    seed=st.integers(0, 2**32 - 1),
    cuts=st.lists(st.integers(1, 59), min_size=1, max_size=4, unique=True),
)
def test_merged_shards_equal_one_pass(name, seed, cuts):
    rng = np.random.default_rng(seed)
    n = 60
    match = rng.random(n) < 0.5
    match[[0, *cuts]] = True  # replay needs a match in every shard
    columns = {
        "weights": rng.choice([0.1, 0.6, 1.4, 2.9], n),
        "rewards": rng.random(n),
        "q_logged": rng.random(n),
        "q_policy": rng.random(n),
        "policy_match": match,
    }
    options = {"estimator": name, "weight_range": (0.0, 3.0), **OPTIONS.get(name, {})}
    whole = accumulate(**columns, **options)
    parts = [accumulate(**shard(columns, rows), **options) for rows in np.split(np.arange(n), sorted(cuts))]

    merged = parts[0]
    for part in parts[1:]:
        merged = merged.merge(part)
    turned = parts[-1]
    for part in parts[-2::-1]:
        turned = turned.merge(part)

    assert merged.value() == pytest.approx(whole.value(), abs=1e-10)
    assert turned.value() == pytest.approx(whole.value(), abs=1e-10)
    assert whole.value() == pytest.approx(estimate(**columns, **options).value, abs=1e-10)
    if isinstance(merged, MomentSums) and isinstance(whole, MomentSums):
        assert merged.standard_error() == pytest.approx(whole.standard_error(), rel=1e-9)


@pytest.mark.parametrize("name", ["ips", "snips", "dr", "sndr", "cressie_read"])
def test_standard_error_is_that_of_the_gaussian_interval(name):
    rng = np.random.default_rng(4)
    groups = rng.integers(0, 50, 300)
    columns = {
        "weights": rng.exponential(size=300),
        "rewards": rng.random(300) + 100,  # far from 0: a scatter of raw sums would lose its digits
        "q_logged": rng.random(300) + 100,
        "q_policy": rng.random(300) + 100,
        "groups": groups,
    }
    halves = [shard(columns, np.flatnonzero(groups % 2 == side)) for side in (0, 1)]

    merged = accumulate(**halves[0], estimator=name).merge(accumulate(**halves[1], estimator=name))
    expected = estimate(**columns, estimator=name).half_width / 1.959963984540054

    assert isinstance(merged, MomentSums)
    assert merged.standard_error() == pytest.approx(expected, rel=1e-6)


def test_shards_of_different_estimators_are_refused():
    ips = accumulate([1.0, 1.0], [1.0, 0.0], estimator="ips")
    clipped = accumulate([1.0, 1.0], [1.0, 0.0], estimator="ips", clip=3.0)
    narrow = accumulate([1.0, 1.0], [1.0, 0.0], estimator="el", weight_range=(0.0, 3.0))
    wide = accumulate([1.0, 1.0], [1.0, 0.0], estimator="el")

    with pytest.raises(InputError, match="different estimators"):
        ips.merge(clipped)
    with pytest.raises(InputError, match="different ranges"):
        narrow.merge(wide)


def test_a_shard_cannot_tune():
    with pytest.raises(InputError, match="shrinkage"):
        accumulate([1.0], [1.0], q_logged=[0.0], q_policy=[0.0], estimator="dros")
