"""After an fsync that failed: nothing is taken for committed, the connection is another one, what was there stays."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.processes import ROOT
from tests.faults.shim import Faults, build, compiler

pytestmark = pytest.mark.skipif(compiler() is None, reason="the shim between SQLite and the kernel needs a C compiler")

SCRIPT = """
import errno, os, sys
from pathlib import Path
import sqlalchemy as sa
from bandit_nba.errors import StoreBusyError, StoreError
from bandit_nba.store.database import Database, sqlite_url
from bandit_nba.store.tables import definitions
from tests.faults.shim import Rule, attached

faults = attached(Path(os.environ["NBA_FAULTS"]))
database = Database.open(sqlite_url(Path(sys.argv[1])))

def put(name):
    with database.write() as connection:
        row = {"kind": "policy", "version": name, "content": b"{}" * 4_000, "created_at": 1.0}
        connection.execute(sa.insert(definitions).values(row))
        return connection.connection.driver_connection

def there():
    with database.read() as connection:
        return list(connection.execute(sa.select(definitions.c.version).order_by(definitions.c.version)).scalars())

kept = [put("a"), put("b")]
assert kept[0] is kept[1]  # one connection, as long as all is well
faults.arm(Rule(call=sys.argv[2], action="fail", error=getattr(errno, sys.argv[3])))
try:
    put("c")
except StoreError as error:
    assert not isinstance(error, StoreBusyError)
    print(error.what)
else:
    sys.exit("a commit that failed was taken for done")
assert faults.hits == 1
assert there() == ["a", "b"], there()
reopened = put("d") is not kept[0]
assert reopened == (sys.argv[3:] == ["EIO"] or sys.argv[2] == "fsync")  # a full disk spoils no connection
assert there() == ["a", "b", "d"], there()
database.close()
database = Database.open(sqlite_url(Path(sys.argv[1])))
with database.read() as connection:
    assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
assert there() == ["a", "b", "d"], there()
"""


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        ("fsync", "EIO", "a disk error"),
        ("write", "EIO", "a disk error"),
        ("write", "ENOSPC", "the disk or the quota is full"),
        ("fsync", "ENOSPC", "a disk error"),
    ],
)
def test_a_call_that_fails_once(tmp_path: Path, call: str, error: str, words: str) -> None:
    environment = {
        **os.environ,
        "NBA_FAULTS": str(Faults(tmp_path / "rule").path),
        "LD_PRELOAD": str(build(tmp_path)),
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "nba.db"), call, error]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert words in done.stdout
