"""PostgreSQL: one database for many machines; a commit that returned is on the server's disk.

Nothing waits for ever: not for a connection, a lock or a dead server. A connection that the server has closed is
noticed before it is used, without asking the server, so that after a restart of the server the next transaction works.
"""

import select
from typing import Any

import psycopg
import sqlalchemy as sa
from psycopg.pq import TransactionStatus

from bandit_nba.errors import StoreError

_CONNECTIONS = 16
_ON_CONNECT = """
SELECT set_config('lock_timeout', %s, false),
       set_config('idle_in_transaction_session_timeout', %s, false),
       set_config('synchronous_commit',
                  CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on'
                  ELSE current_setting('synchronous_commit') END, false)
"""
_IDLE_S = 300
_DEFAULTS = {
    "connect_timeout": 5,
    "application_name": "bandit-nba",
    "keepalives_idle": 30,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,  # milliseconds until what was sent must have been received
}


def place(url: sa.URL) -> str:
    """Where the store is, for people: never with a password."""
    return url.set(query={}).render_as_string(hide_password=True)


def reader(url: sa.URL, *, busy_s: float) -> sa.Engine:
    """Snapshots that cannot write."""
    engine = _engine(url, busy_s=busy_s)
    sa.event.listen(engine, "connect", _read_only)
    return engine


def writer(url: sa.URL, *, busy_s: float) -> sa.Engine:
    """Transactions at READ COMMITTED; where that is not enough, statements take row or advisory locks."""
    return _engine(url, busy_s=busy_s)


def is_lost(driver: "psycopg.Connection[Any]") -> bool:
    """Whether a statement failed: the server then answers COMMIT by rolling back, which psycopg does not tell."""
    return driver.info.transaction_status is TransactionStatus.INERROR


def _engine(url: sa.URL, *, busy_s: float) -> sa.Engine:
    engine = sa.create_engine(
        url.set(drivername="postgresql+psycopg"),
        pool_size=_CONNECTIONS,
        max_overflow=0,
        pool_timeout=busy_s,
        connect_args={name: value for name, value in _DEFAULTS.items() if name not in url.query},
        hide_parameters=True,
    )
    sa.event.listen(engine, "connect", lambda driver, _: _configure(driver, busy_s))
    sa.event.listen(engine, "checkout", _refuse_closed)
    return engine


def _configure(driver: "psycopg.Connection[Any]", busy_s: float) -> None:
    encoding = driver.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise StoreError(
            "its database cannot hold every text",
            got=encoding,
            allowed="UTF8",
            hint="CREATE DATABASE ... ENCODING UTF8",
        )
    driver.autocommit = True
    driver.execute(_ON_CONNECT, (f"{busy_s * 1_000:.0f}", f"{_IDLE_S * 1_000}"))
    driver.autocommit = False


def _read_only(driver: "psycopg.Connection[Any]", _entry: object) -> None:
    driver.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    driver.read_only = True


def _refuse_closed(driver: "psycopg.Connection[Any]", _entry: object, _fairy: object) -> None:
    """A server says nothing to an idle client; what there is to read is its farewell. All other connections go, too."""
    if driver.closed or _has_news(driver.fileno()):
        raise sa.exc.InvalidatePoolError


def _has_news(descriptor: int) -> bool:
    asked = select.poll()  # `select.select` takes no descriptor above 1,023, which a busy service soon has
    asked.register(descriptor, select.POLLIN)
    return bool(asked.poll(0))
