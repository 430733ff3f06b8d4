"""Backups: taken while others write, proven before they are restored, the same store again on either database."""

import hashlib
import itertools
import shutil
import stat
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest
import sqlalchemy as sa
from click.testing import Result
from typer.testing import CliRunner

from bandit_nba.cli import application
from bandit_nba.decide.audit import audit
from bandit_nba.decide.record import DecisionRecord
from bandit_nba.errors import InputError, StoreError
from bandit_nba.learn.guard import Demands
from bandit_nba.online import definitions
from bandit_nba.online.answering import Answer
from bandit_nba.online.collector import Collector
from bandit_nba.online.decider import Decider
from bandit_nba.online.learning_loop import LearningLoop
from bandit_nba.online.messages import DecisionAnswer, DecisionRequest, Outcome
from bandit_nba.online.model_feed import ModelFeed, StoredModels
from bandit_nba.store import models
from bandit_nba.store.archive.close import archive_days, erase_facts
from bandit_nba.store.archive.day import groups, read_manifest
from bandit_nba.store.archive.restore import Archive
from bandit_nba.store.database import Database
from bandit_nba.store.past import StoredPast, past_records
from bandit_nba.store.tables import decisions, metadata
from bandit_nba.workspace import Workspace, init_workspace, open_workspace
from bandit_nba.workspace.backup import back_up
from bandit_nba.workspace.restore import restore, verify
from bandit_nba.workspace.salts import SECRETS_FILE
from tests.online.clock import Clock

if TYPE_CHECKING:
    from tests.postgres import Server


class Shop:
    """A workspace with its store, deciders and a learner, without HTTP."""

    def __init__(self, workspace: Workspace, clock: Clock) -> None:
        self.workspace, self.clock = workspace, clock
        self.database = Database.open(workspace.database_url)
        definitions.register(workspace, self.database, clock=clock)

    def ask(self, ids: list[str], database: Database | None = None) -> None:
        """Decide, and let whoever sees the network's status accept it."""
        database = database or self.database
        demands = Demands.of(self.workspace.policy, self.workspace.catalogue)
        feed = ModelFeed(StoredModels(database, demands), poll_every_s=1.0, clock=self.clock)
        feed.poll()
        decider = Decider(self.workspace, database, feed, clock=self.clock)
        answers = decider.decide_batch([DecisionRequest(decision_id=one, channel="web") for one in ids])
        said = [msgspec.json.decode(a.body, type=DecisionAnswer) for a in answers if isinstance(a, Answer)]
        assert len(said) == len(ids)
        Collector(self.workspace, database, clock=self.clock).collect_batch(
            [
                Outcome(outcome_id=f"o-{a.decision_id}", decision_id=a.decision_id, type="accept")
                for a in said
                if a.arm == "network_status"
            ]
        )

    def learn(self) -> tuple[str, int]:
        """All that has matured; the newest model's weights and how much it has learned."""
        loop = LearningLoop.open(self.workspace, self.database, clock=self.clock)
        loop.start()
        assert loop.stop()
        with self.database.read() as connection:
            version = models.newest(connection)
            assert version is not None
            manifest = models.read(connection, version).manifest
        return manifest.weights_sha256, manifest.examples_learned

    def rows(self) -> dict[str, list[tuple[object, ...]]]:
        """Everything in the store, by table."""
        with self.database.read() as connection:
            return {
                name: sorted((tuple(row) for row in connection.execute(sa.select(table))), key=repr)
                for name, table in metadata.tables.items()
            }

    def ids(self) -> set[str]:
        with self.database.read() as connection:
            return set(connection.execute(sa.select(decisions.c.id)).scalars())

    def records(self) -> Iterator[DecisionRecord]:
        return past_records(self.database, archive=Archive(self.workspace.archive_folder))

    def audited(self) -> bool:
        source = StoredPast(self.database, self.workspace.salts)
        return audit(self.records(), source, rng=np.random.default_rng(0)).ok

    def close(self) -> None:
        self.database.close()


