"""Statements handed to the driver as they are: for the few that every decision waits for.

SQLAlchemy's own path costs 15 us for each statement and 25 us for each transaction, more than SQLite itself needs for a
short one. Texts are still compiled by it, once (see `bulk`).
"""

from collections.abc import Sequence
from typing import Any


class Straight:
    """A transaction of `Database.read_straight` or `write_straight`. backend: "sqlite" or "postgresql"."""

    __slots__ = ("_driver", "backend")

    def __init__(self, driver: Any, backend: str) -> None:
        self._driver = driver
        self.backend = backend

    def rows(self, text: str, parameters: tuple[object, ...] = ()) -> list[Any]:
        """The rows that one statement gives."""
        found: list[Any] = self._driver.execute(text, parameters).fetchall()
        return found

    def run(self, text: str, parameters: tuple[object, ...]) -> None:
        """Run one statement that gives no rows."""
        self._driver.execute(text, parameters)

    def many(self, text: str, rows: Sequence[tuple[object, ...]]) -> None:
        """Run one statement once per row."""
        self._driver.cursor().executemany(text, rows)
