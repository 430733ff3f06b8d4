"""What serves: the newest, or what somebody chose; every change kept; what is put away never comes back."""

import pytest

from bandit_nba.errors import RefusedError, UnknownIdError
from bandit_nba.store.database import Database
from bandit_nba.store.registry import models, serving
from tests.store.test_models import model


def publish(database: Database, examples: int) -> str:
    one = model(examples=examples)
    with database.write() as connection:
        models.publish(connection, one)
    return one.manifest.version


def change(database: Database, what: serving.What, version: str, why: str = "because") -> serving.Change:
    with database.write() as connection:
        return serving.change(connection, what, version, who="ann", why=why, now_s=5.0)


def put_away(database: Database, version: str, *, serves: str) -> serving.Change | None:
    with database.write() as connection:
        return serving.quarantine(connection, version, serves=serves, who="replica", why="NaN", now_s=6.0)


def wanted(database: Database, limit: int = 1) -> list[str]:
    with database.read() as connection:
        return serving.wanted(connection, limit=limit)


def before(database: Database, version: str) -> list[str]:
    with database.read() as connection:
        return serving.before(connection, version, limit=5)


def test_the_newest_serves_until_somebody_chooses(database: Database) -> None:
    assert wanted(database) == []
    a, b = publish(database, 1), publish(database, 2)
    assert wanted(database, 5) == [b, a]

    made = change(database, "rollback", a)
    c = publish(database, 3)

    assert wanted(database) == [a]
    assert wanted(database, 5) == [a]  # nothing newer comes back by itself
    assert (made.serial, made.before, made.serves, made.who, made.why, made.at) == (1, b, a, "ann", "because", 5.0)

    made = change(database, "follow", "")
    assert wanted(database) == [c]
    assert (made.serial, made.before, made.serves) == (2, a, "")
    with database.read() as connection:
        assert [one.what for one in serving.changes(connection)] == ["follow", "rollback"]


def test_older_ones_stand_by_for_a_fixed_model_that_cannot_serve_and_newer_ones_never(database: Database) -> None:
    a, b, c, _ = (publish(database, i) for i in range(4))
    change(database, "publish", c)

    assert wanted(database) == [c]
    assert wanted(database, 2) == [c, b]
    assert wanted(database, 9) == [c, b, a]


def test_back_goes_to_what_served_before_or_to_the_next_older(database: Database) -> None:
    a, b, c = (publish(database, i) for i in range(3))
    assert before(database, c) == [b, a]
    change(database, "rollback", b)
    assert before(database, b) == [a]  # twice back is two back
    change(database, "publish", c)
    assert before(database, c) == [b, a]
    change(database, "publish", a)
    assert before(database, a) == [c]  # undone: a was published by name while c served


def test_an_unknown_model_is_refused_with_the_nearest(database: Database) -> None:
    a = publish(database, 1)

    with pytest.raises(UnknownIdError) as refused:
        change(database, "publish", a[:-1] + "x")

    assert refused.value.hint == f'did you mean "{a}"?'
    assert wanted(database) == [a]


def test_what_is_put_away_takes_with_it_what_was_learned_on_from_it(database: Database) -> None:
    a, b, c = (publish(database, i) for i in range(3))
    made = put_away(database, b, serves=a)
    d = publish(database, 4)  # of a new lineage

    assert made is not None
    assert (made.what, made.before, made.serves, made.why) == ("quarantine", b, a, "NaN")
    assert wanted(database) == [a]
    with database.read() as connection:
        assert list(serving.quarantined(connection)) == [b, c]
        assert f"model {b}" in serving.quarantined(connection)[c].why
    with pytest.raises(RefusedError, match="is quarantined"):
        change(database, "publish", c)
    change(database, "follow", "")
    assert wanted(database, 5) == [d, a]
    assert before(database, d) == [a]


def test_twice_is_once(database: Database) -> None:
    a, b = publish(database, 1), publish(database, 2)

    assert put_away(database, b, serves=a) is not None
    assert put_away(database, b, serves="none") is None
    assert wanted(database) == [a]


def test_what_was_fixed_by_hand_is_put_away_alone(database: Database) -> None:
    """What was learned since has served without a fault."""
    a, b, c = (publish(database, i) for i in range(3))
    change(database, "publish", b)
    put_away(database, b, serves=a)

    with database.read() as connection:
        assert list(serving.quarantined(connection)) == [b]
    change(database, "publish", c)
    assert wanted(database) == [c]


def test_a_late_word_of_a_model_that_serves_no_longer_changes_nothing_else(database: Database) -> None:
    a, b = publish(database, 1), publish(database, 2)
    change(database, "rollback", a)

    assert put_away(database, b, serves="none") is None
    assert wanted(database) == [a]
    with database.read() as connection:
        assert list(serving.quarantined(connection)) == [b]


def test_without_a_sound_model_none_serves(database: Database) -> None:
    a = publish(database, 1)
    put_away(database, a, serves="none")

    assert wanted(database, 5) == ["none"]
    with database.read() as connection:
        assert serving.serving(connection) == "none"
