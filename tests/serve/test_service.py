"""The real service: Ray Serve, its front end, replicas and learner, as the command line starts and ends them."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bandit_nba.workspace import init_workspace
from tests.patient import make_patient
from tests.plain_policy import write_plain_policy
from tests.ports import free_port

pytestmark = [pytest.mark.ray, pytest.mark.timeout(240)]

STARTS_WITHIN_S = 100.0
LEARNS_WITHIN_S = 40.0
ENDS_WITHIN_S = 30.0
DECISIONS = 400


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The template with waits so short that the loop closes within the test."""
    directory = tmp_path_factory.mktemp("shop") / "w"
    init_workspace(directory)
    make_patient(directory)
    write_plain_policy(directory)
    rewards = directory / "rewards.toml"
    rewards.write_text(rewards.read_text().replace('wait = "PT30M"', 'wait = "PT3S"'))
    service = directory / "service.toml"
    text = (
        service.read_text()
        .replace('activation = "deferred"', "")
        .replace('publish_every = "PT2S"', 'publish_every = "PT1S"')
    )
    service.write_text(text.replace('activate_within = "PT15M"', ""))
    return directory


class Service:
    """A running service and its address."""

    def __init__(self, workspace: Path) -> None:
        self.port = free_port()
        self.output = workspace / "output.txt"
        self.sink = self.output.open("wb")
        command = [sys.executable, "-m", "bandit_nba.cli", "serve", str(workspace), "--port", str(self.port)]
        self.process = subprocess.Popen(command, stdout=self.sink, stderr=subprocess.STDOUT, start_new_session=True)

    def wait_until_ready(self) -> None:
        give_up = time.monotonic() + STARTS_WITHIN_S
        while "Ready at" not in self.said():
            assert self.process.poll() is None, self.said()
            assert time.monotonic() < give_up, self.said()
            time.sleep(0.1)

    def said(self) -> str:
        return self.output.read_text()

    def send(self, method: str, path: str, data: object = None) -> tuple[int, bytes]:
        body = None if data is None else msgspec.json.encode(data)
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def status(self) -> Any:
        return msgspec.json.decode(self.send("GET", "/v1/status")[1])

    def children(self) -> list[int]:
        """All processes that came of it, by the mark in their environment."""
        marks = {line for pid in _below(self.process.pid) for line in _environment(pid) if b"NBA_SERVICE=" in line}
        return [pid for pid in _all_processes() if marks & set(_environment(pid))]


def _listens_on(pid: int) -> set[str]:
    """IPv4 addresses on which a process listens, from the kernel's tables."""
    links = [str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir()]
    sockets = {link[len("socket:[") : -1] for link in links if link.startswith("socket:[")}
    rows = [line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]
    listening = "0A"
    addresses = [row[1].split(":")[0] for row in rows if row[3] == listening and row[9] in sockets]
    return {socket.inet_ntoa(bytes.fromhex(address)[::-1]) for address in addresses}


def _all_processes() -> list[int]:
    return [int(path.name) for path in Path("/proc").glob("[0-9]*")]


def _environment(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []


def _below(pid: int) -> list[int]:
    try:
        direct = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
    return [*direct, *(deeper for child in direct for deeper in _below(child))]


@pytest.fixture(scope="module")
def service(workspace: Path) -> Iterator[Service]:
    service = Service(workspace)
    try:
        service.wait_until_ready()
        yield service
    finally:
        if service.process.poll() is None:
            service.process.send_signal(signal.SIGINT)
            service.process.wait(ENDS_WITHIN_S)
        service.sink.close()


def test_the_loop_closes_over_http(service: Service) -> None:
    """Decide, tell, learn, publish, swap: whoever sees the network's status accepts it."""

    def decide(i: int) -> Any:
        status, body = service.send("POST", "/v1/decisions", {"decisionId": f"d-{i}", "channel": "web"})
        assert status == 201, body
        return msgspec.json.decode(body)

    with ThreadPoolExecutor(8) as clients:
        made = list(clients.map(decide, range(DECISIONS)))
    page = [
        {"outcomeId": f"o-{answer['decisionId']}", "decisionId": answer["decisionId"], "type": "accept"}
        for answer in made
        if answer["arm"] == "network_status"
    ]
    status, body = service.send("POST", "/v1/outcomes", page)
    assert status == 201, body

    give_up = time.monotonic() + LEARNS_WITHIN_S
    while (seen := service.status())["replica"]["modelExamplesLearned"] < DECISIONS:
        assert time.monotonic() < give_up, seen
        time.sleep(0.2)
    chosen = [decide(i)["arm"] for i in range(DECISIONS, DECISIONS + 60)]

    assert seen["learning"], seen
    assert seen["words"].startswith("Learning: ")
    assert seen["replica"]["modelVersion"] == seen["model"]["version"] != "none"
    assert abs(len(page) - DECISIONS / 2) < 60  # six standard deviations of a fair coin
    assert chosen.count("network_status") > 48  # nearly always; the floor leaves the other 1 in 40


def test_a_replay_is_equal_byte_for_byte(service: Service) -> None:
    asked = {"decisionId": "replay", "channel": "web", "customerId": "kd-4711"}
    first, again = service.send("POST", "/v1/decisions", asked), service.send("POST", "/v1/decisions", asked)
    other, _ = service.send("POST", "/v1/decisions", {**asked, "channel": "email"})

    assert (first[0], again[0], other) == (201, 200, 422)
    assert first[1] == again[1]


def test_refusals_pass_the_front_end_as_they_are(service: Service) -> None:
    status, body = service.send("POST", "/v1/decisions", {"channel": "wbe"})

    assert status == 422
    assert msgspec.json.decode(body)["hint"] == 'did you mean "web"?'


def test_the_front_end_listens_on_loopback_alone(service: Service) -> None:
    front_ends = [pid for pid in service.children() if "haproxy" in Path(f"/proc/{pid}/comm").read_text()]
    hosts = {host for pid in front_ends for host in _listens_on(pid)}

    assert front_ends
    assert hosts == {"127.0.0.1"}


def test_a_client_that_never_ends_its_headers_is_dropped(service: Service) -> None:
    with socket.create_connection(("127.0.0.1", service.port), timeout=20) as slow:
        slow.sendall(b"POST /v1/decisions HTTP/1.1\r\nHost: x\r\n")

        assert slow.recv(1000).startswith(b"HTTP/1.1 408")


def test_a_taken_port_is_said_so(service: Service, workspace: Path) -> None:
    command = [sys.executable, "-m", "bandit_nba.cli", "serve", str(workspace), "--port", str(service.port)]
    second = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert second.returncode == 2
    assert "another program has the port" in second.stderr


def test_ctrl_c_ends_everything(service: Service) -> None:
    """As a terminal does: the signal goes to the whole process group. Last in this file, since it ends the service."""
    children = service.children()
    assert len(children) > 5
    os.killpg(service.process.pid, signal.SIGINT)
    code = service.process.wait(ENDS_WITHIN_S)

    assert code == 0, service.said()
    assert service.said().endswith("Stopped.\n")
    assert [pid for pid in children if _environment(pid)] == []
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", service.port))
