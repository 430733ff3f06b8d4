"""Whatever the log: a finite estimate with ordered ends, or a refusal that names its reason; and the examples run."""

import doctest
import importlib
from math import inf, isfinite

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bandit_nba.errors import NbaError
from bandit_nba.evaluate import estimate
from bandit_nba.evaluate.estimators import ESTIMATORS
from bandit_nba.evaluate.intervals import INTERVALS

weight = st.one_of(st.sampled_from([0.0, 1.0, 1e-12, 1e6]), st.floats(0, 50, allow_subnormal=False))
reward = st.one_of(st.sampled_from([0.0, 1.0]), st.floats(0, 1, allow_subnormal=False))


@settings(max_examples=150, deadline=None)
@given(
    rows=st.lists(st.tuples(weight, reward, reward, reward, st.booleans(), st.integers(0, 3)), min_size=1, max_size=30),
    estimator=st.sampled_from(ESTIMATORS),
    interval=st.sampled_from(sorted(INTERVALS)),
    highest=st.sampled_from([inf, 1e6]),
    grouped=st.booleans(),
    alpha=st.sampled_from([0.001, 0.05, 0.5]),
)
def test_finite_or_refused(rows, estimator, interval, highest, grouped, alpha):
    weights, rewards, q_logged, q_policy, match, groups = (np.array(column) for column in zip(*rows, strict=True))
    try:
        found = estimate(
            weights,
            rewards,
            q_logged=q_logged,
            q_policy=q_policy,
            policy_match=match,
            estimator=estimator,
            interval=interval,
            alpha=alpha,
            weight_range=(0.0, highest),
            groups=groups if grouped else None,
        )
    except NbaError:
        return

    assert all(isfinite(number) for number in (found.value, found.low, found.high, found.ess))
    assert found.low <= found.high
    assert 0 <= found.ess <= found.n * (1 + 1e-9)
    assert all(isinstance(text, str) and text for text in found.warnings)


@pytest.mark.parametrize("module", ["api", "accumulator"])
def test_examples_in_the_docstrings_run(module):
    results = doctest.testmod(importlib.import_module(f"bandit_nba.evaluate.{module}"))

    assert results.attempted > 0
    assert results.failed == 0


def test_the_docstring_names_every_estimator_and_interval():
    text = estimate.__doc__ or ""

    for name in (*ESTIMATORS, *INTERVALS):
        assert f"\n    {name} " in text, name
