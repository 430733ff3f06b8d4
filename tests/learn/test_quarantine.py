"""A decision that cannot be learned is held with its reason; released, it is learned in its place."""

from pathlib import Path

import pytest
import sqlalchemy as sa

from bandit_nba.errors import RefusedError, UnknownIdError
from bandit_nba.learn.manifest import Manifest
from bandit_nba.store import audit_log
from bandit_nba.store.database import Database
from bandit_nba.store.learner import quarantine
from bandit_nba.store.tables import QUARANTINED, RELEASED, decisions
from tests.learn import tiny_world as world
from tests.learn.tiny_world import Clock

LATE_S = 10_000.0
POISON = ("d00101", "d00403")  # both change weights: VW teaches nothing where a clipped prediction is right already


def run(database: Database, holder: str = "a", *, now_s: float = LATE_S, batch: int = 100) -> Manifest:
    learner = world.learner(database, Clock(now_s), holder=holder, batch=batch)
    while learner.step().examples:
        pass
    learner.finish()
    newest = world.newest(database)
    assert newest is not None
    return newest.manifest


def damage(database: Database, *ids: str) -> dict[str, bytes]:
    """Cut the facts of some decisions; gives what they were."""
    with database.write() as connection:
        which = decisions.c.id.in_(ids)
        query = sa.select(decisions.c.id, decisions.c.facts).where(which)
        before = dict(connection.execute(query).all())
        connection.execute(sa.update(decisions).where(which).values(facts=b'{"segment": "yo'))
    return before


def mend(database: Database, facts: dict[str, bytes]) -> None:
    with database.write() as connection:
        for decision, content in facts.items():
            connection.execute(sa.update(decisions).where(decisions.c.id == decision).values(facts=content))


def state(database: Database, decision: str) -> quarantine.Held:
    with database.read() as connection:
        return quarantine.one(connection, decision)


def release(database: Database, *ids: str) -> None:
    with database.write() as connection:
        quarantine.release(connection, ids, now_s=LATE_S, who="anna")


def test_a_poison_row_is_held_with_its_reason_and_changes_no_weight(database: Database, tmp_path: Path) -> None:
    """The weights are those of a log that never had it, and the raw row stays where it was."""
    world.play(database, 600, seed=3)
    damage(database, *POISON)
    with_poison = run(database)
    (tmp_path / "other").mkdir()
    with world.opened(tmp_path / "other") as other:
        world.play(other, 600, seed=3)
        with other.write() as connection:
            connection.execute(sa.delete(decisions).where(decisions.c.id.in_(POISON)))
        without = run(other)

    assert (with_poison.weights_sha256, with_poison.examples_learned) == (without.weights_sha256, 598)
    for decision in POISON:
        found = state(database, decision)
        assert (found.state, found.reason, found.tries, found.at) == ("held", "InputError", 1, LATE_S)
        assert "cannot be read" in found.error
        assert world.marks(database)[decision] == QUARANTINED
    with database.read() as connection:
        assert quarantine.counts(connection) == {"held": 2, "released": 0, "learned": 0, "dropped": 0}


@pytest.mark.parametrize("batch", [50, 1_000])
def test_released_rows_are_learned_in_their_place(database: Database, tmp_path: Path, batch: int) -> None:
    """After mending, weights and count are those of a log in which nothing was ever wrong, whatever the batches."""
    world.play(database, 600, seed=3)
    before = damage(database, *POISON)
    first = run(database)
    mend(database, before)
    release(database, *POISON)
    assert world.marks(database)[POISON[0]] == RELEASED
    after = run(database, "b", now_s=LATE_S + 100.0, batch=batch)
    (tmp_path / "other").mkdir()
    with world.opened(tmp_path / "other") as other:
        world.play(other, 600, seed=3)
        sound = run(other)

    assert (after.weights_sha256, after.examples_learned) == (sound.weights_sha256, 600)
    assert after.weights_sha256 != first.weights_sha256
    assert [state(database, decision).state for decision in POISON] == ["learned", "learned"]
    assert {world.marks(database)[decision] for decision in POISON} <= {after.version, after.parent}


def test_a_release_reaches_a_learner_that_is_at_work(database: Database) -> None:
    """Without a restart: its next step begins a new lineage, and what has matured meanwhile comes after."""
    world.play(database, 300, seed=3)
    before = damage(database, POISON[0])
    learner = world.learner(database, Clock(LATE_S), batch=1_000)
    learner.step()
    mend(database, before)
    release(database, POISON[0])
    report = learner.step()

    newest = world.newest(database)
    assert newest is not None
    assert (report.examples, newest.manifest.examples_learned, newest.manifest.parent) == (300, 300, "")
    assert learner.step().examples == 0


def test_what_fails_again_is_held_again(database: Database) -> None:
    world.play(database, 300, seed=3)
    damage(database, POISON[0])
    run(database)
    release(database, POISON[0])
    manifest = run(database, "b", now_s=LATE_S + 100.0)

    found = state(database, POISON[0])
    assert (found.state, found.tries, manifest.examples_learned) == ("held", 2, 299)
    assert world.marks(database)[POISON[0]] == QUARANTINED


def test_what_was_dropped_stays_dropped(database: Database) -> None:
    world.play(database, 300, seed=3)
    before = damage(database, POISON[0])
    run(database)
    with database.write() as connection:
        quarantine.drop(connection, [POISON[0]], now_s=11_000.0, who="anna")
    mend(database, before)
    manifest = run(database, "b", now_s=LATE_S + 100.0)

    found = state(database, POISON[0])
    assert (found.state, found.changed_at, found.changed_by) == ("dropped", 11_000.0, "anna")
    assert manifest.examples_learned == 299
    with database.read() as connection:
        assert quarantine.listing(connection) == []
        with pytest.raises(RefusedError, match="dropped already"):
            quarantine.held(connection, [POISON[0]])
        with pytest.raises(UnknownIdError, match="not in quarantine"):
            quarantine.held(connection, ["d00102"])
        assert audit_log.newest(connection, limit=5) == []  # those who ask for it leave an entry: see the command
