"""What bulk retraining reads from the log, frozen for as long as it takes, and where its model goes."""

import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import sqlalchemy as sa

from bandit_nba.learn.manifest import StoredModel
from bandit_nba.store.database import Database
from bandit_nba.store.learner.learning import close_horizon, teaches, waiting_ids
from bandit_nba.store.registry import definitions, models
from bandit_nba.store.registry.definitions import Kind
from bandit_nba.store.tables import decisions, trained_models

_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(list[str])
_HEAD = b"%020d\n"


class FrozenIds:
    """Ids of decisions in learning order, in a file that outlives the process; taken from the front."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        self._total = int(self._file.readline())
        self._read: list[str] = []

    @classmethod
    def freeze(
        cls, path: Path, database: Database, *, clock: Callable[[], float], since_s: float | None, until_s: float | None
    ) -> "FrozenIds":
        """Write the ids of all decisions that can be learned now and were made in [since_s, until_s)."""
        horizon = close_horizon(database, clock)
        which = teaches(horizon)
        if since_s is not None:
            which &= decisions.c.decided_at >= since_s
        if until_s is not None:
            which &= decisions.c.decided_at < until_s
        fresh = path.with_suffix(".new")
        total = 0
        with database.read() as connection, fresh.open("wb") as file:
            file.write(_HEAD % total)
            for page in waiting_ids(connection, which):
                file.write(_ENCODER.encode(page) + b"\n")
                total += len(page)
            file.seek(0)
            file.write(_HEAD % total)  # of fixed length
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
        return cls(path)

    def __len__(self) -> int:
        return self._total

    def take(self, most: int) -> list[str]:
        """The next ids, at most so many; none are left when it gives none."""
        while len(self._read) < most and (line := self._file.readline()):
            self._read += _DECODER.decode(line)
        taken, self._read = self._read[:most], self._read[most:]
        return taken

    def skip(self, count: int) -> None:
        """Leave the next `count` out."""
        while count > 0 and (taken := self.take(min(count, 10_000))):
            count -= len(taken)

    def close(self) -> None:
        """Read no more."""
        self._file.close()


def keep(
    database: Database,
    model: StoredModel,
    *,
    named: dict[Kind, tuple[str, bytes]],
    now_s: float,
    who: str,
    why: str,
) -> None:
    """Into the registry, beside the learner's chain: it serves once somebody publishes it.

    named: the definitions that the model was learned under, by kind: version and canonical JSON.
    """
    with database.write() as connection:
        for kind, (version, content) in named.items():
            definitions.put(connection, kind, version, content, now_s=now_s)
        models.publish(connection, model)
        row = {"version": model.manifest.version, "at": now_s, "who": who, "why": why}
        connection.execute(sa.insert(trained_models).values(row))
