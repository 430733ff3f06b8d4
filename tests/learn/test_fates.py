"""Each outcome's fate, by hand and against the join: what "counts" is exactly what the join counts."""

import itertools

import numpy as np
import pytest

from bandit_nba.errors import SettingsError
from bandit_nba.learn.definition import OutcomeReward, RewardDefinition
from bandit_nba.learn.fates import Named, fate, fate_of_customers
from bandit_nba.learn.join import Outcomes, Windows, counted
from bandit_nba.learn.rewards import rewards

DEFINITION = RewardDefinition(
    wait="PT100S",
    outcomes={
        "click": OutcomeReward(reward=1.0, wait="PT10S"),
        "accept": OutcomeReward(reward=1.0),
        "buy": OutcomeReward(reward=1.0, attribution="each"),
    },
)


def named(**changes: object) -> Named:
    columns = {
        "customer": "anna",
        "kind": "normal",
        "decided_at": 1_000.0,
        "matures_at": 1_100.0,
        "activate_by": None,
        "activated_at": None,
        "mark": "",
        "first_slot": "",
    }
    return Named(**{**columns, **changes})  # type: ignore[arg-type]  # changes differ from test to test


@pytest.mark.parametrize(
    ("changes", "kind", "slot", "at", "expected"),
    [
        ({}, "accept", "", 1_050.0, "counts"),
        ({}, "accept", "", 990.0, "counts"),
        ({}, "accept", "", 1_100.0, "counts"),
        ({}, "accept", "", np.nextafter(1_100.0, 2e3), "late"),
        ({}, "click", "", 1_010.0, "counts"),
        ({}, "click", "", 1_010.5, "late"),
        ({"first_slot": "hero"}, "accept", "", 1_050.0, "counts"),
        ({"first_slot": "hero"}, "accept", "hero", 1_050.0, "counts"),
        ({"first_slot": "hero"}, "accept", "side", 1_050.0, "other_place"),
        ({}, "accept", "side", 1_050.0, "other_place"),
        ({"kind": "fallback", "mark": "never"}, "accept", "", 1_050.0, "fallback"),
        ({"kind": "unreadable", "mark": "never"}, "accept", "", 1_050.0, "unreadable"),
        ({"mark": "never"}, "accept", "", 1_050.0, "not_activated"),
        ({"activate_by": 1_020.0}, "accept", "", 1_050.0, "not_activated"),
        ({"activate_by": 1_020.0}, "accept", "", 1_020.0, "counts"),
        ({"activate_by": 1_020.0, "activated_at": 1_010.0}, "accept", "", 1_050.0, "counts"),
        ({"mark": "overridden"}, "accept", "", 1_050.0, "overridden"),
        ({"mark": "quarantined"}, "accept", "", 1_050.0, "quarantined"),
        ({"mark": "0b5c1e7f9a2d"}, "accept", "", 1_150.0, "late"),
    ],
)
def test_fates_by_hand(changes: dict[str, object], kind: str, slot: str, at: float, expected: str) -> None:
    assert fate(DEFINITION, kind, slot, received_at=at, named=named(**changes)) == expected


def test_fates_without_a_decision() -> None:
    assert fate(DEFINITION, "accept", "", received_at=1.0, named=None) == "orphan"
    assert [fate_of_customers(DEFINITION, kind) for kind in ("buy", "accept", "gone")] == ["each", "never", "never"]


def test_counts_is_what_the_join_counts() -> None:
    """Every type, place and time around the edges, for a decision with a slate and one without."""
    times = [990.0, 1_000.0, 1_010.0, 1_010.1, 1_100.0, 1_100.1, 1_200.0]
    for first, kind, slot, at in itertools.product(("", "hero"), DEFINITION.outcomes, ("", "hero", "side"), times):
        windows = Windows(
            ids=["d"],
            customers=["anna"],
            opens_at=np.array([1_000.0]),
            closes_at=np.array([1_100.0]),
            first_slots=[first],
        )
        one = Outcomes(
            ids=["o"],
            decisions=["d"],
            customers=[""],
            types=[kind],
            amounts=np.array([np.nan]),
            received_at=np.array([at]),
            slots=[slot],
        )
        joined = len(counted(DEFINITION, windows, one).rows) == 1

        assert joined == (fate(DEFINITION, kind, slot, received_at=at, named=named(first_slot=first)) == "counts")


# Waits per channel and type


@pytest.mark.parametrize(("channel", "expected"), [("web", 100.0), ("branch", 3_600.0), ("app", 100.0)])
def test_a_decision_matures_after_the_longest_wait(channel: str, expected: float) -> None:
    """Of its channel and of every type with one of its own: web 60 s, branch 1 h, others 30 s; buy 100 s."""
    declared = RewardDefinition(
        wait="PT30S",
        waits={"web": "PT60S", "branch": "PT1H"},
        outcomes={"click": OutcomeReward(wait="PT5S"), "buy": OutcomeReward(wait="PT100S")},
    )

    assert declared.wait_s(channel) == expected


def test_a_type_counts_for_its_own_wait_in_every_window_of_a_customer() -> None:
    """Two decisions at 1,000 and 1,040, a type that counts for 50 s: one outcome at 1,045 counts for both."""
    declared = RewardDefinition(wait="PT100S", outcomes={"buy": OutcomeReward(attribution="each", wait="PT50S")})
    windows = Windows(
        ids=["a", "b"],
        customers=["anna", "anna"],
        opens_at=np.array([1_000.0, 1_040.0]),
        closes_at=np.array([1_100.0, 1_140.0]),
    )

    def rows(at: float) -> list[int]:
        one = Outcomes(["o"], [""], ["anna"], ["buy"], np.array([np.nan]), np.array([at]))
        return sorted(counted(declared, windows, one).rows.tolist())

    assert [rows(at) for at in (1_045.0, 1_050.0, 1_050.1, 1_090.0, 1_090.1)] == [[0, 1], [0, 1], [1], [1], []]


def test_a_wait_that_is_none_is_refused_with_its_place() -> None:
    with pytest.raises(SettingsError, match=r"outcomes\.click\.wait"):
        RewardDefinition(outcomes={"click": OutcomeReward(wait="10 minutes")})


# Aggregations


@pytest.mark.parametrize(("aggregation", "expected"), [("sum", 6.0), ("first", 3.0), ("last", 1.0), ("max", 3.0)])
def test_aggregations_do_not_depend_on_the_order_of_reading(aggregation: str, expected: float) -> None:
    """3 at 10 s; at 20 s 2 (id a) and 1 (id b), which go by id: 1 is the last. All six orders of reading agree."""
    declared = RewardDefinition(
        unit="money",
        range=(-10.0, 10.0),
        aggregation=aggregation,  # type: ignore[arg-type]  # one of the four
        outcomes={"pay": OutcomeReward(amount_weight=1.0)},
    )
    windows = Windows(["d"], [""], np.array([0.0]), np.array([100.0]))
    entries = [("c", 3.0, 10.0), ("a", 2.0, 20.0), ("b", 1.0, 20.0)]  # (id, amount, received_at)
    found = set()
    for order in itertools.permutations(entries):
        ids, amounts, times = zip(*order, strict=True)
        outcomes = Outcomes(ids, ["d"] * 3, [""] * 3, ["pay"] * 3, np.array(amounts), np.array(times))
        found.add(float(rewards(declared, counted(declared, windows, outcomes), size=1)[0]))

    assert found == {expected}