def shop_at(directory: Path, clock: Clock) -> Shop:
    return Shop(open_workspace(directory), clock)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def shop(tmp_path: Path, clock: Clock) -> Iterator[Shop]:
    """A shop on SQLite that has decided 200 times and learned 120 of them."""
    init_workspace(tmp_path / "shop")
    (tmp_path / "shop" / "data" / "archive").mkdir(parents=True)
    (tmp_path / "shop" / "data" / "archive" / "2026-01-31.parquet").write_bytes(b"a closed day")
    (tmp_path / "shop" / "logs").mkdir()
    (tmp_path / "shop" / "logs" / "replica-1.log").write_text("not backed up")
    shop = shop_at(tmp_path / "shop", clock)
    played(shop)
    yield shop
    shop.close()


def played(shop: Shop) -> None:
    shop.ask([f"a-{i}" for i in range(120)])
    shop.clock.now_s += 1_801.0
    shop.learn()
    shop.ask([f"b-{i}" for i in range(80)])


def wait(condition: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 30.0
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.01)


def nba(*arguments: object) -> Result:
    texts = [str(argument) for argument in arguments]
    return CliRunner().invoke(application(texts), texts)


def test_back_up_and_restore_by_command(shop: Shop, tmp_path: Path) -> None:
    made = nba("backup", shop.workspace.path, tmp_path / "backup", "--salts", tmp_path / "salts.toml")
    assert made.exit_code == 0, made.output
    assert "200 decisions" in made.output
    assert "Warning" not in made.output
    checked = nba("restore", tmp_path / "backup", tmp_path / "again", "--verify")
    assert "sound" in checked.output
    assert not (tmp_path / "again").exists()
    restored = nba("restore", tmp_path / "backup", tmp_path / "again", "--salts", tmp_path / "salts.toml", "--json")
    assert restored.exit_code == 0, restored.output

    again = shop_at(tmp_path / "again", shop.clock)
    try:
        assert again.rows() == shop.rows()
        assert again.audited()
    finally:
        again.close()
    assert msgspec.json.decode(restored.output)["rows"]["decisions"] == 200
    archived = tmp_path / "again" / "data" / "archive" / "2026-01-31.parquet"
    assert archived.read_bytes() == b"a closed day"
    assert not (tmp_path / "again" / "logs").exists()
    assert stat.S_IMODE((tmp_path / "again" / SECRETS_FILE).stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "salts.toml").stat().st_mode) == 0o600
    assert nba("audit", tmp_path / "again").exit_code == 0


def test_a_backup_under_load_holds_what_was_acknowledged_before_it(shop: Shop, tmp_path: Path) -> None:
    """Two writers with connections of their own. Of each, the backup holds a beginning without a gap, no shorter than
    what it had been told when the backup began: one moment of the store.
    """
    stop = threading.Event()
    acknowledged: list[list[str]] = [[], []]
    failed: list[BaseException] = []

    def write(writer: int) -> None:
        database = Database.open(shop.workspace.database_url)
        try:
            for batch in itertools.count():
                if stop.is_set():
                    return
                ids = [f"w{writer}-{batch * 3 + i}" for i in range(3)]
                shop.ask(ids, database)
                acknowledged[writer] += ids
        except BaseException as error:
            failed.append(error)
            raise
        finally:
            database.close()

    writers = [threading.Thread(target=write, args=(writer,), daemon=True) for writer in (0, 1)]
    for thread in writers:
        thread.start()
    try:
        wait(lambda: min(map(len, acknowledged)) >= 30)
        before = [list(ids) for ids in acknowledged]
        back_up(shop.workspace, tmp_path / "backup", salts=tmp_path / "salts.toml", clock=shop.clock)
        during = [len(ids) for ids in acknowledged]
        wait(lambda: min(map(len, acknowledged)) >= max(during) + 9)
    finally:
        stop.set()
        for thread in writers:
            thread.join(20)
    assert not failed
    restore(tmp_path / "backup", tmp_path / "again", salts=tmp_path / "salts.toml")

    again = shop_at(tmp_path / "again", shop.clock)
    try:
        found = again.ids()
        for writer in (0, 1):
            kept = [i for i, one in enumerate(acknowledged[writer]) if one in found]
            assert kept == list(range(len(kept)))
            assert len(before[writer]) <= len(kept) <= during[writer] + 3
        assert again.audited()
    finally:
        again.close()


