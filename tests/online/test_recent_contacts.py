"""Contacts that were lately read are used again exactly as long as the customer's version stands."""

from dataclasses import replace

import numpy as np
import pytest

from bandit_nba.catalogue import ContactRule
from bandit_nba.online.decider import Decider
from bandit_nba.online.recent_contacts import KEPT_S, MOST_CUSTOMERS, RecentContacts
from bandit_nba.store.database import Database
from bandit_nba.store.log import contacts as contact_store
from bandit_nba.store.log.contacts import Needs
from bandit_nba.workspace import Workspace
from tests.online.clock import Clock
from tests.online.contact_world import Unlearned, ask, under

RULE = ContactRule(kind="cap", scope="all", max=3, within="PT1H")
CUSTOMERS = ("c0", "c1", "c2")


def keys(decider: Decider) -> list[str]:
    accept = decider._catalogues.current().accept
    return [accept(ask("d", customer)).customer for customer in CUSTOMERS]


def needs_of(decider: Decider) -> Needs:
    needs = decider._catalogues.current().needs
    assert needs is not None
    return needs


@pytest.mark.parametrize("store", ["sqlite", "postgresql"], indirect=True)
def test_two_deciders_that_remember_always_know_what_the_log_says(
    workspace: Workspace, database: Database, clock: Clock
) -> None:
    deciders = [Decider(under(workspace, RULE), database, Unlearned(), clock=clock) for _ in range(2)]
    rng = np.random.default_rng(5)
    customers = keys(deciders[0])
    for i in range(60):
        clock.now_s += float(rng.integers(1, 400))
        batch = [ask(f"d{i}-{j}", str(rng.choice(CUSTOMERS))) for j in range(int(rng.integers(1, 4)))]
        deciders[int(rng.integers(2))].decide_batch(batch)
        for decider in deciders:
            recent = decider._catalogues.current().recent
            assert recent is not None
            with database.read_straight() as connection:
                versions = contact_store.versions(connection, customers)
                found = recent.look(connection, versions, now_s=clock.now_s)
                needs = needs_of(decider)
                fresh = contact_store.contacts(connection, customers, needs, now_s=clock.now_s)
            since = clock.now_s - needs.lookback_s
            told = {c: sorted(one.decided_at for one in past if one.decided_at > since) for c, past in found.items()}
            assert {c: times for c, times in told.items() if times} == {
                c: sorted(one.decided_at for one in past) for c, past in fresh.items()
            }


def test_contacts_are_read_once_for_a_version_and_for_a_minute(
    workspace: Workspace, database: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    decider = Decider(under(workspace, RULE), database, Unlearned(), clock=clock)
    read: list[list[str]] = []
    real = contact_store.contacts

    def contacts(connection: object, customers: object, *rest: object, **named: object) -> object:
        read.append(sorted(customers))  # type: ignore[call-overload]
        return real(connection, customers, *rest, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(contact_store, "contacts", contacts)
    customer, *_ = keys(decider)

    for i in range(5):
        decider.decide_batch([ask(f"d{i}", "c0")])
    assert read == [[customer]]  # what it has written itself it knows

    with database.write() as connection:
        contact_store.raise_versions(connection, [customer])
    decider.decide_batch([ask("other", "c0")])
    assert read == [[customer]] * 2

    clock.now_s += KEPT_S
    decider.decide_batch([ask("later", "c0")])
    assert read == [[customer]] * 3


def test_rules_that_ask_for_answers_always_read(workspace: Workspace, database: Database, clock: Clock) -> None:
    decider = Decider(under(workspace, RULE), database, Unlearned(), clock=clock)
    recent = RecentContacts(replace(needs_of(decider), answers=True))
    with database.read_straight() as connection:
        recent.look(connection, {"x": 0}, now_s=0.0)

    assert not recent._seen


def test_it_holds_a_bounded_number_of_customers(workspace: Workspace, database: Database, clock: Clock) -> None:
    decider = Decider(under(workspace, RULE), database, Unlearned(), clock=clock)
    recent = RecentContacts(needs_of(decider))
    with database.read_straight() as connection:
        recent.look(connection, {f"x{i}": 0 for i in range(MOST_CUSTOMERS)}, now_s=0.0)
        recent.look(connection, {"y": 0}, now_s=0.0)

    assert set(recent._seen) == {"y"}
