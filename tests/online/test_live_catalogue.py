"""A catalogue comes into force for every replica at once, without a restart; the file alone changes nothing."""

import asyncio
import logging
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from bandit_nba.catalogue import Action, Catalogue
from bandit_nba.catalogue.rules import compile_rules
from bandit_nba.decide.audit.run import audit
from bandit_nba.decide.policy import FeatureSettings
from bandit_nba.errors import RefusedError, SettingsError, StoreError
from bandit_nba.online import definitions
from bandit_nba.online.answering import Answer
from bandit_nba.online.catalogue_feed import CatalogueFeed
from bandit_nba.online.decider import Decider
from bandit_nba.online.messages import DecisionAnswer
from bandit_nba.online.replica import Replica
from bandit_nba.store.database import Database
from bandit_nba.store.past import StoredPast, past_records
from bandit_nba.store.registry.definitions import catalogue_in_force
from bandit_nba.workspace import Workspace
from tests.online.clock import Clock
from tests.online.contact_world import Unlearned, ask, in_order, under


@pytest.fixture
def world(workspace: Workspace, database: Database) -> Workspace:
    made = under(workspace)
    definitions.register(made, database)
    return made


def with_actions(world: Workspace, *actions: Action) -> Workspace:
    catalogue = msgspec.structs.replace(world.catalogue, actions=actions)
    return replace(world, catalogue=catalogue, rules=compile_rules(catalogue))


def retiring(world: Workspace, *names: str) -> Workspace:
    actions = world.catalogue.actions
    return with_actions(world, *(msgspec.structs.replace(a, retired=a.id in names) for a in actions))


def read(answer: object) -> DecisionAnswer:
    assert isinstance(answer, Answer), answer
    return msgspec.json.decode(answer.body, type=DecisionAnswer)


def in_force(database: Database) -> str:
    with database.read() as connection:
        found = catalogue_in_force(connection)
    assert found is not None
    return found.version


def test_a_retired_action_is_not_chosen_any_more_by_a_decider_that_has_not_heard(
    world: Workspace, database: Database, clock: Clock
) -> None:
    """Neither decider polls: each learns of it when it writes."""
    deciders = [Decider(world, database, Unlearned(), clock=clock) for _ in range(2)]
    before = {read(d.decide_batch([ask(f"a{n}-{i}")])[0]).arm for n, d in enumerate(deciders) for i in range(40)}
    after = retiring(world, "tv", "case")
    definitions.apply(after, database, clock=clock)
    answers = [read(d.decide_batch([ask(f"b{n}-{i}")])[0]) for n, d in enumerate(deciders) for i in range(40)]

    assert before == {"no_action", "tv", "case", "bill", "tip"}
    assert {answer.arm for answer in answers} == {"no_action", "bill", "tip"}
    assert {answer.catalogue_version for answer in answers} == {after.catalogue.version}
    assert [d.counts["made_again"] for d in deciders] == [1, 1]


def test_applying_between_decision_and_write_makes_the_decision_again(
    world: Workspace, database: Database, clock: Clock
) -> None:
    versions = [retiring(world, "tv"), retiring(world, "tv", "case"), retiring(world, "tv", "case", "bill")]
    left = list(versions)

    def meanwhile() -> None:
        if left:
            definitions.apply(left.pop(0), database, clock=clock)

    decider = Decider(world, database, Unlearned(meanwhile), clock=clock)
    answers = [read(a) for a in decider.decide_batch([ask(f"d{i}", f"c{i}") for i in range(50)])]

    assert {a.catalogue_version for a in answers} == {versions[-1].catalogue.version}
    assert {a.arm for a in answers} == {"no_action", "tip"}
    assert decider.counts["made_again"] == 150
    assert len(in_order(database)) == 50


def test_decisions_under_several_catalogues_pass_the_audit(world: Workspace, database: Database, clock: Clock) -> None:
    decider = Decider(world, database, Unlearned(), clock=clock)
    for n, made in enumerate([world, retiring(world, "tv"), world, retiring(world, "tip")]):
        definitions.apply(made, database, clock=clock)
        for answer in decider.decide_batch([ask(f"d{n}-{i}", f"c{i}") for i in range(50)]):
            assert read(answer).catalogue_version == made.catalogue.version
    found = audit(past_records(database), StoredPast(database, world.salts), rng=np.random.default_rng(1))

    assert found.ok, found
    assert found.rows == 200


