"""Outcomes are kept once, and count by the same rule as the learner's join."""

import hashlib
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from bandit_nba.decide.record import DecisionRecord
from bandit_nba.learn.definition import OutcomeReward, RewardDefinition
from bandit_nba.learn.join import Outcomes, Windows, counted
from bandit_nba.store import decisions, outcomes
from bandit_nba.store.database import Database
from bandit_nba.store.outcomes import Fate, Outcome

Make = Callable[..., DecisionRecord]


def outcome(
    id_: str, kind: str = "click", *, decision: str | None = None, customer: str | None = None, payload: str = ""
) -> Outcome:
    sha = hashlib.sha256((payload or id_).encode()).digest()
    return Outcome(id=id_, type=kind, payload_sha256=sha, decision=decision, customer=customer, amount=1.5)


def receive(database: Database, batch: Sequence[Outcome], now_s: float) -> list[Fate]:
    with database.write() as connection:
        return outcomes.insert(connection, batch, now_s=now_s)


def counting(database: Database, ids: Sequence[str], each: Sequence[str] = ()) -> list[tuple[str, str]]:
    """(decision, outcome) pairs in the order they are given."""
    with database.read() as connection:
        return [(r.decision, r.id) for r in outcomes.for_decisions(connection, ids, each=each)]


def test_an_id_is_kept_once(database: Database) -> None:
    first, again, other = outcome("o1"), outcome("o1"), outcome("o1", payload="other")

    assert receive(database, [first, first, again, other], 10.0) == ["new", "duplicate", "duplicate", "conflict"]
    assert receive(database, [other, first, outcome("o2")], 20.0) == ["conflict", "duplicate", "new"]
    with database.read() as connection:
        assert outcomes.count(connection) == 2


def test_the_first_receipt_stays(database: Database, record: Make) -> None:
    with database.write() as connection:
        decisions.insert(connection, [record("d1")])
    receive(database, [outcome("o1", decision="d1")], 1_500.0)
    receive(database, [outcome("o1", decision="d1")], 1_600.0)
    with database.read() as connection:
        (row,) = outcomes.for_decisions(connection, ["d1"], each=[])

    assert row == outcomes.Received("d1", "click", 1.5, 1_500.0, None, "o1")


def test_many_outcomes_in_one_batch(database: Database) -> None:
    batch = [outcome(f"o{i}") for i in range(1_300)]

    assert receive(database, batch, 1.0) == ["new"] * 1_300
    assert receive(database, batch, 2.0) == ["duplicate"] * 1_300


@pytest.mark.parametrize(
    ("received_at", "named", "each"),
    [
        (999.999, True, False),  # before the decision: named counts, a customer's own does not
        (1_000.0, True, True),
        (2_800.0, True, True),
        (2_800.001, False, False),
    ],
)
def test_the_window_is_closed_at_both_ends(
    database: Database, received_at: float, named: bool, each: bool, record: Make
) -> None:
    """decided_at is 1,000 s, matures_at 2,800 s."""
    with database.write() as connection:
        decisions.insert(connection, [record("d1")])
    receive(database, [outcome("n", decision="d1"), outcome("c", "churn", customer="c1")], received_at)

    assert counting(database, ["d1"], ["churn"]) == [("d1", "c")] * each + [("d1", "n")] * named


def test_whom_an_outcome_counts_for(database: Database, record: Make) -> None:
    with database.write() as connection:
        rows = [record("d1"), record("d2"), record("elsewhere", customer="c2"), record("anonymous", customer="")]
        decisions.insert(connection, rows)
    receive(
        database,
        [
            outcome("both", "churn", decision="d1", customer="c1"),  # names a decision: for that one only
            outcome("click", "click", customer="c1"),  # not attributed to each
            outcome("nobody", "churn", customer=""),  # the anonymous are not one customer
            outcome("orphan", decision="d9"),
            outcome("theirs", "churn", customer="c1"),
        ],
        1_500.0,
    )

    ids = ["d1", "d2", "elsewhere", "anonymous"]
    assert sorted(counting(database, ids, ["churn"])) == [("d1", "both"), ("d1", "theirs"), ("d2", "theirs")]
    assert counting(database, ids) == [("d1", "both")]
    assert counting(database, ["d2"], ["churn"]) == [("d2", "theirs")]
    assert counting(database, [], ["churn"]) == []


def test_they_come_in_order_of_receipt_then_id(database: Database, record: Make) -> None:
    with database.write() as connection:
        decisions.insert(connection, [record("d1"), record("d2")])
    receive(database, [outcome("b", decision="d1"), outcome("a", decision="d2")], 1_500.0)
    receive(database, [outcome("c", decision="d1")], 1_400.0)

    assert [o for _, o in counting(database, ["d2", "d1"])] == ["c", "a", "b"]


def test_the_rule_is_that_of_the_learner_s_join(database: Database, record: Make) -> None:
    """400 random decisions and 1,500 random outcomes, seed 7: the same pairs, with both IN lists and windows cut."""
    rng = np.random.default_rng(7)
    rows = [
        record(f"d{i}", customer=("", "a", "b", "c")[rng.integers(4)], decided_at=float(t), matures_at=float(t) + 30.0)
        for i, t in enumerate(rng.integers(0, 300, size=800))
    ]
    with database.write() as connection:
        decisions.insert(connection, rows)
    kinds, names = ("click", "churn", "buy"), (None, "a", "b", "c", "")
    stored = []
    for i in range(1_500):
        decision = f"d{rng.integers(900)}" if rng.random() < 0.5 else None
        made = outcome(f"o{i}", kinds[rng.integers(3)], decision=decision, customer=names[rng.integers(5)])
        at = float(rng.integers(0, 340))
        receive(database, [made], at) if i % 50 == 0 else stored.append((made, at))
        if i % 50 == 0:
            stored.append((made, at))
    for at in {at for _, at in stored}:
        receive(database, [made for made, t in stored if t == at], at)

    definition = RewardDefinition(
        outcomes={"click": OutcomeReward(), "churn": OutcomeReward(attribution="each"), "buy": OutcomeReward()}
    )
    windows = Windows(
        ids=[r.id for r in rows],
        customers=[r.customer for r in rows],
        opens_at=np.array([r.decided_at for r in rows]),
        closes_at=np.array([r.matures_at for r in rows]),
    )
    joined = counted(
        definition,
        windows,
        Outcomes(
            ids=[o.id for o, _ in stored],
            decisions=[o.decision or "" for o, _ in stored],
            customers=[o.customer or "" for o, _ in stored],
            types=[o.type for o, _ in stored],
            amounts=np.arange(len(stored), dtype=np.float64),
            received_at=np.array([at for _, at in stored]),
        ),
    )
    expected = [(rows[row].id, stored[int(i)][0].id) for row, i in zip(joined.rows, joined.amounts, strict=True)]

    found = counting(database, [r.id for r in rows], ["churn"])
    assert len(found) > 1_000
    assert sorted(found) == sorted(expected)
    assert [o for _, o in found] == [o for _, o in expected]
