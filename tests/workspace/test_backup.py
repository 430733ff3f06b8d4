"""Backups: taken while others write, archive and erase, one state of everything, and never the secrets."""

import itertools
import shutil
import stat
import threading
from pathlib import Path

import msgspec
import pytest

from bandit_nba.errors import InputError
from bandit_nba.store.archive.close import erase_facts
from bandit_nba.store.archive.day import groups, read_manifest
from bandit_nba.store.database import Database
from bandit_nba.workspace.backup import back_up
from bandit_nba.workspace.restore import restore
from bandit_nba.workspace.salts import SECRETS_FILE
from tests.command import nba
from tests.workspace.shop import Shop, archived, shop_at, wait


def test_back_up_and_restore_by_command(shop: Shop, tmp_path: Path) -> None:
    made = nba("backup", shop.workspace.path, tmp_path / "back up", "--salts", tmp_path / "salts.toml")
    assert made.exit_code == 0, made.output
    assert "200 decisions" in made.output
    assert "Warning" not in made.output
    assert f"nba restore '{tmp_path}/back up' NEW_DIR" in made.output
    checked = nba("restore", tmp_path / "back up", tmp_path / "again", "--verify")
    assert "sound" in checked.output
    assert not (tmp_path / "again").exists()
    restored = nba("restore", tmp_path / "back up", tmp_path / "again", "--salts", tmp_path / "salts.toml", "--json")
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


def test_a_copy_of_the_secrets_beside_the_settings_is_not_backed_up(shop: Shop, tmp_path: Path) -> None:
    place = shop.workspace.path
    with pytest.raises(InputError, match="apart from the workspace"):
        back_up(shop.workspace, tmp_path / "backup", salts=place / "mine.toml", clock=shop.clock)
    (place / "old").mkdir()
    shutil.copyfile(place / SECRETS_FILE, place / "old" / "salts.bak")
    with pytest.raises(InputError, match="holds a secret") as refused:
        back_up(shop.workspace, tmp_path / "backup", clock=shop.clock)

    assert refused.value.where == str(place / "old" / "salts.bak")
    assert not any(key.hex() in str(refused.value) for key in [shop.workspace.pseudonym_key])
    assert list(tmp_path.iterdir()) == [place]


def test_a_link_does_not_lead_a_backup_into_its_own_workspace(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(shop.workspace.path)
    with pytest.raises(InputError, match="its own workspace"):
        back_up(shop.workspace, tmp_path / "link" / "backup", clock=shop.clock)
    with pytest.raises(InputError, match="apart from the workspace"):
        back_up(shop.workspace, tmp_path / "b", salts=tmp_path / "link" / "mine.toml", clock=shop.clock)
