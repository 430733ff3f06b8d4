"""Closed days in Parquet: nothing lost, nothing changed, whatever stops the work half way."""

from pathlib import Path

import msgspec
import numpy as np
import pytest
import sqlalchemy as sa

from bandit_nba.decide.record import DecisionRecord
from bandit_nba.errors import StoreBusyError, StoreError
from bandit_nba.evaluate.stored import read_log, read_whole
from bandit_nba.learn.definition import OutcomeReward, RewardDefinition
from bandit_nba.store.alone import alone
from bandit_nba.store.archive import close
from bandit_nba.store.archive.close import archive_days, compact, days, erase_facts
from bandit_nba.store.archive.day import groups, read_manifest
from bandit_nba.store.archive.restore import Archive
from bandit_nba.store.database import Database, sqlite_url
from bandit_nba.store.log import decisions as log
from bandit_nba.store.log import outcomes
from bandit_nba.store.log.outcomes import Outcome
from bandit_nba.store.past import past_records
from bandit_nba.store.tables import decisions
from tests.evaluate.logs import ARMS, SCHEMA, record
from tests.learn.tiny_world import decide, receive

DAY_S = 86_400.0
FIRST_S = 20_000 * DAY_S  # 2024-10-04
STEP_S = 60.0
N = 3_500  # 2.4 days
NOW_S = FIRST_S + 60 * DAY_S
REWARDS = RewardDefinition(
    wait="PT10S",
    aggregation="sum",
    range=(0.0, 100.0),
    unit="money",
    outcomes={"accept": OutcomeReward(reward=1.0), "buy": OutcomeReward(amount_weight=1.0, attribution="each")},
)


def rows(n: int = N) -> list[DecisionRecord]:
    rng = np.random.default_rng(5)
    made = []
    for i in range(n):
        at = FIRST_S + i * STEP_S
        p = rng.dirichlet(np.ones(3))
        p = tuple((p / p.sum()).tolist())
        arm = ARMS[int(rng.integers(3))]
        made.append(
            record(
                i,
                segment=("young", "old")[i % 2],
                arm=arm,
                p=p,
                decided_at=at,
                matures_at=at + 10.0,
                removed=msgspec.json.encode({f"x{i % 3}": ["consent", "no"]}),
                reward_version=REWARDS.version,
                learned_in="m1",
                answer=b"answer %d" % i,
                inline_actions=b'[{"id":"a"}]' if i % 97 == 0 else None,
                shadow=b"{}" if i % 5 == 0 else None,
                kind="fallback" if i % 50 == 0 else "normal",
            )
        )
    return made


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("log")
    database = Database.open(sqlite_url(folder / "nba.db"))
    all_rows = rows()
    decide(database, all_rows)
    with database.write() as connection:
        for i in range(0, N, 7):
            naming = {"decision": all_rows[i].id} if i % 2 else {"customer": all_rows[i].customer}
            kind = "accept" if i % 2 else "buy"
            one = Outcome(id=f"o{i}", type=kind, payload_sha256=b"0" * 32, amount=float(i % 5), **naming)
            outcomes.insert(connection, [one], now_s=all_rows[i].decided_at + float(i % 15))
    database.close()
    return folder / "nba.db"


