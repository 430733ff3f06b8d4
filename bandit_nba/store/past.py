"""What past decisions name, read from the store: definitions, models and, beside the store, salts."""

from collections.abc import Iterator, Mapping
from itertools import islice

from bandit_nba.decide.audit.recompute import DefinitionKind
from bandit_nba.decide.choice.salt import Salt
from bandit_nba.decide.record import DecisionRecord
from bandit_nba.decide.scoring import Scorer
from bandit_nba.learn.guard import verified
from bandit_nba.store.archive.restore import NO_ARCHIVE, Archive
from bandit_nba.store.database import Database
from bandit_nba.store.log import decisions
from bandit_nba.store.registry import definitions, models

PAGE = 5_000


class StoredPast:
    """`decide.audit.recompute.Source` over a database and the workspace's salts."""

    def __init__(self, database: Database, salts: Mapping[str, Salt]) -> None:
        self._database = database
        self._salts = salts

    def definition(self, kind: DefinitionKind, version: str) -> bytes | None:
        """Canonical JSON of a definition, None if it is not known."""
        with self._database.read() as connection:
            return definitions.get(connection, kind, version)

    def scorer(self, version: str) -> Scorer:
        """A published model, verified; raises `UnknownIdError` or `ModelError` if it is gone or damaged."""
        with self._database.read() as connection:
            stored = models.read(connection, version)
        return verified(stored)

    def salt(self, salt_id: str) -> Salt | None:
        """The salt of that id, None if the workspace does not hold it."""
        return self._salts.get(salt_id)


def past_records(
    database: Database,
    *,
    since_s: float | None = None,
    limit: int | None = None,
    page: int = PAGE,
    archive: Archive = NO_ARCHIVE,
    imported: bool = True,
) -> Iterator[DecisionRecord]:
    """At most `limit` decisions made at or after `since_s`, in (decided_at, id) order, read page by page.

    archive: where rows lie whose large columns have left the store. imported: with those that were made elsewhere, of
    which nothing can be made again. Each page is a short snapshot of its own, so that a
    long audit does not keep the write-ahead log from being reused.
    """
    at_since: set[str] = set()  # ids already read that were decided at `since_s` itself
    while limit is None or limit > 0:
        size = page if limit is None else min(page, limit)
        with database.read() as connection:
            found = decisions.scan(connection, since_s=since_s, batch=size + len(at_since))
            records = list(islice((record for record in found if record.id not in at_since), size))
        yield from archive.records([record for record in records if imported or record.origin is None])
        if len(records) < size:
            return
        limit = None if limit is None else limit - size
        last_s = records[-1].decided_at
        at_last = {record.id for record in records if record.decided_at == last_s}
        at_since = at_last | at_since if last_s == since_s else at_last
        since_s = last_s
