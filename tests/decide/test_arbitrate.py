"""Arbitration against its formula, and the promise that a larger factor never lowers an arm."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bandit_nba.catalogue import Action, Arm, Catalogue
from bandit_nba.decide.arbitrate import multipliers, priorities
from bandit_nba.decide.policy import Arbitration
from bandit_nba.errors import SettingsError

gains = st.floats(-1e6, 1e6)
factors = st.floats(1e-9, 1e9)


def _priority(gain: float, multiplier: float) -> float:
    return float(priorities(np.array([[0.0, gain]]), np.array([1.0, multiplier]))[0, 1])


def _arms(**values: float) -> tuple[Arm, ...]:
    actions = tuple(
        Action(id=name, kind="offer", group="grow" if name != "stay" else "keep", value=value)
        for name, value in values.items()
    )
    return Catalogue(facts={}, actions=actions).arms


def test_priority_is_the_gain_over_no_action_times_the_multiplier() -> None:
    """By hand: q = (.02, .05, .01), m = (1, 10, 4): gains .03 and -.01, priorities .3 and -.0025."""
    q = np.array([[0.02, 0.05, 0.01]])

    got = priorities(q, np.array([1.0, 10.0, 4.0]))

    np.testing.assert_allclose(got, [[0.0, 0.3, -0.0025]], rtol=1e-12)


def test_arms_that_are_not_eligible_stay_nan() -> None:
    q = np.array([[0.1, np.nan, 0.3], [0.1, 0.2, np.nan]])

    for multiplier in (np.ones(3), np.array([1.0, 2.0, 3.0])):
        np.testing.assert_array_equal(np.isnan(priorities(q, multiplier)), np.isnan(q))


def test_context_weights_act_row_by_row() -> None:
    q = np.array([[0.0, 0.2], [0.0, 0.2]])

    got = priorities(q, np.array([[1.0, 1.0], [1.0, 5.0]]))

    np.testing.assert_allclose(got[:, 1], [0.2, 1.0])


@given(gain=gains, low=factors, high=factors)
def test_a_larger_factor_never_lowers_an_arm(gain: float, low: float, high: float) -> None:
    low, high = sorted((low, high))

    assert _priority(gain, low) <= _priority(gain, high)


@given(low=gains, high=gains, multiplier=factors)
def test_a_larger_gain_never_lowers_an_arm(low: float, high: float, multiplier: float) -> None:
    low, high = sorted((low, high))

    assert _priority(low, multiplier) <= _priority(high, multiplier)


@given(gain=gains, multiplier=factors)
def test_no_factor_turns_harm_into_benefit(gain: float, multiplier: float) -> None:
    """A harmful arm never rises above "no action", whose priority is 0, and a useful one never falls below it."""
    assert _priority(gain, multiplier) * np.sign(gain) >= 0.0


@given(multiplier=factors)
def test_continuous_where_the_gain_changes_sign(multiplier: float) -> None:
    tiny = 1e-300

    assert _priority(0.0, multiplier) == 0.0
    assert abs(_priority(tiny, multiplier)) <= tiny * 1e9
    assert abs(_priority(-tiny, multiplier)) <= tiny * 1.0000001e9


def test_multiplier_is_value_times_lever_and_one_for_no_action() -> None:
    arms = _arms(phone=30.0, stay=2.0)

    got = multipliers(arms, Arbitration(use_value=True, levers={"keep": 1.5}), reward_unit="response")

    assert got.tolist() == [1.0, 30.0, 3.0]


def test_values_do_not_multiply_unless_asked() -> None:
    got = multipliers(_arms(phone=30.0), Arbitration(), reward_unit="money")

    assert got.tolist() == [1.0, 1.0]


def test_values_on_top_of_money_are_refused() -> None:
    with pytest.raises(SettingsError, match=r"use_value: would count money twice"):
        multipliers(_arms(phone=30.0), Arbitration(use_value=True), reward_unit="money")


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), 1e10])
def test_a_value_that_cannot_weigh_is_refused(value: float) -> None:
    with pytest.raises(SettingsError, match=r"value of phone .*factor out of range"):
        multipliers(_arms(phone=value), Arbitration(use_value=True), reward_unit="response")


def test_a_lever_that_no_arm_uses_changes_nothing() -> None:
    """A group may have no action today; whether it is declared at all is checked when the workspace is opened."""
    got = multipliers(_arms(phone=1.0), Arbitration(levers={"retired": 2.0}), reward_unit="response")

    assert got.tolist() == [1.0, 1.0]
