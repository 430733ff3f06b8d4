"""Past contacts come from the log alone: what reached the customer, what was answered, what gave its count back."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from bandit_nba.decide.eligibility.history import Contact
from bandit_nba.decide.record import DecisionRecord
from bandit_nba.store.database import Database
from bandit_nba.store.driver.bulk import _listed
from bandit_nba.store.log import contacts, decisions, outcomes, overrides
from bandit_nba.store.log.contacts import Needs, reached

Record = Callable[..., DecisionRecord]
INF = float("inf")
ALL = Needs(lookback_s=1e6, answers=True, impressions=frozenset({"view"}), each=frozenset({"purchase"}))


def slate(kind: str, *arms: str | None) -> bytes:
    return msgspec.json.encode({"kind": kind, "slots": [{"id": str(i), "arm": arm} for i, arm in enumerate(arms, 1)]})


def log(database: Database, *records: DecisionRecord) -> None:
    with database.write() as connection:
        decisions.insert(connection, records)


def read(database: Database, needs: Needs = ALL, *, now_s: float = 5_000.0) -> list[Contact]:
    with database.read() as connection:
        return contacts.contacts(connection, ["c1"], needs, now_s=now_s).get("c1", [])


def told(database: Database, kind: str, at: float, **about: Any) -> None:
    outcome = outcomes.Outcome(id=f"{kind}-{at}-{about}", type=kind, payload_sha256=b"0" * 32, **about)
    with database.write() as connection:
        outcomes.insert(connection, [outcome], now_s=at)


def test_contacts_are_those_of_the_customer_within_the_look_back(database: Database, record: Record) -> None:
    log(database, record("d1"), record("d2", customer="c2"), record("d3", arm="no_action", decided_at=2_000.0))
    log(database, record("d4", decided_at=3_000.0, matures_at=4_800.0, channel="email"), record("d5", customer=""))
    found = read(database, Needs(lookback_s=1e6))

    assert sorted(found, key=lambda c: c.decided_at) == [
        Contact("tariff_m", "app", 1_000.0),
        Contact("tariff_m", "email", 3_000.0),
    ]
    assert [c.decided_at for c in read(database, Needs(lookback_s=2_000.001))] == [3_000.0]
    assert read(database, Needs(lookback_s=2_000.0)) == []


def test_answers_stand_beside_their_contact(database: Database, record: Record) -> None:
    log(database, record("d1"), record("d2", decided_at=2_000.0, matures_at=3_800.0))
    told(database, "reject", 1_500.0, decision="d1")
    told(database, "reject", 1_400.0, decision="d1")
    told(database, "view", 2_100.0, decision="d2")
    told(database, "reject", 1_600.0, customer="c1")  # of a type that must name its decision

    assert {c.decided_at: c.answers for c in read(database)} == {
        1_000.0: {"reject": 1_400.0},
        2_000.0: {"view": 2_100.0, "ignored": 3_800.0},
    }


def test_what_names_only_the_customer_answers_each_decision_that_waits(database: Database, record: Record) -> None:
    log(database, record("d1"), record("d2", decided_at=2_000.0, matures_at=3_800.0))
    told(database, "purchase", 2_800.0, customer="c1")
    told(database, "purchase", 3_800.5, customer="c1")

    assert [c.answers for c in read(database)] == [{"purchase": 2_800.0}, {"purchase": 2_800.0}]


def test_a_late_answer_is_an_answer(database: Database, record: Record) -> None:
    log(database, record("d1"))
    told(database, "reject", 4_900.0, decision="d1")

    assert [c.answers for c in read(database)] == [{"reject": 4_900.0}]


def test_a_deferred_contact_counts_until_it_may_be_activated(database: Database, record: Record) -> None:
    log(database, record("d1", activate_by=1_600.0), record("d2", activate_by=1_600.0, decided_at=1_001.0))
    with database.write() as connection:
        assert decisions.activate(connection, "d2", now_s=1_600.0) == "activated"

    assert {c.decided_at: (c.counts_until, c.answers) for c in read(database)} == {
        1_000.0: (1_600.0, {}),  # never shown, never ignored
        1_001.0: (INF, {"ignored": 2_800.0}),
    }


def test_an_override_counts_as_what_the_human_chose(database: Database, record: Record) -> None:
    log(database, record("d1"), record("d2", arm="no_action", decided_at=2_000.0))
    with database.write() as connection:
        for decision, arm in (("d1", "no_action"), ("d2", "tariff_l/long")):
            made = overrides.Override(
                decision=decision,
                arm=arm,
                reason="r",
                employee="e",
                overridden_at=2_100.0,
                shown=b"[]",
                payload_sha256=b"0" * 32,
            )
            overrides.put(connection, made)

    assert read(database, Needs(lookback_s=1e6)) == [Contact("tariff_l", "app", 2_000.0)]


@pytest.mark.parametrize(
    ("slate", "picked", "override", "expected"),
    [
        (None, None, None, {"": "tv"}),
        (None, None, "no_action", {}),
        (slate("slots", "tv/a", "no_action"), None, None, {"1": "tv"}),
        (slate("slots", "tv/a", "bill"), None, None, {"1": "tv", "2": "bill"}),
        (slate("slots", "tv/a", None), None, "bill", {"1": "bill"}),
        (slate("ranking", "tv/a", "bill"), None, None, {"1": "tv"}),
        (slate("ranking", "tv/a", "bill"), "bill", None, {"1": "bill"}),
        (slate("ranking", "tv/a", "bill"), "", None, {}),
    ],
)
def test_what_reaches_the_customer(
    slate: bytes | None, picked: str | None, override: str | None, expected: dict[str, str]
) -> None:
    assert reached("tv/a", slate, picked, override) == expected


def test_versions_grow_and_are_zero_before(database: Database, record: Record) -> None:
    log(database, record("d1"), record("d2", customer="c2"), record("d3", customer=""))
    with database.write() as connection:
        assert contacts.lock_versions(connection, ["c1", "c2", "new"]) == {"c1": 0, "c2": 0, "new": 0}
        contacts.raise_versions(connection, ["c1", "c1", ""])
        contacts.raise_versions_of(connection, ["d1", "d2", "d3", "unknown"])
    with database.read() as connection:
        assert contacts.versions(connection, ["c1", "c2", "new"]) == {"c1": 2, "c2": 1, "new": 0}


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_contacts_are_found_by_index(database: Database) -> None:
    """One search of the index by customer and time, however long the log."""
    text, before, after, values = _listed(contacts._CONTACTS, "sqlite", 2)
    parameters = (*[values[place] for place in before], "c1", "c2", *[values[place] for place in after])
    with database.read() as connection:
        found = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", parameters)
        plan = " ".join(str(row) for row in found)

    assert "decisions_by_customer (customer=? AND decided_at>?)" in plan
    assert "SCAN" not in plan
