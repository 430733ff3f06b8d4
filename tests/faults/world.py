"""A running service under load: replicas, a learner, clients with a history; then everything is checked."""

import contextlib
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

import sqlalchemy as sa

from bandit_nba.online import serving
from bandit_nba.store.database import Database
from bandit_nba.store.registry import models
from bandit_nba.workspace import open_workspace
from tests.faults.check import Counts, check
from tests.faults.history import History
from tests.faults.load import Load
from tests.faults.processes import Process
from tests.faults.ray_service import RayService
from tests.faults.server import Postgres
from tests.faults.shim import Rule, build
from tests.faults.workspace import WAIT_S, make_workspace

LEARNS_WITHIN_S = 60.0
STRIKES_WITHIN_S = 30.0
QUIET_S = 2.0
QUIET_WITHIN_S = 15.0
GOES_ON_WITHIN_S = 20.0
_LEFT = "SELECT count(*) FROM decisions WHERE learned_in IS NULL"


@dataclass
class World:
    """directory: holds workspace, history and logs. tell: says in a few words what goes on."""

    directory: Path
    rng: random.Random
    tell: Callable[[str], None]
    replicas: list[Process] = field(default_factory=list)
    learners: list[Process] = field(default_factory=list)
    mends: list[tuple[sa.TextClause, dict[str, Any]]] = field(default_factory=list)

    @classmethod
    def make(
        cls,
        directory: Path,
        *,
        seed: str,
        tell: Callable[[str], None],
        replicas: int = 1,
        learners: int = 1,
        postgres: Postgres | None = None,
        ray: bool = False,
    ) -> Self:
        """A fresh workspace and processes that do not run yet. postgres: where its store is; None for a file."""
        directory.mkdir(parents=True)
        url = "" if postgres is None else postgres.url
        workspace, shim = make_workspace(directory / "w", database=url), build(directory)
        world = cls(directory, random.Random(seed), tell)
        if ray:
            world.replicas.append(RayService(workspace, shim))
        else:
            world.replicas += [Process("replica", workspace, shim, f"replica-{i}") for i in range(replicas)]
            world.learners += [Process("learner", workspace, shim, f"learner-{i}") for i in range(learners)]
        world.history = History(directory / "history.jsonl")
        world.postgres = postgres
        return world

    history: History = field(init=False)
    load: Load = field(init=False)
    postgres: Postgres | None = None

    @property
    def workspace(self) -> Path:
        """Its directory."""
        return self.directory / "w"

    @property
    def processes(self) -> list[Process]:
        """All of them."""
        return [*self.replicas, *self.learners]

    def start(self) -> None:
        """Start what does not run, wait until replicas are ready."""
        for process in self.processes:
            if not process.alive:
                process.start()
        for process in self.replicas:
            process.wait_until_ready()

    def begin(self, *, threads: int = 4) -> None:
        """Start everything, and the clients."""
        self.start()
        ports = [process.port for process in self.replicas]
        self.load = Load(self.history, ports, seed=self.rng.randrange(2**32), threads=threads)

    def run(self, seconds: float) -> None:
        """Let time pass under load."""
        time.sleep(seconds)

    def kill_at(self, process: Process, rule: Rule, *, point: str) -> None:
        """Let the shim kill a process at a named point, then start it again."""
        self.tell(f"kill -9 of {process.name}: {point}")
        process.faults.arm(rule)
        if not process.wait_until_dead(within_s=STRIKES_WITHIN_S):
            self.history.violated(f"the runner: {process.name} never came to the point {point!r}")
            process.kill()
        process.faults.disarm()
        self.start()

    def fail(self, process: Process, rule: Rule, *, point: str) -> None:
        """Let calls fail until the rule is used up; the process must live on."""
        self.tell(f"{process.name}: {point}")
        process.faults.arm(rule)
        give_up = time.monotonic() + STRIKES_WITHIN_S
        while process.faults.hits < max(rule.times, 1):
            if time.monotonic() > give_up:
                self.history.violated(f"the runner: {process.name} never came to the point {point!r}")
                break
            time.sleep(0.02)
        if rule.times:
            process.faults.disarm()
        if not process.alive:
            self.history.violated(f"{process.name} died of {point}")
            self.start()

    def cut_commit(self, when: Literal["before", "after"]) -> None:
        """Let PostgreSQL's next commit, whoever makes it, be cut off before or after the server made it."""
        assert self.postgres is not None
        self.tell(f"PostgreSQL is cut off {when} a commit")
        proxy = self.postgres.proxy
        cuts, proxy.cut_at = proxy.cuts, when
        give_up = time.monotonic() + STRIKES_WITHIN_S
        while proxy.cuts == cuts:
            if time.monotonic() > give_up:
                self.history.violated("the runner: nobody committed anything")
                return
            time.sleep(0.01)

    def put_clocks(self, *, replicas: float, learners: float) -> None:
        """How far the clocks are off, in seconds; they survive restarts."""
        for process in self.replicas:
            process.faults.put_clock(replicas)
        for process in self.learners:
            process.faults.put_clock(learners)

    def published(self) -> list[str]:
        """Versions of the published models, newest first."""
        with self._database() as database, database.read() as connection:
            return models.versions(connection)

    def wait_until_published(self, most: int) -> None:
        """Until there are so many models."""
        give_up = time.monotonic() + LEARNS_WITHIN_S
        while len(self.published()) < most:
            if time.monotonic() > give_up:
                raise RuntimeError(f"no {most} models within {LEARNS_WITHIN_S:g} s")
            time.sleep(0.2)

    def serve(self, version: str) -> float:
        """Let one model serve ("": the newest); seconds until all replicas serve it."""
        began = time.monotonic()
        with self._database() as database:
            if not version:
                serving.follow(database, who="runner", why="")
                return time.monotonic() - began
            serving.roll_back(open_workspace(self.workspace), database, version, who="runner", why="")
        while any(process.model() != version for process in self.replicas):
            if time.monotonic() - began > STRIKES_WITHIN_S:
                break
            time.sleep(0.02)
        return time.monotonic() - began

    @contextlib.contextmanager
    def _database(self) -> Iterator[Database]:
        database = Database.open(open_workspace(self.workspace).database_url, create=False)
        try:
            yield database
        finally:
            database.close()

    def damage_newest_model(self, column: str) -> None:
        """Flip one bit of it in the store; nothing may run meanwhile. Mended before the check: the audit reads it."""
        engine = sa.create_engine(open_workspace(self.workspace).database_url)
        with engine.begin() as connection:
            query = f"SELECT version, {column} FROM models ORDER BY serial DESC LIMIT 1"  # noqa: S608 (our own names)
            version, content = connection.execute(sa.text(query)).one()
            damaged = bytearray(content)
            damaged[self.rng.randrange(len(damaged))] ^= 1 << self.rng.randrange(8)
            change = sa.text(f"UPDATE models SET {column} = :content WHERE version = :version")  # noqa: S608
            connection.execute(change, {"content": bytes(damaged), "version": version})
            self.mends.append((change, {"content": content, "version": version}))
        engine.dispose()

    def _mend(self) -> None:
        engine = sa.create_engine(open_workspace(self.workspace).database_url)
        with engine.begin() as connection:
            for change, values in self.mends:
                connection.execute(change, values)
        engine.dispose()

    def check_nothing_is_acknowledged(self, why: str) -> None:
        """Once what was under way has ended, no decision and no outcome that is new may be acknowledged."""
        give_up = time.monotonic() + QUIET_WITHIN_S
        before = (-1, -1)
        while before != (now := (len(self.history.decisions), len(self.history.outcomes))):
            if time.monotonic() > give_up:
                self.history.violated(f"P1: {why}, and decisions are acknowledged")
                return
            before = now
            time.sleep(QUIET_S)

    def check_it_goes_on(self, why: str) -> None:
        """New decisions must be acknowledged soon."""
        give_up, before = time.monotonic() + GOES_ON_WITHIN_S, len(self.history.decisions)
        while before == len(self.history.decisions):
            if time.monotonic() > give_up:
                self.history.violated(f"{why}, and nothing is decided for {GOES_ON_WITHIN_S:g} s")
                return
            time.sleep(0.05)

    def wait_until_ready_again(self, process: Process, *, within_s: float) -> None:
        """A replica must recover by itself."""
        give_up = time.monotonic() + within_s
        while (found := process.ready())[0] != 200:
            if time.monotonic() > give_up:
                self.history.violated(f"{process.name} is not ready {within_s:g} s after its fault was over: {found}")
                return
            time.sleep(0.05)

    def finish(self) -> tuple[Counts, list[str]]:
        """End the load, answer what is left, learn everything, stop in order, and check."""
        for process in self.processes:
            process.faults.disarm()
        self.load.stop()
        self.start()
        self.tell("send again what has no answer")
        self.load.settle()
        self.load.repeat(most=40, rng=self.rng)
        self.tell("wait until everything is learned")
        self._wait_until_learned()
        for process in [*self.replicas, *self.learners]:
            code = process.end()
            if code not in (0, -15):
                self.history.violated(f"{process.name} did not end in order: exit code {code}")
        self.history.close()
        self._mend()
        self.tell("check the history against the log")
        return check(self.workspace, self.history, until_s=float("inf"))

    def stop(self) -> None:
        """Kill whatever still runs."""
        for process in self.processes:
            process.kill()

    def _wait_until_learned(self) -> None:
        give_up = time.monotonic() + LEARNS_WITHIN_S + WAIT_S
        with self._database() as database:
            while True:
                with database.read() as connection:
                    left = connection.execute(sa.text(_LEFT)).scalar_one()
                if not left:
                    return
                if time.monotonic() > give_up:
                    self.history.violated(f"P4: {left} decisions are not learned {LEARNS_WITHIN_S:g} s later")
                    return
                time.sleep(0.1)
