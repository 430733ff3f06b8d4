from pathlib import Path

import pytest
import sqlalchemy as sa

from bandit_nba.store import audit_log
from bandit_nba.store.database import Database, sqlite_url
from bandit_nba.store.tables import audit_log as table


@pytest.fixture
def database(tmp_path: Path):
    database = Database.open(sqlite_url(tmp_path / "store.sqlite"))
    for i in range(5):
        with database.write() as connection:
            audit_log.append(connection, now_s=float(i), actor="a", action="did", subject=f"s{i}", detail={"n": i})
    yield database
    database.close()


def verified(database: Database, head: bytes | None = None):
    with database.read() as connection:
        return audit_log.verify(connection, head=head)


def test_an_untouched_log_holds(database: Database):
    count, head, broken = verified(database)

    assert (count, broken) == (5, None)
    assert verified(database, head) == (5, head, None)


@pytest.mark.parametrize("field", ["at", "actor", "action", "subject", "detail"])
def test_the_first_entry_that_was_changed_is_named(database: Database, field: str):
    value = {"at": 99.0, "detail": b'{"n":9}'}.get(field, "b")
    with database.write() as connection:
        connection.execute(sa.update(table).where(table.c.seq == 3).values({field: value}))

    count, _, broken = verified(database)
    assert count == 2
    assert broken is not None
    assert broken.seq == 3


def test_a_removed_entry_is_missed(database: Database):
    with database.write() as connection:
        connection.execute(sa.delete(table).where(table.c.seq == 2))

    assert verified(database)[2] == audit_log.Break(2, "is missing")


def test_a_log_that_was_cut_or_made_anew_does_not_hold_the_noted_head(database: Database):
    _, head, _ = verified(database)
    with database.write() as connection:
        connection.execute(sa.delete(table).where(table.c.seq == 5))
    assert verified(database)[2] is None

    broken = verified(database, head)[2]
    assert broken is not None
    assert broken.seq == 5
