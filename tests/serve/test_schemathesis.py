"""The whole OpenAPI document against the service: Schemathesis finds no failure of ours, and nothing undocumented.

It makes requests from the schemas (valid and invalid, at every limit), and chains of them along the links. What it may
not demand: that whatever fits the schema is accepted (a catalogue decides that), and that a page with one bad item is
refused as a whole (each item is answered for itself).
"""

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn

from bandit_nba.access.grant import Grant
from bandit_nba.access.scopes import SCOPES
from bandit_nba.online.replica import Replica
from bandit_nba.store import keys as key_store
from bandit_nba.workspace import init_workspace, open_workspace
from serve.app import create_app
from tests.secrets_hunt import HUNT

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
    "allow_header_conformance",
    "ignored_auth",
    "ensure_resource_availability",
)
SEED = 20_261


@pytest.fixture
def service(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """Address and key of the whole API, Personalizer's included, on loopback."""
    init_workspace(tmp_path / "shop", template="personalizer")
    replica = Replica.open(open_workspace(tmp_path / "shop"))
    with replica.database.write() as connection:
        key = key_store.add(connection, Grant("", "test", frozenset(SCOPES)), actor="test", now_s=replica.now_s())
    replica.gate.follow()
    server = uvicorn.Server(uvicorn.Config(create_app(replica), port=0, log_level="error", lifespan="on"))
    thread = threading.Thread(target=server.run)
    thread.start()
    give_up = time.monotonic() + 20.0
    while not server.started:
        assert time.monotonic() < give_up
        time.sleep(0.02)
    with HUNT.random_ids():
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}", key.text
    server.should_exit = True
    thread.join(20.0)


def explore(service: tuple[str, str], folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    url, key = service
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{url}/openapi.json", "--seed", str(SEED)]
    command += ["--header", f"Authorization: Bearer {key}", "--checks", ",".join(CHECKS), "--warnings", "off"]
    command += ["--continue-on-failure", "--suppress-health-check", "all", *options]
    hooks = "tests.serve.words_for_schemathesis"
    root = str(Path(__file__).parents[2])
    environment = {**os.environ, "SCHEMATHESIS_HOOKS": hooks, "PYTHONPATH": root, "NO_COLOR": "1"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def links_followed(done: subprocess.CompletedProcess[str]) -> int:
    """How many of the document's links led somewhere."""
    told = re.search(r"API Links:\s+(\d+) covered", done.stdout)
    return int(told[1]) if told else 0


def test_nothing_fails_and_nothing_is_undocumented(service: tuple[str, str], tmp_path: Path) -> None:
    done = explore(service, tmp_path, "--phases", "examples,fuzzing,stateful", "--max-examples", "3", "--no-shrink")

    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr
    made = re.search(r"(\d+) generated", done.stdout)
    assert made is not None, done.stdout[-2_000:]
    assert int(made[1]) > 200
    assert links_followed(done) >= 3


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_nor_in_a_long_run(service: tuple[str, str], tmp_path: Path) -> None:
    done = explore(service, tmp_path, "--max-examples", "100", "--max-time", "300")

    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr
    assert links_followed(done) >= 10
