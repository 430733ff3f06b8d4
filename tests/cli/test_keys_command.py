"""`nba keys` and `nba audit-log` on a real workspace."""

from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa
from click.testing import Result

from bandit_nba.access.key import parsed
from bandit_nba.store import keys
from bandit_nba.store.database import Database
from bandit_nba.store.tables import api_keys
from bandit_nba.store.tables import audit_log as audit_table
from bandit_nba.workspace import init_workspace, open_workspace
from tests.command import nba


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    init_workspace(tmp_path / "shop")
    return tmp_path / "shop"


def data(result: Result):
    return msgspec.json.decode(result.stdout)


def create(workspace: Path, *more: str) -> dict[str, str]:
    return data(nba("keys", "create", workspace, "--name", "shop", "--scope", "decide", *more, "--json"))


def test_a_key_is_printed_once_and_kept_as_a_digest_only(workspace: Path) -> None:
    printed = nba("keys", "create", workspace, "--name", "shop", "--scope", "decide").stdout.strip()

    key = parsed(printed)
    assert key is not None
    database = Database.open(open_workspace(workspace).database_url)
    with database.read() as connection:
        ((grant, digest),) = keys.every(connection)
        row = connection.execute(sa.select(api_keys)).one()
    database.close()
    assert (grant.key_id, digest) == (key.id, key.digest)
    assert key.secret not in [value for value in row if isinstance(value, bytes)]
    secret = printed.split("_", 2)[2]  # which may have a "_" of its own
    assert len(secret) == 43
    assert secret not in nba("keys", "list", workspace).output + nba("audit-log", "list", workspace).output
    assert not [file for file in workspace.rglob("*") if file.is_file() and secret.encode() in file.read_bytes()]


def test_rotating_gives_the_same_rights_and_ends_the_old_key(workspace: Path) -> None:
    first = create(workspace, "--channel", "web", "--rate", "5", "--per-day", "1000")
    second = data(nba("keys", "rotate", workspace, first["id"], "--overlap", "PT1H", "--json"))
    third = nba("keys", "rotate", workspace, second["id"])

    listed = {key["id"]: key for key in data(nba("keys", "list", workspace, "--json"))["keys"]}
    old, new = listed[first["id"]], listed[second["id"]]
    same = ("scopes", "channels", "client", "ratePerS", "perDay", "state")
    assert [old[name] for name in same] == [new[name] for name in same]
    assert old["expiresAt"] is not None
    assert new["expiresAt"] is None
    assert third.exit_code == 2
    assert "2 live keys" in third.stderr


def test_revoking_and_the_audit_log_of_it(workspace: Path) -> None:
    made = create(workspace)
    assert nba("keys", "revoke", workspace, made["id"]).exit_code == 0
    assert "before" in nba("keys", "revoke", workspace, made["id"]).output

    entries = data(nba("audit-log", "list", workspace, "--json"))["entries"]
    assert [(entry["action"], entry["subject"]) for entry in entries] == [
        ("key.revoke", made["id"]),
        ("key.create", made["id"]),
    ]
    assert all(entry["actor"].startswith("cli") for entry in entries)
    head = data(nba("audit-log", "verify", workspace, "--json"))["head"]
    assert nba("audit-log", "verify", workspace, "--head", head).exit_code == 0


def test_verify_names_the_first_broken_entry(workspace: Path) -> None:
    made = create(workspace)
    nba("keys", "revoke", workspace, made["id"])
    database = Database.open(open_workspace(workspace).database_url)
    with database.write() as connection:
        connection.execute(sa.update(audit_table).where(audit_table.c.seq == 2).values(actor="somebody else"))
    database.close()

    found = nba("audit-log", "verify", workspace)
    assert found.exit_code == 1
    assert "entry 2 was changed" in found.output
    assert data(nba("audit-log", "verify", workspace, "--json"))["brokenAt"] == 2


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--scope", "decied"], "decide"),
        (["--scope", "decide", "--channel", "wep"], "web"),
        (["--scope", "decide", "--expires", "30d"], "P30D"),
    ],
)
def test_mistakes_are_refused_with_what_was_meant(workspace: Path, more: list[str], said: str) -> None:
    refused = nba("keys", "create", workspace, "--name", "shop", *more)

    assert refused.exit_code == 2
    assert said in refused.stderr
    assert data(nba("keys", "list", workspace, "--json"))["keys"] == []


def test_unknown_keys_are_told(workspace: Path) -> None:
    for command in ("rotate", "revoke"):
        refused = nba("keys", command, workspace, "0123456789ab")
        assert refused.exit_code == 2
        assert "no such key" in refused.stderr
