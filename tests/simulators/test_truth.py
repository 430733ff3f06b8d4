"""Truth of policies on a world small enough for paper."""

import numpy as np
import pytest

from simulators.truth import best_fixed, deterministic, oracle, uniform, value

Q = np.array([[0.0, 0.2, 0.4], [0.0, 0.6, 0.9], [0.0, 0.3, 0.1]])
MASK = np.array([[True, True, True], [True, True, False], [True, True, True]])


def test_values_by_hand() -> None:
    """Uniform: (.6/3 + .6/2 + .4/3)/3; best fixed is arm 1: (.2+.6+.3)/3; oracle: (.4+.6+.3)/3."""
    assert value(Q, uniform(MASK)) == pytest.approx((0.2 + 0.3 + 0.4 / 3) / 3)
    assert best_fixed(Q, MASK) == 1
    assert oracle(Q, MASK).tolist() == [2, 1, 1]
    assert value(Q, deterministic(oracle(Q, MASK), MASK)) == pytest.approx(1.3 / 3)


def test_an_arm_that_is_not_eligible_gives_way_to_no_action() -> None:
    always_two = deterministic(np.array([2, 2, 2]), MASK)

    assert always_two.tolist() == [[0, 0, 1], [1, 0, 0], [0, 0, 1]]
    assert value(Q, always_two) == pytest.approx(0.5 / 3)
