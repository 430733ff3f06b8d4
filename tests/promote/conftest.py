"""A workspace whose log was made evenly, and the sharp policy beside it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.promote import world

N = 2_000


@pytest.fixture(scope="session")
def played(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made once; tests work on copies."""
    directory = tmp_path_factory.mktemp("promote") / "shop"
    world.play(world.make(directory), N, start_s=world.START_S, seed=7)
    (directory / "sharp.toml").write_text(world.SHARP)
    return directory


@pytest.fixture
def copied(played: Path, tmp_path: Path) -> Callable[[], Path]:
    """A copy to change."""

    def copy() -> Path:
        directory = tmp_path / "shop"
        for path in sorted(played.rglob("*")):
            to = directory / path.relative_to(played)
            if path.is_dir():
                to.mkdir(parents=True, exist_ok=True)
            else:
                to.parent.mkdir(parents=True, exist_ok=True)
                to.write_bytes(path.read_bytes())
                to.chmod(path.stat().st_mode)
        return directory

    return copy


@pytest.fixture
def shop(copied: Callable[[], Path]) -> Path:
    """The copy."""
    return copied()
