"""The fixed-horizon join, on logs made by hand and against a plain double loop."""

import numpy as np
import pytest

from bandit_nba.decide.columns import Coded
from bandit_nba.learn.definition import OutcomeReward, RewardDefinition
from bandit_nba.learn.join import Outcomes, Windows, counted, matures_at
from bandit_nba.learn.rewards import rewards

DEFINITION = RewardDefinition(
    unit="money",
    range=(-100.0, 100.0),
    aggregation="sum",
    outcomes={
        "click": OutcomeReward(reward=1.0),
        "buy": OutcomeReward(reward=10.0, attribution="each"),
        "churn": OutcomeReward(reward=-50.0, attribution="each"),
    },
)

Entry = tuple[str, str, str, str, float]


def windows(*rows: tuple[str, str, float, float]) -> Windows:
    """(id, customer, decided_at, matures_at)."""
    ids, customers, opens, closes = zip(*rows, strict=True)
    return Windows(ids=ids, customers=customers, opens_at=np.array(opens), closes_at=np.array(closes))


def outcomes(*entries: Entry) -> Outcomes:
    """(id, decision, customer, type, received_at)."""
    return Outcomes(
        ids=[e[0] for e in entries],
        decisions=[e[1] for e in entries],
        customers=[e[2] for e in entries],
        types=[e[3] for e in entries],
        amounts=np.full(len(entries), np.nan),
        received_at=np.array([e[4] for e in entries], dtype=np.float64),
    )


TWO = windows(("d1", "anna", 100.0, 200.0), ("d2", "anna", 150.0, 250.0), ("d3", "", 150.0, 250.0))


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        pytest.param(("o", "d1", "", "click", 150.0), [1, 0, 0], id="in time"),
        pytest.param(("o", "d1", "", "click", 200.0), [1, 0, 0], id="at the last moment"),
        pytest.param(("o", "d1", "", "click", np.nextafter(200.0, 300.0)), [0, 0, 0], id="just too late"),
        pytest.param(("o", "d2", "", "click", 20.0), [0, 1, 0], id="before its decision was stored"),
        pytest.param(("o", "other", "", "click", 150.0), [0, 0, 0], id="another decision's"),
        pytest.param(("o", "", "anna", "click", 150.0), [0, 0, 0], id="of attribution decision, names only a customer"),
        pytest.param(("o", "", "anna", "buy", 160.0), [10, 10, 0], id="in both windows"),
        pytest.param(("o", "", "anna", "buy", 150.0), [10, 10, 0], id="when the second window opens"),
        pytest.param(("o", "", "anna", "buy", 149.9), [10, 0, 0], id="in the first window only"),
        pytest.param(("o", "", "anna", "buy", 200.0), [10, 10, 0], id="when the first window closes"),
        pytest.param(("o", "", "anna", "buy", 200.1), [0, 10, 0], id="in the second window only"),
        pytest.param(("o", "", "anna", "buy", 250.1), [0, 0, 0], id="after both"),
        pytest.param(("o", "", "anna", "buy", 99.9), [0, 0, 0], id="before both"),
        pytest.param(("o", "", "bert", "buy", 160.0), [0, 0, 0], id="another customer's"),
        pytest.param(("o", "", "", "buy", 160.0), [0, 0, 0], id="nobody's: anonymous decisions share no customer"),
        pytest.param(("o", "d1", "anna", "buy", 160.0), [10, 0, 0], id="names both: the decision's only"),
        pytest.param(("o", "d3", "", "buy", 160.0), [0, 0, 10], id="of attribution each, names a decision"),
    ],
)
def test_one_outcome_counts_for(entry: Entry, expected: list[float]) -> None:
    actual = rewards(DEFINITION, counted(DEFINITION, TWO, outcomes(entry)), size=3)

    np.testing.assert_array_equal(actual, expected)


