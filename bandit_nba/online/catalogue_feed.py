"""The catalogue and the policy in force: looked for in the background, compiled, and swapped in between two batches.

Which catalogue that is stands in the store, not in the file: `nba catalogue apply` moves it. A decision is written only
under the catalogue in force (see `decider`), so that following it late costs a second decision, never a wrong one.

A policy comes into force by a start with its file, or by `nba promote` (also when it rolls back). Each decision names
the policy that made it, so that replicas may follow one after the other. One that needs other models than those that
are served and learned here waits for a restart.
"""

import logging
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import replace

from bandit_nba.errors import NbaError, StoreError
from bandit_nba.online import definitions
from bandit_nba.online.making import Distrust, Making, Observe
from bandit_nba.online.repeat import Repeat
from bandit_nba.store.database import Database
from bandit_nba.store.registry import definitions as definition_store
from bandit_nba.workspace import Workspace

log = logging.getLogger("nba.catalogue")


class CatalogueFeed:
    """Follows the catalogue in force for one workspace; safe to share between threads.

    Begins with the workspace's own catalogue, and goes on with it where none has been applied.
    """

    def __init__(
        self,
        workspace: Workspace,
        database: Database,
        *,
        clock: Callable[[], float] = time.time,
        new_id: Callable[[], str] = lambda: uuid.uuid4().hex,
        distrust: Distrust = lambda version, why: None,  # noqa: ARG005 (nobody is told)
        observe: Observe = lambda decisions: None,  # noqa: ARG005 (the same)
    ) -> None:
        self.swaps = 0
        self._left: set[str] = set()  # policies that do not act here
        self._database = database
        self._clock = clock
        self._new_id = new_id
        self._distrust = distrust
        self._observe = observe
        self._one_at_a_time = threading.Lock()
        self._making = Making(workspace, clock=clock, new_id=new_id, distrust=distrust, observe=observe)
        self._repeat = Repeat(self.follow, every_s=workspace.service.poll_every_s, name="nba-catalogue-feed")

    def current(self) -> Making:
        """What makes decisions now; take it once per batch."""
        return self._making

    def start(self) -> None:
        """Follow in the background."""
        self._repeat.start()

    def stop(self) -> None:
        """End that."""
        self._repeat.stop()

    @property
    def alive(self) -> bool:
        """Whether it still follows in the background."""
        return self._repeat.alive

    def follow(self) -> bool:
        """Look which catalogue and policy are in force, and swap them in; True if one of them was another one.

        Raises
        ------
        StoreError
            If it cannot be read, or does not fit this service's policy: no decision can be made then.
        """
        with self._one_at_a_time:
            with self._database.read() as connection:
                found = definition_store.catalogue_in_force(connection)
                policy = definition_store.policy_version_in_force(connection)
            before = workspace = self._making.workspace
            if found is not None and found.version != workspace.catalogue.version:
                catalogue = definitions.catalogue(self._database, found.version)
                workspace = definitions.with_catalogue(workspace, catalogue)
                try:
                    self._making = self._made(workspace)
                except NbaError as error:
                    raise StoreError(
                        f"the catalogue in force does not fit this service ({error})",
                        where=f"catalogue {found.version}",
                        hint="apply one that does, or restart the service if policy.toml has changed",
                    ) from error
                log.info("catalogue %s is in force", found.version)
            if policy is not None and policy != workspace.policy.version and policy not in self._left:
                self._take(policy, workspace)
            self.swaps += self._making.workspace is not before
            return self._making.workspace is not before

    def _made(self, workspace: Workspace) -> Making:
        return Making(workspace, clock=self._clock, new_id=self._new_id, distrust=self._distrust, observe=self._observe)

    def _take(self, version: str, workspace: Workspace) -> None:
        """Go on with a promoted policy; one that does not fit what runs here is left alone, and said so once."""
        try:
            policy = definitions.policy(self._database, version)
            if policy == workspace.policy:  # the same content under the version of another program
                self._left.add(version)
            elif definitions.same_models(policy, workspace.policy):
                self._making = self._made(replace(workspace, policy=policy))
                log.info("policy %s (%s) is in force", version, policy.name)
            else:
                self._left.add(version)
                log.warning("policy %s needs other models: start the service again, so that it acts", version)
        except StoreError:
            raise
        except NbaError as error:
            self._left.add(version)
            log.error("policy %s is left alone: %s", version, error)
