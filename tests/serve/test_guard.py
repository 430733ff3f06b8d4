"""What a dead service leaves behind is ended: by its mark, not by its parent."""

import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from serve import guard

SLEEPER = [sys.executable, "-c", "import time; time.sleep(60)"]

# Starts a guard and a marked process, whose id it prints; then it sleeps until it is killed.
SERVICE = """
import os, pathlib, subprocess, sys, time
from serve.guard import MARK, guarded
name, directory, sleeper = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3:]
with guarded(name, directory):
    child = subprocess.Popen(sleeper, env={**os.environ, MARK: name}, start_new_session=True)
    print(child.pid, flush=True)
    time.sleep(60)
"""


def gone(pid: int, *, within_s: float) -> bool:
    give_up = time.monotonic() + within_s
    while time.monotonic() < give_up:
        if not Path(f"/proc/{pid}").exists():
            return True
        time.sleep(0.05)
    return False


def test_a_marked_process_is_known_and_ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(guard, "ENDS_BY_ITSELF_WITHIN_S", 0.2)
    name = uuid.uuid4().hex
    with subprocess.Popen(SLEEPER, env={**os.environ, guard.MARK: name}) as marked, subprocess.Popen(SLEEPER) as other:
        assert guard.processes_of(name, tmp_path) == [marked.pid]
        guard.end(name, tmp_path)

        assert marked.wait(5.0) == -signal.SIGKILL
        assert other.poll() is None
        other.kill()


def test_a_process_that_ray_has_renamed_is_known_by_its_files(tmp_path: Path) -> None:
    code = "import sys, time; file = open(sys.argv[1], 'w'); print(flush=True); time.sleep(60)"
    renamed = ["ray::DashboardAgent", "-c", code, str(tmp_path / "agent.log")]
    with subprocess.Popen(renamed, executable=sys.executable, stdout=subprocess.PIPE) as agent:
        assert agent.stdout is not None
        agent.stdout.readline()

        assert guard.processes_of("none", tmp_path) == [agent.pid]
        assert guard.processes_of("none", tmp_path / "elsewhere") == []
        agent.kill()


def test_a_killed_service_leaves_nothing(tmp_path: Path) -> None:
    name = uuid.uuid4().hex
    command = [sys.executable, "-c", SERVICE, name, str(tmp_path), *SLEEPER]
    environment = {**os.environ, "PYTHONPATH": str(Path(guard.__file__).parents[1])}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as service:
        assert service.stdout is not None
        child = int(service.stdout.readline())
        service.kill()

    assert gone(child, within_s=guard.ENDS_BY_ITSELF_WITHIN_S + 5.0)
    assert tmp_path.exists()  # the logs stay


def test_an_orderly_end_removes_the_directory(tmp_path: Path) -> None:
    with guard.guarded(uuid.uuid4().hex, tmp_path):
        (tmp_path / "log").write_text("all is well")

    assert not tmp_path.exists()


def test_a_failed_start_keeps_its_logs(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no"), guard.guarded(uuid.uuid4().hex, tmp_path):
        raise ValueError("no")

    assert tmp_path.exists()


def test_the_next_start_removes_what_a_killed_service_left_and_nothing_else(tmp_path: Path) -> None:
    names = ("nba-1", "nba-2", "nba-3", "nba-4", "nba-5", "x")
    left, alive, reused, foreign, elsewhere, other = (tmp_path / name for name in names)
    for folder in (left, alive, reused, foreign, elsewhere, other):
        folder.mkdir()
        (folder / "log").write_text("why it ended")
    code = "import pathlib, sys; from serve.guard import own; own(pathlib.Path(sys.argv[1]), 'left')"
    environment = {**os.environ, "PYTHONPATH": str(Path(guard.__file__).parents[1])}
    for folder in (left, other):  # by processes that have ended since
        subprocess.run([sys.executable, "-c", code, str(folder)], env=environment, check=True)
    guard.own(alive, "alive")
    mine = (alive / guard.OWNER).read_text().partition("\n")[2]
    (reused / guard.OWNER).write_text(f"{os.getpid()} 1\n{mine}")  # the id is in use again, by one that began later
    (elsewhere / guard.OWNER).write_text("99999999 1\npid:[1]")  # of another container, whose processes are not seen

    assert sorted(guard.sweep(tmp_path, "nba-")) == [left, reused]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["nba-2", "nba-4", "nba-5", "x"]
    assert guard.sweep(tmp_path, "nba-") == []


def test_a_killed_service_is_ending_until_its_last_process_has_ended(tmp_path: Path) -> None:
    folder = tmp_path / "nba-1"
    folder.mkdir()
    code = "import pathlib, sys; from serve.guard import own; own(pathlib.Path(sys.argv[1]), 'a-killed-service')"
    environment = {**os.environ, "PYTHONPATH": str(Path(guard.__file__).parents[1])}
    subprocess.run([sys.executable, "-c", code, str(folder)], env=environment, check=True)
    assert not guard.ending(tmp_path, "nba-")

    marked = {**os.environ, guard.MARK: "a-killed-service"}
    last = subprocess.Popen(["cat"], stdin=subprocess.PIPE, env=marked)
    try:
        assert guard.ending(tmp_path, "nba-")
    finally:
        last.communicate()
    assert not guard.ending(tmp_path, "nba-")