def test_a_start_with_a_changed_file_goes_on_with_what_is_in_force_and_says_so(
    world: Workspace, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    edited = retiring(world, "tv")
    with caplog.at_level(logging.WARNING, logger="nba.catalogue"):
        replica = Replica.open(edited)
    try:
        assert replica.workspace.catalogue.version == world.catalogue.version == in_force(database)
        assert edited.catalogue.version in caplog.text
        assert f"nba catalogue apply {world.path}" in caplog.text
    finally:
        replica.close()


def test_a_replica_follows_without_a_request_and_takes_new_facts(world: Workspace, database: Database) -> None:
    replica = Replica.open(world)
    try:
        facts = {**world.catalogue.facts, "mood": "category"}
        catalogue = msgspec.structs.replace(world.catalogue, facts=facts)
        definitions.apply(replace(world, catalogue=catalogue, rules=compile_rules(catalogue)), database)
        give_up = time.monotonic() + 10.0
        while replica.workspace.catalogue.version != catalogue.version and time.monotonic() < give_up:
            time.sleep(0.02)

        async def decide() -> Answer:
            return await replica.decide(ask("d0", facts={"mood": "fine"}))

        assert read(asyncio.run(decide())).catalogue_version == catalogue.version
    finally:
        replica.close()


def test_retiring_while_two_processes_decide(world: Workspace, database: Database) -> None:
    """No decision that was written after `apply` had returned names the old catalogue or a retired arm."""
    here = Path(__file__)
    environment = {**os.environ, "PYTHONPATH": str(here.parents[2]), "OMP_NUM_THREADS": "1"}
    arguments = [sys.executable, str(here.with_name("contact_world.py")), str(world.path)]
    applied = world.path / "applied"
    running = [
        subprocess.Popen([*arguments, seed, "300", "plain", str(applied)], env=environment) for seed in ("1", "2")
    ]
    try:
        while len(in_order(database)) < 100:
            assert [process.poll() for process in running] == [None, None]
            time.sleep(0.01)
        after = retiring(world, "tv", "bill")
        definitions.apply(after, database)
        known = len(in_order(database))
        applied.touch()
        codes = [process.wait(timeout=120) for process in running]
    finally:
        for process in running:
            process.kill()
    with database.read() as connection:
        text = "SELECT arm, catalogue_version FROM decisions ORDER BY rowid"
        rows = connection.exec_driver_sql(text).all()

    assert codes == [0, 0]
    assert len(rows) > known + 100
    # the processes began with the file, which is not what was in force: the first decision of each was made again
    first_new = next(i for i, row in enumerate(rows) if row[1] == after.catalogue.version)
    assert first_new <= known
    assert {version for _, version in rows[first_new:]} == {after.catalogue.version}
    assert {arm for arm, _ in rows[first_new:]} == {"no_action", "case", "tip"}
    assert {version for _, version in rows[:first_new]} == {world.catalogue.version}


def test_a_fact_of_another_kind_is_refused(world: Workspace, database: Database) -> None:
    facts = {**world.catalogue.facts, "contract": "text"}
    catalogue = msgspec.structs.replace(world.catalogue, facts=facts)
    with pytest.raises(RefusedError, match="keeps its kind"):
        definitions.apply(replace(world, catalogue=catalogue), database)

    assert in_force(database) == world.catalogue.version


def without_contract(world: Workspace) -> Workspace:
    """A catalogue that no longer declares a fact which the running policy reads; its own policy does not."""
    facts = {name: kind for name, kind in world.catalogue.facts.items() if name != "contract"}
    catalogue = Catalogue(facts=facts, actions=(Action(id="tv", kind="offer", group="sell"),))
    policy = msgspec.structs.replace(world.policy, features=FeatureSettings())
    return replace(world, catalogue=catalogue, rules=compile_rules(catalogue), policy=policy)


def test_a_catalogue_that_the_running_policy_cannot_use_is_refused(world: Workspace, database: Database) -> None:
    assert "contract" in world.policy.features.customer
    with pytest.raises(SettingsError, match="the service was started with"):
        definitions.apply(without_contract(world), database)

    assert in_force(database) == world.catalogue.version


def test_a_catalogue_that_came_into_force_unchecked_stops_decisions_rather_than_goes_unnoticed(
    world: Workspace, database: Database, clock: Clock
) -> None:
    decider = Decider(world, database, Unlearned(), clock=clock)
    wrong = without_contract(world)
    definitions.register(wrong, database)  # as a start with that policy would
    definitions.apply(wrong, database)

    with pytest.raises(StoreError, match="does not fit this service"):
        decider.decide_batch([ask("d0")])
    assert in_order(database) == []
    definitions.apply(world, database)
    assert read(decider.decide_batch([ask("d0")])[0]).catalogue_version == world.catalogue.version


def test_a_definition_that_is_gone_is_an_error_of_the_store(world: Workspace, database: Database) -> None:
    feed = CatalogueFeed(world, database)
    definitions.apply(retiring(world, "tv"), database)
    with database.write() as connection:
        connection.exec_driver_sql("DELETE FROM definitions")

    with pytest.raises(StoreError, match="no such catalogue"):
        feed.follow()
    assert feed.current().workspace.catalogue.version == world.catalogue.version
