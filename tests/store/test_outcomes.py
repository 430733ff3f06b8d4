"""Outcomes are kept once, whatever is sent again."""

import hashlib
from collections.abc import Sequence

import sqlalchemy as sa

from bandit_nba.store.database import Database
from bandit_nba.store.log import outcomes
from bandit_nba.store.log.outcomes import Outcome, Receipt
from bandit_nba.store.tables import outcomes as outcomes_table


def outcome(
    id_: str, kind: str = "click", *, decision: str | None = None, customer: str | None = None, payload: str = ""
) -> Outcome:
    sha = hashlib.sha256((payload or id_).encode()).digest()
    return Outcome(id=id_, type=kind, payload_sha256=sha, decision=decision, customer=customer, amount=1.5)


def receive(database: Database, batch: Sequence[Outcome], now_s: float) -> list[Receipt]:
    with database.write() as connection:
        return outcomes.insert(connection, batch, now_s=now_s)


def test_an_id_is_kept_once(database: Database) -> None:
    first, again, other = outcome("o1"), outcome("o1"), outcome("o1", payload="other")

    assert receive(database, [first, first, again, other], 10.0) == ["created", "duplicate", "duplicate", "conflict"]
    assert receive(database, [other, first, outcome("o2")], 20.0) == ["conflict", "duplicate", "created"]
    with database.read() as connection:
        assert outcomes.count(connection) == 2


def test_the_first_receipt_stays_as_it_was(database: Database) -> None:
    receive(database, [outcome("o1", decision="d1")], 1_500.0)
    receive(database, [outcome("o1", decision="d1"), outcome("o1", payload="other")], 1_600.0)
    with database.read() as connection:
        (row,) = connection.execute(sa.select(outcomes_table))

    assert tuple(row) == ("o1", "d1", None, "click", 1.5, None, 1_500.0, hashlib.sha256(b"o1").digest(), None)


def test_many_outcomes_in_one_batch(database: Database) -> None:
    batch = [outcome(f"o{i}") for i in range(1_300)]

    assert receive(database, batch, 1.0) == ["created"] * 1_300
    assert receive(database, batch, 2.0) == ["duplicate"] * 1_300