def test_the_order_of_rows_changes_nothing() -> None:
    """First and last go by the time of receipt, ties by id, wherever the rows stand."""
    entries: list[Entry] = [
        ("b", "d1", "", "click", 120.0),
        ("a", "", "anna", "buy", 120.0),
        ("c", "", "anna", "churn", 110.0),
    ]
    results = []
    for order in ([0, 1, 2], [2, 1, 0], [1, 2, 0]):
        log = outcomes(*[entries[i] for i in order])
        for how in ("first", "last"):
            declared = RewardDefinition(
                unit="money", range=(-100.0, 100.0), aggregation=how, outcomes=DEFINITION.outcomes
            )
            results.append(rewards(declared, counted(declared, TWO, log), size=3)[0])

    assert results == [-50.0, 1.0] * 3  # first: churn at 110; last at 120: "a" then "b", so the click


def test_the_join_equals_a_plain_double_loop() -> None:
    rng = np.random.default_rng(5)
    n, m = 300, 600
    opens = np.round(rng.uniform(0, 100, n))  # rounded, so that windows and outcomes often meet exactly
    names = [["", "anna", "bert", "cleo"][i] for i in rng.integers(0, 4, n)]
    log = Windows(
        ids=[f"d{i}" for i in range(n)],
        customers=names,
        opens_at=opens,
        closes_at=opens + np.round(rng.uniform(1, 20, n)),
    )
    entries: list[Entry] = []
    for j in range(m):
        decision = f"d{rng.integers(0, n + 20)}" if rng.random() < 0.5 else ""
        customer = ["", "anna", "bert", "dora"][rng.integers(0, 4)]
        kind = ["click", "buy", "churn", "old"][rng.integers(0, 4)]
        entries.append((f"o{j}", decision, customer, kind, float(np.round(rng.uniform(0, 125)))))

    expected = np.zeros(n)
    for _, decision, customer, kind, at in entries:
        if kind == "old":
            continue
        declared = DEFINITION.outcomes[kind]
        for i in range(n):
            named = decision == log.ids[i] and at <= log.closes_at[i]
            covers = not decision and customer != "" and customer == names[i] and opens[i] <= at <= log.closes_at[i]
            if named or (covers and declared.attribution == "each"):
                expected[i] += declared.reward
    actual = rewards(DEFINITION, counted(DEFINITION, log, outcomes(*entries)), size=n)

    np.testing.assert_array_equal(actual, np.clip(expected, -100.0, 100.0))
    assert np.unique(actual).size > 10


def test_decisions_mature_after_their_channels_wait_and_never_before_activation_is_decided() -> None:
    declared = RewardDefinition(wait="PT10S", waits={"letter": "PT60S"}, outcomes=DEFINITION.outcomes)
    channels = Coded(codes=np.array([0, 1, 0, 0]), values=("web", "letter"))
    decided = np.array([100.0, 100.0, 100.0, 100.0])

    np.testing.assert_array_equal(matures_at(declared, channels, decided), [110.0, 160.0, 110.0, 110.0])
    activate_by = np.array([np.nan, 130.0, 130.0, 105.0])
    actual = matures_at(declared, channels, decided, activate_by=activate_by)
    np.testing.assert_array_equal(actual, [110.0, 160.0, 130.0, 110.0])


def test_outcomes_of_other_places_of_a_slate_do_not_count() -> None:
    """Of a slate those of the first place and those that name none count; a decision without slate has no places."""
    windows = Windows(
        ids=["slate", "plain"],
        customers=["", ""],
        opens_at=np.zeros(2),
        closes_at=np.full(2, 10.0),
        first_slots=["hero", ""],
    )
    said = [("slate", "hero"), ("slate", "side"), ("slate", ""), ("plain", "hero"), ("plain", "")]
    outcomes = Outcomes(
        ids=[str(i) for i in range(5)],
        decisions=[decision for decision, _ in said],
        customers=[""] * 5,
        types=["click"] * 5,
        amounts=np.arange(5.0),
        received_at=np.arange(5.0),
        slots=[slot for _, slot in said],
    )
    found = counted(RewardDefinition(outcomes={"click": OutcomeReward()}), windows, outcomes)

    assert list(zip(found.rows.tolist(), found.amounts.tolist(), strict=True)) == [(0, 0.0), (0, 2.0), (1, 4.0)]
