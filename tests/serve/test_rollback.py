"""A model is rolled back on all replicas of a running service in under five seconds (promise P9), over real HTTP.

Two replicas and a learner, each a process of its own, on one store; the command line changes what serves.
"""

import http.client
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from click.testing import Result

from bandit_nba.store.database import Database
from bandit_nba.store.tables import decisions
from bandit_nba.workspace import init_workspace, open_workspace
from tests import command
from tests.patient import make_patient
from tests.ports import free_port

ROOT = Path(__file__).parents[2]
WITHIN_S = 5.0
GIVE_UP_S = 90.0


class Service:
    """The processes, and clients of them."""

    def __init__(self, workspace: Path) -> None:
        self.workspace = workspace
        self.ports = [free_port(), free_port()]
        self.output = (workspace / "output.txt").open("wb")
        self.processes = [self._start("replica", port) for port in self.ports] + [self._start("learner", 0)]
        self.numbers = iter(range(10**9))

    def _start(self, what: str, port: int) -> subprocess.Popen[bytes]:
        command = [sys.executable, str(Path(__file__).with_name("replica_process.py")), what, str(self.workspace)]
        paths = {**os.environ, "PYTHONPATH": str(ROOT)}
        return subprocess.Popen([*command, str(port)], stdout=self.output, stderr=subprocess.STDOUT, env=paths)

    def send(self, replica: int, method: str, path: str, data: object = None) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.ports[replica], timeout=20)
        try:
            body = None if data is None else msgspec.json.encode(data)
            connection.request(method, path, body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, msgspec.json.decode(answer.read())
        finally:
            connection.close()

    def decide(self, replica: int) -> str:
        """One decision; whoever sees the network's status accepts. Gives the decision's id."""
        decision = f"d-{next(self.numbers)}"
        status, body = self.send(replica, "POST", "/v1/decisions", {"decisionId": decision, "channel": "web"})
        assert status == 201, body
        if body["arm"] == "network_status":
            told = {"outcomeId": f"o-{decision}", "decisionId": decision, "type": "accept"}
            assert self.send(replica, "POST", "/v1/outcomes", told)[0] == 201
        return decision

    def status(self, replica: int) -> Any:
        return self.send(replica, "GET", "/v1/status")[1]

    def models(self) -> Any:
        return msgspec.json.decode(nba("models", "list", str(self.workspace), "--json").stdout)

    def stop(self) -> None:
        for process in self.processes:
            process.send_signal(signal.SIGTERM)
        for process in self.processes:
            process.wait(30)
        self.output.close()


def nba(*arguments: str) -> Result:
    """A command, in this process: a new one takes a second to start."""
    return command.nba(*arguments)


def _wait(condition: Any, *, within_s: float = GIVE_UP_S) -> float:
    """Until it holds; gives how long that took."""
    begun = time.monotonic()
    while True:
        with suppress(OSError):
            if condition():
                return time.monotonic() - begun
        assert time.monotonic() - begun < within_s
        time.sleep(0.05)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    workspace = tmp_path_factory.mktemp("rollback") / "w"
    init_workspace(workspace)
    make_patient(workspace)
    rewards = workspace / "rewards.toml"
    rewards.write_text(rewards.read_text().replace('wait = "PT30M"', 'wait = "PT0.5S"'))
    settings = workspace / "service.toml"
    text = settings.read_text().replace('publish_every = "PT2S"', 'publish_every = "PT0.5S"')
    # polled so rarely that only the bound on it (`model_feed.MOST_BETWEEN_S`) brings a roll-back in time
    text = text.replace('poll_every = "PT0.5S"', 'poll_every = "PT1H"')
    settings.write_text(text.replace('activation = "deferred"', "").replace('activate_within = "PT15M"', ""))
    Database.open(open_workspace(workspace).database_url).close()
    service = Service(workspace)
    try:
        _wait(lambda: all(service.send(replica, "GET", "/readyz")[0] == 200 for replica in (0, 1)))
        yield service
    finally:
        service.stop()


def test_rolling_back_under_load(service: Service) -> None:
    """All replicas, also while decisions are asked for; learning goes on; following again brings the newest."""
    stop = threading.Event()
    made: list[tuple[float, str]] = []
    failed: list[BaseException] = []

    def load(replica: int) -> None:
        try:
            while not stop.is_set():
                begun = time.monotonic()
                made.append((begun, service.decide(replica)))
                time.sleep(0.01)
        except BaseException as error:
            failed.append(error)
            raise

    clients = [threading.Thread(target=load, args=(replica,)) for replica in (0, 1)]
    for client in clients:
        client.start()
    try:
        _wait(lambda: len(service.models()["models"]) >= 3)
        named = service.models()["models"][-1]["version"]

        begun = time.monotonic()
        command = [sys.executable, "-m", "bandit_nba.cli", "models", "rollback", str(service.workspace), named]
        done = subprocess.run([*command, "--why", "a test"], cwd=ROOT, capture_output=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        returned = time.monotonic()
        _wait(lambda: all(service.status(r)["replica"]["modelVersion"] == named for r in (0, 1)), within_s=WITHIN_S)
        took = time.monotonic() - returned
        learned = service.status(0)["model"]["examplesLearned"]
        _wait(lambda: service.status(0)["model"]["examplesLearned"] > learned + 50)
        steady = time.monotonic()
        time.sleep(1.0)
        status = service.status(1)
        previous = nba("models", "rollback", str(service.workspace), "--json")
        followed = nba("models", "publish", str(service.workspace), "--newest", "--why", "over")
        _wait(lambda: all(service.status(r)["replica"]["modelVersion"] != named for r in (0, 1)), within_s=WITHIN_S)
    finally:
        stop.set()
        for client in clients:
            client.join()
    print(f"rolled back on both replicas {took:.2f} s after the command ended, which took {returned - begun:.2f} s")

    assert not failed
    assert took < WITHIN_S
    assert (status["model"]["serves"], status["model"]["follows"]) == (named, False)
    assert status["model"]["lastChange"]["why"] == "a test"
    assert status["model"]["version"] != named  # the learner has gone on
    assert f"model {named} serves, by rollback (a test)" in status["words"]
    # the first model has none before it
    assert previous.exit_code == 2
    assert "no earlier model" in msgspec.json.decode(previous.stdout)["problem"]["what"]
    assert followed.exit_code == 0, followed.output
    changes = service.models()["changes"]
    assert [(c["what"], c["why"]) for c in changes] == [("follow", "over"), ("rollback", "a test")]
    assert changes[1]["serves"] == named
    # whoever asked meanwhile was decided for by that model, on either replica
    asked = [decision for at, decision in made if steady <= at < steady + 1.0]
    assert asked
    assert _models_of(service.workspace, asked) == {named}


def _models_of(workspace: Path, ids: list[str]) -> set[str]:
    database = Database.open(open_workspace(workspace).database_url)
    try:
        with database.read() as connection:
            query = sa.select(decisions.c.model_version).where(decisions.c.id.in_(ids[-500:]))
            return set(connection.execute(query).scalars())
    finally:
        database.close()


def test_an_unknown_version_is_refused_with_the_nearest(service: Service) -> None:
    known = service.models()["models"][-1]["version"]
    done = nba("models", "publish", str(service.workspace), known[:-1] + "x")

    assert done.exit_code == 2
    assert f'did you mean "{known}"' in done.stderr


def test_the_log_of_a_service_that_was_rolled_back_tells_the_truth(service: Service) -> None:
    done = nba("audit", str(service.workspace), "--json")

    assert done.exit_code == 0, done.stdout
    assert msgspec.json.decode(done.stdout)["differing"] == 0
