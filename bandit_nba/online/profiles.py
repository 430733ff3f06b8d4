"""Customer profiles as they are imported: checked, put behind pseudonyms, kept as a whole."""

import time
from collections.abc import Callable, Sequence

from bandit_nba.catalogue.facts import FactValue, checked
from bandit_nba.customers.pseudonym import pseudonym
from bandit_nba.errors import NbaError
from bandit_nba.online.catalogue_feed import CatalogueFeed
from bandit_nba.online.messages import CustomerProfile
from bandit_nba.store import customers as customer_store
from bandit_nba.store.database import Database
from bandit_nba.workspace import Workspace


class ProfileBook:
    """Takes profiles for one workspace; safe to share between threads.

    catalogues: whose facts count; by default the workspace's own catalogue.
    """

    def __init__(
        self,
        workspace: Workspace,
        database: Database,
        *,
        clock: Callable[[], float] = time.time,
        catalogues: CatalogueFeed | None = None,
    ) -> None:
        self._workspace = workspace
        self._catalogues = catalogues
        self._key = workspace.pseudonym_key
        self._database = database
        self._clock = clock

    def put_batch(self, profiles: Sequence[CustomerProfile]) -> list[NbaError | None]:
        """Keep each sound profile in place of the one before (of two for one customer the later); errors by place.

        Raises
        ------
        StoreError
            If nothing could be stored.
        """
        out: list[NbaError | None] = [None] * len(profiles)
        rows: dict[str, dict[str, FactValue]] = {}
        for i, profile in enumerate(profiles):
            try:
                rows[pseudonym(self._key, profile.customer_id)] = self._facts(profile)
            except NbaError as error:
                out[i] = error
        if rows:
            with self._database.write() as connection:
                customer_store.upsert(connection, rows, now_s=self._clock())
        return out

    def _facts(self, profile: CustomerProfile) -> dict[str, FactValue]:
        """The known facts; null says no more than a fact that is left out."""
        workspace = self._catalogues.current().workspace if self._catalogues else self._workspace
        schema = workspace.catalogue.facts
        facts = {name: checked(name, value, schema, where="facts") for name, value in profile.facts.items()}
        return {name: value for name, value in facts.items() if value is not None}
