"""Calibration finds the two scalars, and says when there are none."""

import numpy as np
import pytest

from bandit_nba.errors import RefusedError
from simulators.calibration import calibrate, fixed_values, oracle_value, responses


def _world(n: int = 400, k: int = 5) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(11)
    return rng.normal(size=k) * 0.2, rng.normal(size=(n, k)), np.ones((n, k), dtype=np.bool_)


def test_the_targets_are_met() -> None:
    appeal, utility, eligible = _world()
    found = calibrate(appeal, utility, eligible, best_fixed=0.1, ratio=1.9)
    q = responses(found.level, found.heterogeneity, appeal, utility)

    assert fixed_values(q, eligible).max() == pytest.approx(0.1, abs=1e-8)
    assert oracle_value(q, eligible) / 0.1 == pytest.approx(1.9, abs=1e-6)
    assert (found.best_fixed, found.oracle) == pytest.approx((0.1, 0.19), abs=1e-6)


def test_an_impossible_ratio_is_refused_with_the_possible_ones() -> None:
    appeal, _, eligible = _world()
    alike = np.zeros((len(eligible), len(appeal)))

    with pytest.raises(RefusedError, match=r"1\.00 to 1\.00"):
        calibrate(appeal, alike, eligible, best_fixed=0.1, ratio=1.9)