def archived(shop: Shop) -> tuple[Path, str]:
    """All of the shop's decisions learned, and their day closed: its folder, and one of its decisions."""
    shop.clock.now_s += 1_801.0
    shop.learn()
    shop.clock.now_s += 3 * 86_400.0
    (found,) = archive_days(shop.database, shop.workspace.archive_folder, before_s=shop.clock.now_s, clock=shop.clock)
    assert (found.rows, found.stays) == (200, "")
    return shop.workspace.archive_folder / found.day, "a-7"


def test_a_backup_while_facts_are_erased_holds_one_state_of_each_day(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Real erasures, at the worst moments: after each file of the day that was copied, once."""
    day, erased = archived(shop)
    copy, left = shutil.copyfile, [erased, "a-8"]

    def copied_while_erasing(source: Path, target: Path) -> None:
        copy(source, target)
        if left and Path(source).parent == day:
            assert erase_facts(day.parent, day.name, [left.pop()], clock=shop.clock) == 1

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "copyfile", copied_while_erasing)
        back_up(shop.workspace, tmp_path / "backup", salts=tmp_path / "salts.toml", clock=shop.clock)
    restore(tmp_path / "backup", tmp_path / "again", salts=tmp_path / "salts.toml")

    again = shop_at(tmp_path / "again", shop.clock)
    try:
        facts = {record.id: record.facts for record in again.records()}
        assert len(facts) == 200
        assert {name for name, found in facts.items() if found is None} == {"a-7", "a-8"}
        kept = {path.name for path in again.workspace.archive_folder.glob(f"{day.name}/*")}
        assert kept == {path.name for path in day.iterdir()}
        assert again.audited()
    finally:
        again.close()


def test_a_backup_in_the_midst_of_erasures_is_whole_each_time(shop: Shop, tmp_path: Path) -> None:
    day, _ = archived(shop)
    stop, names = threading.Event(), [f"a-{i}" for i in range(120)]

    def erase() -> None:
        while names and not stop.is_set():
            erase_facts(day.parent, day.name, [names.pop()], clock=shop.clock)

    eraser = threading.Thread(target=erase)
    eraser.start()
    try:
        for i in range(8):
            back_up(shop.workspace, tmp_path / f"backup-{i}", clock=shop.clock)
            copied = tmp_path / f"backup-{i}" / "files" / "data" / "archive"
            (part,) = read_manifest(copied / day.name).parts  # type: ignore[union-attr]  # it is there
            assert sum(map(len, groups(copied / day.name, part.decisions, ["id"]))) == 200
            assert sum(map(len, groups(copied / day.name, part.facts, ["id"]))) == part.facts.rows
    finally:
        stop.set()
        eraser.join(20)


def test_the_ledger_of_promotions_comes_along_and_unfinished_work_does_not(shop: Shop, tmp_path: Path) -> None:
    """Without the ledger a restored shop would look at challengers as if nobody ever had."""
    (shop.workspace.path / "data" / "promotions.jsonl").write_text('{"kind":"searched"}\n')
    (shop.workspace.path / "training" / "x").mkdir(parents=True)
    (shop.workspace.path / "training" / "x" / "ids").write_text("half")
    back_up(shop.workspace, tmp_path / "backup", clock=shop.clock)

    files = {path.relative_to(tmp_path / "backup" / "files").as_posix() for path in tmp_path.glob("backup/files/**/*")}
    assert "data/promotions.jsonl" in files
    assert not any(name.startswith(("training", "data/nba.db")) for name in files)


def test_the_learner_goes_on_as_if_nothing_had_happened(shop: Shop, tmp_path: Path) -> None:
    back_up(shop.workspace, tmp_path / "backup", salts=tmp_path / "salts.toml", clock=shop.clock)
    restore(tmp_path / "backup", tmp_path / "again", salts=tmp_path / "salts.toml")
    again = shop_at(tmp_path / "again", shop.clock)
    shop.clock.now_s += 1_801.0
    try:
        uninterrupted, after = shop.learn(), again.learn()
    finally:
        again.close()

    assert after == uninterrupted
    assert after[1] == 200


def test_any_damage_is_refused_by_the_files_name_before_anything_is_written(shop: Shop, tmp_path: Path) -> None:
    """One bit turned at a random place of each file, each file cut, each file gone."""
    back_up(shop.workspace, tmp_path / "backup", clock=shop.clock)
    verify(tmp_path / "backup")
    rng = np.random.default_rng(1)
    files = sorted(path for path in (tmp_path / "backup").rglob("*") if path.is_file())
    assert len(files) > 20
    for path in files:
        content = path.read_bytes()
        flipped = bytearray(content)
        place = int(rng.integers(min(64, len(content)) if path.suffix == ".sha256" else len(content)))
        flipped[place] ^= 1 << int(rng.integers(8))
        for damaged in (bytes(flipped), content[: len(content) // 2], None):
            path.unlink()
            if damaged is not None:
                path.write_bytes(damaged)
            with pytest.raises(StoreError, match=r"damaged|not whole|no backup") as refused:
                restore(tmp_path / "backup", tmp_path / "again")
            assert path.name.removesuffix(".sha256") in refused.value.where
        path.write_bytes(content)

    assert not (tmp_path / "again").exists()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_what_the_manifest_does_not_name_is_not_restored(shop: Shop, tmp_path: Path) -> None:
    """A file that was laid into a backup has no checksum, and a link brings in what lies elsewhere."""
    back_up(shop.workspace, tmp_path / "backup", clock=shop.clock)
    (tmp_path / "elsewhere").write_text("not of the backup")
    for name in ("files/secrets/salts.toml", "files/values.toml", "tables/extra.parquet", "more"):
        laid = tmp_path / "backup" / name
        laid.parent.mkdir(exist_ok=True)
        for put in (lambda path: path.write_text("x = 1"), lambda path: path.symlink_to(tmp_path / "elsewhere")):
            put(laid)
            with pytest.raises(StoreError, match="does not name") as refused:
                restore(tmp_path / "backup", tmp_path / "again")
            assert refused.value.where == name
            laid.unlink()

    assert not (tmp_path / "again").exists()
    verify(tmp_path / "backup")


def test_a_manifest_that_names_what_lies_outside_is_refused(shop: Shop, tmp_path: Path) -> None:
    back_up(shop.workspace, tmp_path / "backup", clock=shop.clock)
    (tmp_path / "elsewhere").write_bytes(b"secret")
    path = tmp_path / "backup" / "manifest.json"
    told = msgspec.json.decode(path.read_bytes())
    for name in ("../elsewhere", str(tmp_path / "elsewhere")):
        one = {"path": name, "bytes": 6, "sha256": hashlib.sha256(b"secret").hexdigest()}
        path.write_bytes(msgspec.json.encode(told | {"files": [*told["files"], one]}))
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        path.with_name("manifest.json.sha256").write_text(f"{digest}  manifest.json")
        with pytest.raises(StoreError, match="outside"):
            verify(tmp_path / "backup")


def test_secrets_are_never_in_a_backup(shop: Shop, tmp_path: Path) -> None:
    keys = [shop.workspace.pseudonym_key, *(salt.key for salt in shop.workspace.salts.values())]
    back_up(shop.workspace, tmp_path / "backup", salts=tmp_path / "salts.toml", clock=shop.clock)

    for path in (tmp_path / "backup").rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert not any(key in content or key.hex().encode() in content for key in keys), path
    with pytest.raises(InputError, match="password does not belong"):
        restore(tmp_path / "backup", tmp_path / "again", database="postgresql://nba:hunter2@db/shop")
    assert not (tmp_path / "again").exists()


def test_what_is_there_is_not_overwritten(shop: Shop, tmp_path: Path) -> None:
    salts = tmp_path / "salts.toml"
    back_up(shop.workspace, tmp_path / "backup", salts=salts, clock=shop.clock)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "note").write_text("mine")
    salts_of_another = tmp_path / "other-salts.toml"
    init_workspace(tmp_path / "another")
    salts_of_another.write_text((tmp_path / "another" / SECRETS_FILE).read_text())

    with pytest.raises(InputError, match="there already"):
        back_up(shop.workspace, tmp_path / "backup", clock=shop.clock)
    with pytest.raises(InputError, match="its own workspace"):
        back_up(shop.workspace, shop.workspace.path / "backup", clock=shop.clock)
    with pytest.raises(InputError, match="apart from the backup"):
        back_up(shop.workspace, tmp_path / "b2", salts=tmp_path / "b2" / "salts.toml", clock=shop.clock)
    with pytest.raises(InputError, match="with other content"):
        back_up(shop.workspace, tmp_path / "b2", salts=salts_of_another, clock=shop.clock)
    with pytest.raises(InputError, match="not empty"):
        restore(tmp_path / "backup", tmp_path / "other")
    with pytest.raises(InputError, match="not the secrets of this backup"):
        restore(tmp_path / "backup", tmp_path / "new", salts=salts_of_another)
    assert not (tmp_path / "new").exists()
    assert not (tmp_path / "b2").exists()

    done = restore(tmp_path / "backup", tmp_path / "other", salts=salts, force=True, clock=shop.clock)
    assert done.replaced is not None
    assert (done.replaced / "note").read_text() == "mine"
    assert open_workspace(tmp_path / "other").salt.id == shop.workspace.salt.id


def test_without_the_secrets_it_says_so(shop: Shop, tmp_path: Path) -> None:
    made = nba("backup", shop.workspace.path, tmp_path / "backup")
    assert "Warning: without the secrets no logged draw can be audited" in made.output
    restored = nba("restore", tmp_path / "backup", tmp_path / "again")

    assert restored.exit_code == 0, restored.output
    assert "Warning: the workspace has no secrets yet" in restored.output


@pytest.mark.parametrize("source", ["sqlite", "postgresql"])
def test_the_same_store_on_postgresql(source: str, tmp_path: Path, clock: Clock, postgres: "Server") -> None:
    """From SQLite or PostgreSQL into PostgreSQL: row for row, and the next decision and lesson as before."""
    url, empty = postgres.store(), postgres.empty()
    init_workspace(tmp_path / "shop")
    if source == "postgresql":
        settings = tmp_path / "shop" / "service.toml"
        line = f"database = {msgspec.json.encode(url).decode()}"
        settings.write_text(settings.read_text().replace('database = ""', line))
    shop = shop_at(tmp_path / "shop", clock)
    again = None
    try:
        played(shop)
        back_up(shop.workspace, tmp_path / "backup", salts=tmp_path / "salts.toml", clock=clock)
        restore(tmp_path / "backup", tmp_path / "again", salts=tmp_path / "salts.toml", database=empty)
        with pytest.raises(StoreError, match="holds data already"):
            restore(tmp_path / "backup", tmp_path / "twice", salts=tmp_path / "salts.toml", database=empty)
        assert not (tmp_path / "twice").exists()
        again = shop_at(tmp_path / "again", clock)
        assert again.workspace.database_url == empty
        assert again.rows() == shop.rows()
        assert again.audited()
        clock.now_s += 1_801.0
        assert again.learn() == shop.learn()
    finally:
        shop.close()
        if again is not None:
            again.close()
        postgres.drop(url)
        postgres.drop(empty)
