"""A rolling replacement of the replicas under load, as an update does it: no request fails.

`nba serve` has no such command, since on one machine a new version is a new start; a Ray cluster gets it by a new
deployment. So a child process runs what `nba serve` runs, and deploys again when it is told to:
`python -m tests.serve.load.replacing WORKSPACE PORT` reads lines from its input.
"""

import asyncio
import os
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path

from experiments.bench import http_workspace
from experiments.demo.service import free_port
from tests.serve.load.ending import Heard
from tests.serve.load.verdict import Verdict
from tests.serve.load.wire import Wire

CLIENTS = 8
REPLICAS = 2


def replace_under_load(folder: Path, seconds: float) -> Verdict:
    """Eight clients ask all the time while both replicas are replaced."""
    verdict = Verdict()
    key = http_workspace.write(folder / "shop")
    port = free_port()
    command = [sys.executable, "-m", "tests.serve.load.replacing", str(folder / "shop"), str(port)]
    with (folder / "replacing.log").open("wb") as sink:
        child = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=sink, text=True, start_new_session=True
        )
        try:
            _wait_for(child, "ready")
            heard, before, after = asyncio.run(_ask_while_replaced(child, port, key, seconds))
        finally:
            child.communicate(timeout=90)
    verdict.note(
        acknowledged=len(heard.acknowledged),
        unanswered=len(heard.unanswered),
        other_answers=sorted(set(heard.other)),
        refused_connections=heard.refused_connections,
        replicas_before=sorted(before),
        replicas_after=sorted(after),
    )
    verdict.require(not before & after, "the replicas were not replaced")
    failed = len(heard.unanswered) + len(heard.other) + heard.refused_connections
    verdict.require(failed == 0, f"{failed} requests failed, answers {sorted(set(heard.other))}")
    return verdict


async def _ask_while_replaced(
    child: "subprocess.Popen[str]", port: int, key: str, seconds: float
) -> tuple[Heard, set[str], set[str]]:
    heard, stop = Heard(), asyncio.Event()
    clients = [asyncio.create_task(_ask(Wire(port, key), i, heard, stop)) for i in range(CLIENTS)]
    await asyncio.sleep(seconds / 3)
    before = await _replicas(port, key)
    if child.stdin is not None:
        child.stdin.write("replace\n")
        child.stdin.flush()
    await asyncio.to_thread(_wait_for, child, "replaced")
    await asyncio.sleep(seconds / 3)
    after = await _replicas(port, key)
    stop.set()
    await asyncio.gather(*clients)
    return heard, before, after


async def _ask(wire: Wire, number: int, heard: Heard, stop: asyncio.Event) -> None:
    n = 0
    while not stop.is_set():
        n += 1
        reply = await wire.decide(f"replace-{number}-{n}")
        if reply.status in (200, 201):
            heard.acknowledged.append(str(n))
        elif reply.status == 0:
            heard.unanswered.append(str(n))
        elif reply.status == -1:
            heard.refused_connections += 1
            await asyncio.sleep(0.05)
        else:
            heard.other.append(reply.status)
        await asyncio.sleep(0.005)
    wire.close()


async def _replicas(port: int, key: str) -> set[str]:
    """Ids of the replicas that answer; each question goes to whichever is free."""
    found = set()
    for _ in range(30):
        wire = Wire(port, key)
        reply = await wire.send("GET", "/v1/status")
        if reply.status == 200:
            found.add(reply.json["replica"]["id"])
        wire.close()
    return found


def _wait_for(child: "subprocess.Popen[str]", word: str) -> None:
    for line in child.stdout or ():
        if line.strip() == word:
            return
    raise RuntimeError(f"the service ended before it said {word!r}")


def main(workspace: str, port: int) -> None:
    """Serve until the input ends; each line replaces all replicas."""
    from bandit_nba.workspace import open_workspace
    from serve import launch
    from serve.environment import free_ports, variables
    from serve.guard import guarded, own

    name = uuid.uuid4().hex
    directory = Path(tempfile.mkdtemp(prefix="nba-", dir="/tmp"))
    own(directory, name)
    with guarded(name, directory):
        os.environ.update(variables(directory, free_ports(), name=name))
        address = launch.Address("127.0.0.1", port)
        try:
            launch._start(open_workspace(workspace), address, replicas=REPLICAS, directory=directory)
            launch._wait_until_ready(address)
            print("ready", flush=True)
            for _ in sys.stdin:
                _deploy_again(workspace)
                print("replaced", flush=True)
        finally:
            launch._stop()


def _deploy_again(workspace: str) -> None:
    """Ray takes each deployment without a version of its own for a new one, and rolls it out replica by replica."""
    from ray import serve as ray_serve

    from serve import deployments

    application = deployments.replicas({"workspace": workspace, "replicas": str(REPLICAS)})
    ray_serve.run(application, name="nba", route_prefix="/")  # type: ignore[attr-defined]


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
