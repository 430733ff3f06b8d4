"""Rewards from outcomes, against numbers worked out by hand."""

import math

import numpy as np
import pytest

from bandit_nba.decide.columns import Coded
from bandit_nba.errors import InputError, SettingsError
from bandit_nba.learn.definition import OutcomeReward, RewardDefinition
from bandit_nba.learn.rewards import Counted, checked_outcome, rewards
from bandit_nba.settings import parse

OUTCOMES = {
    "click": OutcomeReward(reward=0.25),
    "buy": OutcomeReward(reward=1.0, amount_weight=0.5),
    "complain": OutcomeReward(reward=-2.0),
}


def definition(aggregation: str, **options: object) -> RewardDefinition:
    given = {"unit": "money", "range": (-10.0, 10.0), "aggregation": aggregation, "outcomes": OUTCOMES, **options}
    return RewardDefinition(**given)  # type: ignore[arg-type]  # the options differ from test to test


def outcomes(*entries: tuple[int, str, float | None]) -> Counted:
    """(row, type, amount) in order of receipt."""
    kinds = list(dict.fromkeys(kind for _, kind, _ in entries))
    return Counted(
        rows=np.array([row for row, _, _ in entries], dtype=np.int64),
        types=Coded(codes=np.array([kinds.index(k) for _, k, _ in entries], dtype=np.int64), values=tuple(kinds)),
        amounts=np.array([math.nan if amount is None else amount for _, _, amount in entries]),
    )


LOG = outcomes((0, "click", None), (2, "buy", 3.0), (0, "buy", 4.0), (0, "complain", None), (2, "click", 9.0))


@pytest.mark.parametrize(
    ("aggregation", "expected"),
    [
        ("sum", [0.25 + 3.0 - 2.0, 0.0, 2.5 + 0.25]),
        ("first", [0.25, 0.0, 2.5]),
        ("last", [-2.0, 0.0, 0.25]),
        ("max", [3.0, 0.0, 2.5]),
    ],
)
def test_aggregations(aggregation: str, expected: list[float]) -> None:
    actual = rewards(definition(aggregation), LOG, size=3)

    np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize("aggregation", ["sum", "first", "last", "max"])
def test_a_decision_without_outcome_earns_the_default_and_one_with_a_zero_outcome_earns_zero(aggregation: str) -> None:
    declared = definition(aggregation, default=-1.5, outcomes={"seen": OutcomeReward(reward=0.0)})

    actual = rewards(declared, outcomes((1, "seen", None)), size=2)

    np.testing.assert_array_equal(actual, [-1.5, 0.0])


def test_the_maximum_of_losses_is_the_smallest_loss_not_zero() -> None:
    actual = rewards(definition("max"), outcomes((0, "complain", None), (0, "complain", None)), size=1)

    np.testing.assert_array_equal(actual, [-2.0])


def test_rewards_are_clamped_to_the_range() -> None:
    log = outcomes((0, "buy", 1e12), (1, "buy", -1e12), (2, "buy", 2.0))

    np.testing.assert_array_equal(rewards(definition("sum"), log, size=3), [10.0, -10.0, 2.0])


def test_a_type_that_the_definition_does_not_know_is_no_response() -> None:
    declared = definition("sum", default=0.5)

    np.testing.assert_array_equal(rewards(declared, outcomes((0, "older_type", 7.0)), size=1), [0.5])


def test_nothing_received_at_all() -> None:
    np.testing.assert_array_equal(rewards(definition("max"), outcomes(), size=2), [0.0, 0.0])
    assert rewards(definition("max"), outcomes(), size=0).shape == (0,)


def test_an_infinite_stored_amount_is_refused_not_clamped() -> None:
    with pytest.raises(InputError, match="not finite"):
        rewards(definition("sum"), outcomes((0, "buy", math.inf)), size=1)


def test_an_amount_may_be_absent_or_a_finite_number() -> None:
    declared = definition("sum")

    assert checked_outcome(declared, "buy", None) is None
    assert checked_outcome(declared, "buy", 3) == 3.0


@pytest.mark.parametrize("amount", [math.nan, math.inf, -math.inf, 1e13, True, "3", [1.0], 10**400])
def test_other_amounts_are_refused(amount: object) -> None:
    with pytest.raises(InputError, match="unusable amount"):
        checked_outcome(definition("sum"), "buy", amount)


def test_an_unknown_type_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(InputError, match=r'outcomes\[3\]\.type: unknown outcome type.*"click"'):
        checked_outcome(definition("sum"), "clik", None, where="outcomes[3]")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("range = [1.0, 0.0]", "range.* must grow"),
        ("range = [0.0, 2.0]", "within \\[0, 1\\]"),
        ("default = 1.5", "default.* must lie within"),
        ('wait = "30 minutes"', "wait: is not a usable duration"),
        ('waits = { web = "P1" }', "waits.web: is not a usable duration"),
    ],
)
def test_a_definition_that_contradicts_itself_is_refused(text: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        parse(f"{text}\n[outcomes.buy]\nreward = 1.0\n", RewardDefinition, where="rewards.toml")


def test_waits_by_channel() -> None:
    declared = RewardDefinition(wait="PT30M", waits={"letter": "P14D"}, outcomes=OUTCOMES)

    assert (declared.wait_s("web"), declared.wait_s("letter")) == (1_800.0, 1_209_600.0)
