"""Arbitration against its formula, and the promise that a larger factor never lowers an arm."""

import datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bandit_nba.catalogue import Action, Arm, Catalogue
from bandit_nba.decide.choice.arbitrate import Arbiter, RewardUnit, priorities
from bandit_nba.decide.choice.weighing import Arbitration, ContextWeight, Lever, Strengths, TimedValue
from bandit_nba.decide.columns import Coded, Facts
from bandit_nba.errors import SettingsError

gains = st.floats(-1e6, 1e6)
factors = st.floats(1e-9, 1e9)
strengths = st.floats(0.1, 4.0)


UTC = datetime.UTC
FACTS = {"contract": "category", "senior": "boolean"}
DAY_S = 86_400.0
T0 = datetime.datetime(2026, 1, 1, tzinfo=UTC)


def _priority(gain: float, multiplier: float, *, gain_strength: float = 1.0) -> float:
    q, m = np.array([[0.0, gain]]), np.array([1.0, multiplier])
    return float(priorities(q, m, gain_strength=gain_strength)[0, 1])


def _rows(*rows: dict[str, object], day: float = 0.0) -> dict[str, Any]:
    """Facts, all asked on "web" but the last, which asks on "call", so many days after T0."""
    codes = np.array([0] * (len(rows) - 1) + [1], dtype=np.int64)
    return {
        "facts": Facts.from_rows(rows, FACTS),  # type: ignore[arg-type]
        "channels": Coded(codes=codes, values=("web", "call")),
        "decided_at": np.full(len(rows), T0.timestamp() + day * DAY_S),
    }


def multipliers(arms: tuple[Arm, ...], settings: Arbitration, *, reward_unit: RewardUnit) -> np.ndarray:
    """Of one customer of whom nothing is known."""
    found = Arbiter(arms, settings, reward_unit=reward_unit).multipliers(**_rows({}))
    assert found.shape == (1, len(arms))
    return found[0]


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


@given(gain=gains, low=factors, high=factors, strength=strengths)
def test_a_larger_factor_never_lowers_an_arm(gain: float, low: float, high: float, strength: float) -> None:
    low, high = sorted((low, high))

    assert _priority(gain, low, gain_strength=strength) <= _priority(gain, high, gain_strength=strength)


@given(low=gains, high=gains, multiplier=factors, strength=strengths)
def test_a_larger_gain_never_lowers_an_arm(low: float, high: float, multiplier: float, strength: float) -> None:
    low, high = sorted((low, high))

    assert _priority(low, multiplier, gain_strength=strength) <= _priority(high, multiplier, gain_strength=strength)


@given(gain=gains, multiplier=factors, strength=strengths)
def test_no_factor_turns_harm_into_benefit(gain: float, multiplier: float, strength: float) -> None:
    """A harmful arm never rises above "no action", whose priority is 0, and a useful one never falls below it."""
    assert _priority(gain, multiplier, gain_strength=strength) * np.sign(gain) >= 0.0


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


LEVERS = (Lever(group="grow", lever=2.0), Lever(group="keep", lever=4.0, valid_from=T0, valid_until=T0.replace(day=3)))


@pytest.mark.parametrize(("day", "keep"), [(-0.001, 1.0), (0.0, 4.0), (1.999, 4.0), (2.0, 1.0)])
def test_a_lever_counts_from_its_first_moment_to_just_before_its_last(day: float, keep: float) -> None:
    arbiter = Arbiter(_arms(phone=1.0, stay=1.0), Arbitration(levers=LEVERS), reward_unit="money")

    assert arbiter.multipliers(**_rows({}, day=day)).tolist() == [[1.0, 2.0, keep]]


def test_levers_of_a_group_that_are_valid_at_once_multiply() -> None:
    levers = (Lever(group="grow", lever=2.0), Lever(group="grow", lever=1.5))

    assert multipliers(_arms(phone=1.0), Arbitration(levers=levers), reward_unit="money").tolist() == [1.0, 3.0]


def test_values_change_in_time() -> None:
    """30 by the catalogue, 40 from day 1 on, 20 from day 5 on: whatever the order they are written in."""
    steps = ((5, 20.0), (1, 40.0))
    timed = tuple(TimedValue(action="phone", since=T0.replace(day=1 + d), value=v) for d, v in steps)
    arbiter = Arbiter(_arms(phone=30.0), Arbitration(use_value=True, values=timed), reward_unit="response")
    asked = _rows(*[{}] * 5)
    days = np.array([-1.0, 0.999, 1.0, 4.9, 5.0])

    got = arbiter.multipliers(**{**asked, "decided_at": T0.timestamp() + days * DAY_S})

    assert got[:, 1].tolist() == [30.0, 30.0, 40.0, 40.0, 20.0]
    assert got[:, 0].tolist() == [1.0] * 5


def test_context_weights_go_by_a_fact_or_the_channel() -> None:
    """Monthly contracts doubled for keep, seniors halved everywhere, calls tripled for phone; they multiply."""
    weights = (
        ContextWeight(fact="contract", values={"monthly": 2.0}, otherwise=0.9, group="keep"),
        ContextWeight(fact="senior", values={"true": 0.5, "false": 1.1}),
        ContextWeight(fact="channel", values={"call": 3.0}, action="phone"),
    )
    arbiter = Arbiter(_arms(phone=1.0, stay=1.0), Arbitration(context_weights=weights), reward_unit="money")
    rows = _rows({"contract": "monthly", "senior": True}, {"contract": "yearly"}, {"senior": False})

    got = arbiter.multipliers(**rows)

    np.testing.assert_allclose(got, [[1.0, 0.5, 1.0], [1.0, 1.0, 0.9], [1.0, 3.3, 0.99]], rtol=1e-15)


def test_each_factor_has_its_strength() -> None:
    """Gain .25, weight 4, value 9, lever 16 by hand: .25^.5 x 4^.5 x 9^2 x 16^0 = .5 x 2 x 81; for a loss -.5 / 162."""
    settings = Arbitration(
        use_value=True,
        levers={"grow": 16.0},
        context_weights=(ContextWeight(fact="senior", values={"true": 4.0}),),
        strength=Strengths(gain=0.5, context_weight=0.5, value=2.0, lever=0.0),
    )
    arbiter = Arbiter(_arms(phone=9.0), settings, reward_unit="response")
    q = np.array([[0.0, 0.25], [0.25, 0.0]])

    got = arbiter.priorities(q, **_rows({"senior": True}, {"senior": True}))

    np.testing.assert_allclose(got, [[0.0, 81.0], [0.0, -0.5 / 162.0]], rtol=1e-12)
    told = arbiter.factors(**_rows({"senior": True}))[1]
    assert (told.context_weight, told.value, told.lever) == (4.0, 9.0, 16.0)
    assert told.multiplier == pytest.approx(162.0)


def test_context_weights_that_together_leave_the_range_are_refused() -> None:
    weight = ContextWeight(fact="senior", values={"true": 1e5})

    with pytest.raises(SettingsError, match=r"context_weights: factor out of range; got 10000000000"):
        Arbiter(_arms(phone=1.0), Arbitration(context_weights=(weight, weight)), reward_unit="money")


def test_a_strength_may_not_lift_a_factor_out_of_its_range() -> None:
    settings = Arbitration(use_value=True, strength=Strengths(value=4.0))

    with pytest.raises(SettingsError, match=r"value of phone .*factor out of range"):
        Arbiter(_arms(phone=1e3), settings, reward_unit="response")
