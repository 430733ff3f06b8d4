"""Workspaces that tests make have the same salts in each run, so that chance decides no verdict.

What a test says of draws ("the audit finds nothing", "both arms were chosen") holds for nearly every salt. With a new
one in each run of thousands of tests "nearly" is a failure every few hundred runs that nobody can repeat.
`NBA_TEST_SALTS=TEXT` gives other ones, and new examples of hypothesis in each run: several runs with several texts
show what depends on them.
"""

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bandit_nba.workspace import init, salts

OTHERS = "NBA_TEST_SALTS"
_REALLY = salts.create_secrets


class Drawn:
    """Stands for the module `secrets` while one file of secrets is written."""

    def __init__(self, name: str) -> None:
        self._name, self._count = name, 0

    def token_hex(self, size: int) -> str:
        self._count += 1
        seed = f"{os.environ.get(OTHERS, '')} {self._name} {self._count}"
        return hashlib.shake_256(seed.encode()).hexdigest(size)


def begin(base: Path) -> None:
    """From now on secrets are drawn by the folder that a workspace has under `base`: two of one test have two."""

    def create_secrets(directory: Path) -> Path:
        with_system = salts.secrets
        salts.secrets = Drawn(name_of(directory, base))  # type: ignore[assignment]  # has what is asked for
        try:
            return _REALLY(directory)
        finally:
            salts.secrets = with_system

    init.create_secrets = create_secrets


@contextmanager
def as_people_get_them() -> Iterator[None]:
    """Within, they are drawn by the system."""
    drawn, init.create_secrets = init.create_secrets, _REALLY
    yield
    init.create_secrets = drawn


def name_of(directory: Path, base: Path) -> str:
    """Its path under `base`, without the number that pytest adds to a test's folder: it tells who came first."""
    if not directory.is_relative_to(base):
        return str(directory)
    first, *rest = directory.relative_to(base).parts or ("",)
    return "/".join([re.sub(r"\d+$", "", first), *rest])
