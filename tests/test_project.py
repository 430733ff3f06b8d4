"""What the project promises about itself: the lock names no address, the README knows every command."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from bandit_nba.cli import COMMANDS
from bandit_nba.evaluate.estimators import ESTIMATORS
from bandit_nba.evaluate.intervals import INTERVALS

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_the_lock_names_packages_versions_and_hashes_and_nothing_else():
    lines = (ROOT / "requirements.lock").read_text().splitlines()

    strange = [
        line
        for line in lines
        if not re.fullmatch(r"[a-z0-9-]+==[\w.!+]+ \\|    --hash=sha256:[0-9a-f]{64}( \\)?", line)
    ]

    assert strange == []


def test_every_dependency_is_locked():
    locked = {line.split("==")[0] for line in (ROOT / "requirements.lock").read_text().splitlines() if "==" in line}
    wanted = PROJECT["dependencies"] + [d for extra in PROJECT["optional-dependencies"].values() for d in extra]

    names = {re.match(r"[A-Za-z0-9-]+", line).group().lower() for line in wanted}

    assert names - locked == set()


@pytest.mark.parametrize("command", COMMANDS)
def test_the_readme_tells_of_every_command(command):
    assert f"nba {command}" in (ROOT / "README.md").read_text()


def test_the_readme_counts_estimators_and_intervals():
    assert f"{len(ESTIMATORS)} estimators and {len(INTERVALS)} intervals" in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command):
    done = subprocess.run(
        [sys.executable, "-m", "bandit_nba.cli", command, "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert f"nba {command}" in done.stdout.replace("python -m bandit_nba.cli", "nba")


def test_no_tracked_file_is_large():
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("not a git checkout")

    large = [name for name in done.stdout.split("\0") if name and (ROOT / name).stat().st_size > 1_000_000]

    assert large == []
