"""Counts of fates, decisions in quarantine and models trained in bulk, on each database alike."""

from collections.abc import Callable

import pytest
import sqlalchemy as sa

from bandit_nba.decide.record import DecisionRecord
from bandit_nba.errors import RefusedError
from bandit_nba.learn.log import Poison
from bandit_nba.store.database import Database
from bandit_nba.store.learner import quarantine
from bandit_nba.store.learner.learning import close_horizon, teaches, waiting_ids
from bandit_nba.store.log import decisions, outcome_counts, outcomes
from bandit_nba.store.log.outcomes import Outcome
from bandit_nba.store.tables import QUARANTINED, RELEASED
from bandit_nba.store.tables import decisions as table

Record = Callable[..., DecisionRecord]


def logged(database: Database, *records: DecisionRecord) -> None:
    with database.write() as connection:
        decisions.insert(connection, records)


def marks(database: Database) -> dict[str, str | None]:
    with database.read() as connection:
        return {row.id: row.learned_in for row in connection.execute(sa.select(table.c.id, table.c.learned_in))}


def test_counts_add_up_over_shards_and_transactions(database: Database) -> None:
    for shard, counts in ((0, {"late": 2, "counts": 1}), (1, {"late": 3}), (16, {"late": 4, "orphan": 0}), (5, {})):
        with database.write() as connection:
            outcome_counts.add(connection, counts, shard=shard)

    with database.read() as connection:
        assert outcome_counts.read(connection) == {"counts": 1, "late": 9}


def test_a_decision_goes_through_quarantine(database: Database, record: Record) -> None:
    logged(database, record("a"), record("b"), record("c"))
    with database.write() as connection:
        quarantine.hold(connection, [Poison("a", "InputError", "cut"), Poison("b", "InputError", "cut")], now_s=1.0)
        quarantine.hold(connection, [Poison("a", "ModelError", "still")], now_s=2.0)
        quarantine.drop(connection, ["b"], now_s=3.0, who="anna")
        quarantine.release(connection, ["a"], now_s=4.0, who="anna")
    assert marks(database) == {"a": RELEASED, "b": QUARANTINED, "c": None}
    with database.write() as connection:
        assert quarantine.released(connection) == ["a"]
        assert (quarantine.one(connection, "a").tries, quarantine.one(connection, "a").error) == (2, "still")
        quarantine.settle(connection, ["a"], "0123456789ab")
    with database.read() as connection:
        assert quarantine.counts(connection) == {"held": 0, "released": 0, "learned": 1, "dropped": 1}
        with pytest.raises(RefusedError, match="dropped already"):
            quarantine.held(connection, ["b"])
    assert marks(database) == {"a": "0123456789ab", "b": QUARANTINED, "c": None}


def test_what_bears_on_a_fate_is_found_by_id(database: Database, record: Record) -> None:
    logged(database, record("a"), record("b", kind="fallback"))
    payload = bytes(32)
    told = [
        Outcome(id=f"o{i}", type="click", payload_sha256=payload, decision="a", occurred_at=at)
        for i, at in enumerate((5.0, 9.0, None))
    ]
    with database.write() as connection:
        outcomes.insert(connection, told, now_s=10.0)
        found = outcomes.named(connection, {"a", "b", "gone"})

        assert outcomes.latest(connection, {"a", "b"}) == {"a": 9.0}
    assert found.keys() == {"a", "b"}
    assert (found["a"].customer, found["a"].matures_at, found["a"].mark) == ("c1", 2_800.0, "")
    assert (found["b"].kind, found["b"].mark) == ("fallback", "never")


def test_what_can_be_trained_on_is_what_has_matured_and_teaches(database: Database, record: Record) -> None:
    logged(
        database,
        record("late", matures_at=900.0),
        record("early", matures_at=800.0),
        record("unripe", matures_at=1_000.0),
        record("fallback", kind="fallback", matures_at=1.0),
        record("not activated", matures_at=500.0, activate_by=400.0),
        record("activated", matures_at=500.0, activate_by=400.0, activated_at=300.0),
        record("learned", matures_at=850.0, learned_in="0123456789ab"),
        record("held", matures_at=850.0, learned_in=QUARANTINED),
    )
    horizon = close_horizon(database, lambda: 1_000.0)
    with database.read() as connection:
        found = [each for page in waiting_ids(connection, teaches(horizon)) for each in page]

    assert found == ["activated", "early", "learned", "late"]
    assert close_horizon(database, lambda: 10.0) == 1_000.0  # it never goes back