@pytest.fixture(autouse=True)
def small_row_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several row groups a day, as a day of a busy service has."""
    monkeypatch.setattr(close, "GROUP_ROWS", 500)


@pytest.fixture
def database(made: Path, tmp_path: Path):
    (tmp_path / "nba.db").write_bytes(made.read_bytes())
    found = Database.open(sqlite_url(tmp_path / "nba.db"))
    yield found
    found.close()


def everything(database: Database, folder: Path) -> tuple:
    """All that evaluation and audit read, as values that compare."""
    archive = Archive(folder)
    with database.read() as connection:
        whole = read_whole(connection, REWARDS, SCHEMA, now_s=NOW_S, archive=archive)
        longer = read_log(database, REWARDS, SCHEMA, now_s=NOW_S, horizon_s=600.0, archive=archive)
    audited = [msgspec.structs.replace(r, archived_on=None) for r in past_records(database, archive=archive)]
    arrays = [whole.log.group, whole.log.decided_at, whole.log.indptr, whole.log.arm, whole.log.probability]
    arrays += [whole.log.chosen, whole.log.reward, longer.reward, whole.removed, whole.policies.codes]
    arrays += [*whole.happened.values(), *whole.amounts.values(), whole.log.brought]
    return (
        list(whole.log.ids),
        [a.tobytes() for a in arrays],
        whole.log.facts.rows(),
        dict(whole.log.left_out),
        whole.log.arms,
        whole.removals,
        audited,
    )


def archive_all(database: Database, folder: Path, **options):
    return archive_days(database, folder, before_s=NOW_S - 30 * DAY_S, clock=lambda: NOW_S, **options)


def test_the_same_numbers_come_out_to_the_last_bit(database, tmp_path):
    folder = tmp_path / "archive"
    before = everything(database, folder)

    done = archive_all(database, folder)

    assert [(one.day, one.rows) for one in done] == [("2024-10-04", 1440), ("2024-10-05", 1440), ("2024-10-06", 620)]
    assert everything(database, folder) == before
    before_bytes, after_bytes = compact(str(sqlite_url(tmp_path / "nba.db"))) or (0, 0)
    assert 0 < after_bytes < before_bytes
    with database.read() as connection:
        assert connection.scalar(sa.select(sa.func.count(decisions.c.facts))) == 0


def test_an_id_asked_again_gets_its_answer_and_late_outcomes_count(database, tmp_path):
    folder = tmp_path / "archive"
    archive_all(database, folder)
    with database.read() as connection:
        assert log.answers(connection, ["d000003"])["d000003"].answer == b"answer 3"
        counts = log.counts(connection, now_s=NOW_S)
    assert (counts.total, counts.learned) == (N, N - counts.never)

    def reward():
        found = read_log(database, REWARDS, SCHEMA, now_s=NOW_S, horizon_s=57 * DAY_S, archive=Archive(folder))
        return found.reward[list(found.ids).index("d000003")]

    before = reward()
    late = Outcome(id="late", type="accept", payload_sha256=b"0" * 32, decision="d000003")
    receive(database, FIRST_S + 50 * DAY_S, late)
    assert reward() == before + 1.0


def test_only_closed_days_leave(database, tmp_path):
    folder = tmp_path / "archive"
    with database.write() as connection:
        connection.execute(sa.update(decisions).where(decisions.c.id == "d001500").values(learned_in=None))
    done = archive_days(database, folder, before_s=FIRST_S + 2.5 * DAY_S, clock=lambda: NOW_S)

    # the second day waits for a decision; the third had not ended at the moment asked for
    assert [(one.day, one.rows) for one in done] == [("2024-10-04", 1440), ("2024-10-05", 0)]
    assert "1 of its decisions" in done[1].stays
    assert not (folder / "2024-10-06").exists()
    with database.read() as connection:
        assert [day.name for day in days(connection, before_s=NOW_S)] == ["2024-10-05", "2024-10-06"]


class CrashError(Exception):
    pass


@pytest.mark.parametrize("at", [1, 4, 6, 9, 14])
def test_a_crash_at_any_step_loses_nothing_and_the_next_run_goes_on(database, tmp_path, at):
    folder = tmp_path / "archive"
    before = everything(database, folder)
    steps = 0

    def crash(_day: str, _done: str, _rows: int) -> None:
        nonlocal steps
        steps += 1
        if steps == at:
            raise CrashError

    with pytest.raises(CrashError):
        archive_all(database, folder, progress=crash)
    assert everything(database, folder) == before

    archive_all(database, folder)
    assert everything(database, folder) == before
    rows_archived = [read_manifest(path).rows for path in sorted(folder.glob("20*"))]
    assert rows_archived == [1440, 1440, 620]
    assert archive_all(database, folder) == []
    named = {name for path in folder.glob("20*") for name in (path / "manifest.json").read_text().split('"')}
    assert {path.name for path in folder.glob("20*/*.parquet")} <= named


def test_a_row_that_comes_late_into_an_archived_day_gets_a_part_of_its_own(database, tmp_path):
    folder = tmp_path / "archive"
    archive_all(database, folder)
    late = msgspec.structs.replace(
        rows(1)[0], id="late", kind="normal", decided_at=FIRST_S + 50.0, matures_at=FIRST_S + 60.0
    )
    decide(database, [late])
    before = everything(database, folder)

    assert [(one.day, one.rows) for one in archive_all(database, folder)] == [("2024-10-04", 1)]
    assert len(read_manifest(folder / "2024-10-04").parts) == 2
    assert everything(database, folder) == before


def test_facts_can_be_erased_from_the_archive_and_nothing_else_goes(database, tmp_path):
    folder = tmp_path / "archive"
    archive_all(database, folder)
    erased = {"d000001", "d000002", "d001441"}
    reader = Archive(folder)
    with database.read() as connection:
        stored = [log.get(connection, decision) for decision in sorted(erased)]
    whole = reader.records(stored)
    assert all(r.facts for r in whole)

    assert erase_facts(folder, "2024-10-04", erased, clock=lambda: NOW_S) == 2
    assert erase_facts(folder, "2024-10-04", erased, clock=lambda: NOW_S) == 0
    after = reader.records(stored)  # by a reader that was open before
    assert [r.facts for r in after] == [None, None, whole[2].facts]
    assert [r.probabilities for r in after] == [r.probabilities for r in whole]
    files = sorted(path.name for path in (folder / "2024-10-04").iterdir())
    assert files == ["decisions-000.parquet", "facts-000-2.parquet", "manifest.json"]
    left = [row["id"] for rows in groups(folder / "2024-10-04", _facts(folder), ["id"]) for row in rows]
    assert erased.isdisjoint(left)
    assert len(left) == 1438


def _facts(folder: Path):
    return read_manifest(folder / "2024-10-04").parts[0].facts


def test_facts_erased_while_the_day_is_archived_do_not_survive_in_it(database, tmp_path):
    folder = tmp_path / "archive"

    def erase(_day: str, done: str, _rows: int) -> None:
        if done == "compared":
            with database.write() as connection:
                connection.execute(sa.update(decisions).where(decisions.c.id == "d000004").values(facts=None))

    archive_all(database, folder, progress=erase)
    with database.read() as connection:
        (found,) = Archive(folder).records([log.get(connection, "d000004")])
    assert (found.facts, found.archived_on) == (None, "2024-10-04")
    assert b"d000004" not in (folder / "2024-10-04" / _facts(folder).name).read_bytes()


def test_damage_is_found_before_a_row_is_believed(database, tmp_path):
    folder = tmp_path / "archive"
    archive_all(database, folder)
    path = folder / "2024-10-05" / "decisions-000.parquet"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(StoreError, match="is not what was archived"):
        everything(database, folder)
    path.unlink()
    with pytest.raises(StoreError, match="cannot be read"):
        everything(database, folder)


def test_archived_rows_are_never_read_as_empty_ones(database, tmp_path):
    archive_all(database, tmp_path / "archive")
    with pytest.raises(StoreError, match="archive"):
        read_log(database, REWARDS, SCHEMA, now_s=NOW_S)


def test_two_do_not_archive_at_once(database, tmp_path):
    with alone(tmp_path / "archive", at="tests"), pytest.raises(StoreBusyError):
        archive_all(database, tmp_path / "archive")
