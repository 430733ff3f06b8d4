"""Outcomes are kept once, whatever order they come in, and bad ones are refused one by one."""

import msgspec
import pytest
import sqlalchemy as sa

from bandit_nba.decide.record import DecisionRecord
from bandit_nba.errors import IdConflictError, InputError, StoreError
from bandit_nba.online import status
from bandit_nba.online.collector import Collected, Collector
from bandit_nba.online.messages import Outcome
from bandit_nba.store.database import Database
from bandit_nba.store.log import decisions, outcome_counts
from bandit_nba.store.tables import OVERRIDDEN, QUARANTINED, outcomes
from bandit_nba.workspace import Workspace
from tests.learn import tiny_world as world
from tests.online.clock import START_S, Clock

pytestmark = pytest.mark.parametrize("store", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture
def collector(workspace: Workspace, database: Database, clock: Clock) -> Collector:
    return Collector(workspace, database, clock=clock)


def tell(outcome: str = "o-1", **more: object) -> Outcome:
    return msgspec.convert({"outcomeId": outcome, "type": "accept", **more}, Outcome)


def one(collector: Collector, outcome: Outcome) -> Collected:
    (collected,) = collector.collect_batch([outcome])
    return collected


def stored(database: Database) -> list[sa.Row[tuple[object, ...]]]:
    with database.read() as connection:
        return list(connection.execute(sa.select(outcomes).order_by(outcomes.c.id)).all())


def test_an_outcome_is_kept_with_the_time_it_was_received(collector: Collector, database: Database) -> None:
    collected = one(collector, tell(decisionId="d-1", amount=12.5, occurredAt="2027-01-15T08:00:00+01:00"))

    (row,) = stored(database)
    assert collected == Collected("o-1", "created")
    assert (row.decision, row.customer, row.type, row.amount) == ("d-1", None, "accept", 12.5)
    assert row.received_at == START_S
    assert row.occurred_at == 1_799_996_400.0  # 07:00 UTC


def test_a_customer_is_kept_by_pseudonym_only(collector: Collector, database: Database) -> None:
    one(collector, tell(customerId="kd-4711"))

    (row,) = stored(database)
    assert row.decision is None
    assert len(row.customer) == 32
    assert "kd-4711" not in repr(tuple(row))


def test_sent_twice_it_counts_once(collector: Collector, database: Database, clock: Clock) -> None:
    first = one(collector, tell(decisionId="d-1"))
    clock.now_s += 5.0
    again, same_batch, new = collector.collect_batch(
        [tell(decisionId="d-1"), tell(decisionId="d-1"), tell("o-2", decisionId="d-1")]
    )

    assert [c.receipt for c in (first, again, same_batch, new)] == ["created", "duplicate", "duplicate", "created"]
    assert [row.received_at for row in stored(database)] == [START_S, START_S + 5.0]


@pytest.mark.parametrize(
    "other", [{"type": "reject"}, {"decisionId": "d-2"}, {"customerId": "c"}, {"amount": 1.0}, {"amount": 0.0}]
)
def test_the_same_id_with_another_payload_is_refused(
    collector: Collector, database: Database, other: dict[str, object]
) -> None:
    one(collector, tell(decisionId="d-1"))
    refused = one(collector, tell(**{"decisionId": "d-1", **other}))

    assert refused.receipt == "conflict"
    assert isinstance(refused.error, IdConflictError)
    assert len(stored(database)) == 1


def test_a_bad_outcome_spoils_no_other(collector: Collector, database: Database) -> None:
    unknown, nobody, future, good = collector.collect_batch(
        [
            tell("o-1", type="accep", decisionId="d"),
            tell("o-2"),
            tell("o-3", decisionId="d", occurredAt="2099-01-01T00:00:00Z"),
            tell("o-4", decisionId="d"),
        ]
    )

    assert [c.receipt for c in (unknown, nobody, future, good)] == ["invalid", "invalid", "invalid", "created"]
    assert isinstance(unknown.error, InputError)
    assert '"accept"' in unknown.error.hint
    assert len(stored(database)) == 1


def test_an_outcome_before_its_decision_is_kept_and_counted(collector: Collector, database: Database) -> None:
    collector.collect_batch([tell("o-1", decisionId="not yet"), tell("o-2", customerId="c")])

    assert len(stored(database)) == 2
    assert collector.counts["orphan"] == 1


def test_an_unwritable_store_refuses_all(collector: Collector, database: Database) -> None:
    database.close()

    with pytest.raises(StoreError):
        collector.collect_batch([tell(decisionId="d-1")])


# Fates, counted durably


def fates(database: Database) -> dict[str, int]:
    with database.read() as connection:
        return outcome_counts.read(connection)


def decided(database: Database, *records: DecisionRecord) -> None:
    with database.write() as connection:
        decisions.insert(connection, records)


def test_each_fate_is_counted_with_the_outcomes_themselves(
    collector: Collector, database: Database, workspace: Workspace, clock: Clock
) -> None:
    """One of each; another collector, as after a restart, adds to the same counts."""
    at, open_until = START_S - 10.0, START_S + 1_000.0
    decided(
        database,
        world.record(1, decided_at=at, matures_at=open_until, customer="k"),
        world.record(2, decided_at=at, matures_at=START_S - 1.0),
        world.record(3, decided_at=at, matures_at=open_until, kind="fallback"),
        world.record(4, decided_at=at, matures_at=open_until, learned_in=OVERRIDDEN),
        world.record(5, decided_at=at, matures_at=open_until, learned_in=QUARANTINED),
        world.record(6, decided_at=at, matures_at=open_until, activate_by=START_S - 5.0),
    )
    collector.collect_batch(
        [
            *[tell(f"o-{i}", decisionId=f"d{i:05d}", occurredAt="2027-01-15T08:00:00Z") for i in range(1, 8)],
            tell("o-8", customerId="c"),
            tell("o-9", decisionId="d00001", slot="side"),
        ]
    )
    before_the_first = tell("o-10", decisionId="d00001", customerId="c", occurredAt="2027-01-15T07:00:00Z")
    Collector(workspace, database, clock=clock).collect_batch(
        [before_the_first, tell("o-8", customerId="c"), tell("o-8", customerId="other")]
    )

    assert fates(database) == {
        "counts": 2,  # o-1, o-10
        "late": 1,
        "fallback": 1,
        "overridden": 1,
        "quarantined": 1,
        "not_activated": 1,
        "orphan": 1,  # o-7
        "never": 1,  # o-8: "accept" is declared for decisions
        "other_place": 1,
        "reordered": 1,
        "other_customer": 1,
        "duplicate": 1,
        "conflict": 1,
    }
    look = status.look(database, now_s=clock.now_s)
    assert look.outcome_fates["late"] == 1


def test_nothing_is_counted_of_a_transaction_that_failed(
    collector: Collector, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise StoreError("disk is full")

    monkeypatch.setattr(collector, "_tell", fail)
    with pytest.raises(StoreError):
        collector.collect_batch([tell(customerId="c")])

    assert fates(database) == {}
    assert stored(database) == []
