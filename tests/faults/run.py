"""Plays one scenario, from a fresh workspace to the checked history."""

import contextlib
import sys
from pathlib import Path

from tests.faults.check import Counts
from tests.faults.history import History
from tests.faults.scenarios import SCENARIOS, Scenario
from tests.faults.server import postgres
from tests.faults.world import World

ROUNDS = {"short": 1, "long": 8}
"""By profile, how often a scenario does what it does."""


def play(name: str, *, profile: str, seed: int, directory: Path) -> tuple[Counts, list[str]]:
    """Counts and violations; `directory` is made and holds workspace, history and logs."""
    found, violations, _ = played(SCENARIOS[name], profile=profile, seed=seed, directory=directory)
    return found, violations


def played(scenario: Scenario, *, profile: str, seed: int, directory: Path) -> tuple[Counts, list[str], History]:
    """The same with the history, for any scenario."""
    name = scenario.name

    def tell(what: str) -> None:
        print(f"  {name}: {what}", file=sys.stderr, flush=True)

    with postgres() if scenario.postgres else contextlib.nullcontext() as server:
        world = World.make(
            directory,
            seed=f"{seed}-{name}",
            tell=tell,
            replicas=scenario.replicas,
            learners=scenario.learners,
            postgres=server,
            ray=scenario.ray,
        )
        try:
            if scenario.first is not None:
                scenario.first(world)
            world.begin()
            scenario.run(world, ROUNDS[profile])
            return *world.finish(), world.history
        except RuntimeError as error:
            return Counts(), [*world.history.wrong, str(error)], world.history
        finally:
            world.stop()
