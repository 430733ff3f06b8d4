"""A journey in the product's own log: judged, audited, and played against the running service, without loss."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import numpy as np
import pytest

import simulators
from bandit_nba.decide.audit.run import audit
from bandit_nba.evaluate.stored import read_log
from bandit_nba.online.replica import Replica
from bandit_nba.store.database import Database
from bandit_nba.store.log import decisions, outcome_counts
from bandit_nba.store.past import StoredPast, past_records
from bandit_nba.workspace import inspect_workspace, open_workspace
from serve.app import create_app
from simulators.journey import JourneyWorld, State, named
from simulators.journey.drive import play
from simulators.journey.logs import live
from simulators.journey.workspace import write_workspace
from simulators.world import Outcome
from tests.serving import serving


def _world(name: str = "telco-journey", **options: object) -> JourneyWorld:
    made = simulators.make(name, seed=1, **options)
    assert isinstance(made, JourneyWorld)
    return made


@pytest.mark.parametrize("name", sorted(named.WORLDS))
def test_every_worlds_workspace_passes_every_check(name: str, tmp_path: Path) -> None:
    world = _world(name)
    write_workspace(tmp_path / "a", world)
    write_workspace(tmp_path / "b", world, wait_s=2.0)
    for part in ("a", "b"):
        assert inspect_workspace(tmp_path / part).problems == ()
    assert open_workspace(tmp_path / "a").catalogue.version == world.catalogue.version
    assert open_workspace(tmp_path / "b").rewards.wait_s(world.channels[0]) == 2.0


def test_the_log_says_what_the_world_did(tmp_path: Path) -> None:
    """Rewards read back from the log equal the world's, row by row; models are learned meanwhile."""
    world = _world()
    write_workspace(tmp_path / "shop", world)
    earned: dict[str, float] = {}

    def watch(state: State, outcome: Outcome) -> None:
        for i, customer in enumerate(state.customer.tolist()):
            earned[f"telco-journey-1-0-{state.t - 1}-{customer}"] = float(outcome.reward[i])

    lived = live(tmp_path / "shop", world, n=120, steps=6, on_step=watch)
    workspace = open_workspace(tmp_path / "shop")
    database = Database.open(workspace.database_url, create=False)
    now_s = world.start_s + 20 * world.step_s
    log = read_log(database, workspace.rewards, workspace.catalogue.facts, now_s=now_s)
    with database.read() as connection:
        records = list(decisions.scan(connection))
    database.close()

    assert lived.decisions == len(records) == len(log) == 720
    assert lived.models >= 3
    assert {i: float(r) for i, r in zip(log.ids, log.reward, strict=True)} == earned
    assert sum(earned.values()) > 10
    assert np.isclose(log.probability[log.chosen].min(), min(r.propensity or 1.0 for r in records))


def test_the_status_tells_what_became_of_the_worlds_answers(tmp_path: Path) -> None:
    """Answers within the horizon count, later ones are late: as the world's own delays say, all of them."""
    world = _world()
    write_workspace(tmp_path / "shop", world)
    expected = Counter[str]()

    def watch(_: State, outcome: Outcome) -> None:
        expected["counts"] += int(outcome.reward.sum())
        expected["late"] += int((outcome.responded & (outcome.reward == 0.0)).sum())

    lived = live(tmp_path / "shop", world, n=150, steps=4, on_step=watch)
    database = Database.open(open_workspace(tmp_path / "shop").database_url, create=False)
    with database.read() as connection:
        found = outcome_counts.read(connection)
    database.close()

    assert found == expected
    assert found["late"] > 0
    assert sum(found.values()) == lived.outcomes


def test_the_log_tells_what_was_known_when_it_was_decided(tmp_path: Path) -> None:
    """Facts, channels and models as logged make every decision again: none is from after the step that it caused."""
    world = _world()
    write_workspace(tmp_path / "shop", world)
    live(tmp_path / "shop", world, n=120, steps=6)
    workspace = open_workspace(tmp_path / "shop")
    database = Database.open(workspace.database_url, create=False)
    found = audit(past_records(database), StoredPast(database, workspace.salts), rng=np.random.default_rng(0))
    database.close()

    assert found.rows == 720
    assert found.ok, found.first


def test_what_a_budget_did_not_pay_for_is_not_judged(tmp_path: Path) -> None:
    world = _world("retail-lifecycle", overrides={"limits.budget_per_1000": 10.0})
    write_workspace(tmp_path / "shop", world)
    done = []
    lived = live(
        tmp_path / "shop", world, n=150, steps=3, learn=False, on_step=lambda _, outcome: done.append(outcome.arm)
    )
    workspace = open_workspace(tmp_path / "shop")
    database = Database.open(workspace.database_url, create=False)
    log = read_log(database, workspace.rewards, workspace.catalogue.facts, now_s=world.start_s + 20 * world.step_s)
    database.close()
    contacts = sum(int((arm > 0).sum()) for arm in done)

    assert lived.decisions == 450
    assert len(log) < 450
    assert int((log.arm[log.chosen] > 0).sum()) == contacts


@pytest.fixture
def service(tmp_path: Path) -> Iterator[tuple[str, JourneyWorld]]:
    """The real application on a real socket, with a live workspace of cold-start, whose actions come and go."""
    world = _world("cold-start", overrides={"actions.more_data.arrives": 1, "actions.online_security.retires": 2})
    write_workspace(tmp_path / "shop", world, wait_s=0.2)
    replica = Replica.open(open_workspace(tmp_path / "shop"))
    with serving(create_app(replica)) as url:
        yield url, world


def test_the_service_plays_a_journey(service: tuple[str, JourneyWorld]) -> None:
    """Every decision answered, every arm eligible in the world too, every response kept."""
    url, world = service
    rewards: list[float] = []

    async def run() -> object:
        async with aiohttp.ClientSession(url) as session:
            state = world.start(60)
            return await play(
                session,
                world,
                state,
                steps=4,
                name="t",
                concurrency=8,
                on_step=lambda _, outcome: rewards.append(float(outcome.reward.sum())),
            )

    played = asyncio.run(run())
    assert played.answered == 240  # type: ignore[attr-defined]
    assert played.failed == played.not_eligible == 0  # type: ignore[attr-defined]
    assert played.outcomes == played.reward == sum(rewards)  # type: ignore[attr-defined]
