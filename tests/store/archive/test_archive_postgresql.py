"""The archive on both databases: the same rows leave, and come back whole."""

from pathlib import Path

import msgspec
import sqlalchemy as sa

from bandit_nba.evaluate.stored import read_log
from bandit_nba.store.archive.close import archive_days, compact
from bandit_nba.store.archive.restore import Archive
from bandit_nba.store.database import Database
from bandit_nba.store.past import past_records
from bandit_nba.store.tables import decisions
from tests.evaluate.logs import SCHEMA
from tests.learn.tiny_world import decide
from tests.store.archive.test_archive import NOW_S, REWARDS, rows

N = 1_600


def test_rows_leave_and_come_back_whole_on_either_database(database: Database, url: str, tmp_path: Path) -> None:
    folder = tmp_path / "archive"
    decide(database, rows(N))
    before = list(past_records(database))
    rewards = read_log(database, REWARDS, SCHEMA, now_s=NOW_S).reward.tolist()

    done = archive_days(database, folder, before_s=NOW_S, clock=lambda: NOW_S)

    assert [one.rows for one in done] == [1_440, N - 1_440]
    archive = Archive(folder)
    after = [msgspec.structs.replace(r, archived_on=None) for r in past_records(database, archive=archive)]
    assert after == before
    assert read_log(database, REWARDS, SCHEMA, now_s=NOW_S, archive=archive).reward.tolist() == rewards
    with database.read() as connection:
        assert connection.scalar(sa.select(sa.func.count(decisions.c.facts))) == 0
    assert archive_days(database, folder, before_s=NOW_S, clock=lambda: NOW_S) == []
    assert (compact(url) is None) == url.startswith("postgresql")
