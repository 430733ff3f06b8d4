"""What is restored is proven first, never overwrites, and is the same store again on either database."""

import hashlib
import shutil
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import sqlalchemy as sa

from bandit_nba.errors import InputError, SettingsError, StoreError
from bandit_nba.store import customers, dump
from bandit_nba.store.database import Database, sqlite_url
from bandit_nba.store.migrate import upgrade
from bandit_nba.store.tables import decisions, metadata
from bandit_nba.workspace import init_workspace, open_workspace
from bandit_nba.workspace.backup import MANIFEST, BackupFile, BackupManifest, back_up, sha256_of
from bandit_nba.workspace.restore import restore, verify
from bandit_nba.workspace.salts import SECRETS_FILE
from tests.command import nba
from tests.online.clock import Clock
from tests.postgres import Server
from tests.workspace.shop import Shop, played, shop_at


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
    for url, why in (("nonsense", "is not a database URL"), ("mysql://x/y", "of another kind")):
        with pytest.raises(SettingsError, match=why):
            restore(tmp_path / "backup", tmp_path / "new", salts=salts, database=url)
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
def test_the_same_store_on_postgresql(source: str, tmp_path: Path, clock: Clock, postgres: Server) -> None:
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


@pytest.mark.parametrize("revision", ["0007", "0009"])
def test_a_backup_of_an_older_release_is_brought_up_to_date(shop: Shop, tmp_path: Path, revision: str) -> None:
    """Its own columns row for row; what came later is as after a migration."""
    with shop.database.write() as connection:
        customers.upsert(connection, {"c1": {"tenure_months": 3.0}, "c2": {}}, now_s=shop.clock.now_s)
    back_up(shop.workspace, tmp_path / "backup", salts=tmp_path / "salts.toml", clock=shop.clock)
    made_by_an_older_release(shop, tmp_path / "backup", tmp_path / "old.db", revision)
    restore(tmp_path / "backup", tmp_path / "again", salts=tmp_path / "salts.toml")

    again = shop_at(tmp_path / "again", shop.clock)
    try:
        assert again.rows() == shop.rows()  # customers' facts count from when they were kept, as they did
        assert again.audited()
    finally:
        again.close()


def _as_it_was(table: sa.Table) -> sa.Select[Any]:
    """Today's rows of a table that an older release has."""
    if table.name == "decision_facts":
        today = decisions.c.facts
        return sa.select(decisions.c.id.label("decision"), today).where(today.is_not(None))
    return sa.select(*[metadata.tables[table.name].c[column.name] for column in table.columns])


def made_by_an_older_release(shop: Shop, backup: Path, scratch: Path, revision: str) -> None:
    """Let a backup be what the release with this schema would have made of the same rows."""
    shutil.rmtree(backup / "tables")
    (backup / "tables").mkdir()
    old = Database.unchecked(sqlite_url(scratch), create=True)
    with old.write() as connection, shop.database.read() as source:
        upgrade(connection, to=revision)
        tables = dump.tables_of(connection)
        for table in tables:
            rows = [row._asdict() for row in source.execute(_as_it_was(table))]
            connection.execute(sa.delete(table))
            if rows:
                connection.execute(sa.insert(table), rows)
        dumped = [dump._dump(connection, table, backup / "tables", lambda *_: None) for table in tables]
    old.close()
    manifest = msgspec.json.decode((backup / MANIFEST).read_bytes(), type=BackupManifest)
    kept = [one for one in manifest.files if not one.path.startswith("tables/")]
    made = [
        BackupFile(path=f"tables/{path.name}", bytes=path.stat().st_size, sha256=sha256_of(path))
        for path in sorted((backup / "tables").iterdir())
    ]
    older = msgspec.structs.replace(manifest, revision=revision, tables=tuple(dumped), files=(*kept, *made))
    content = msgspec.json.encode(older)
    (backup / MANIFEST).write_bytes(content)
    (backup / f"{MANIFEST}.sha256").write_text(hashlib.sha256(content).hexdigest())
