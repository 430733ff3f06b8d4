"""Contact rules hold within one slate as well: each slot that is shown is a contact, and counts for the next."""

from collections import Counter

import msgspec
import numpy as np
import sqlalchemy as sa

from bandit_nba.catalogue import ContactRule
from bandit_nba.decide.audit.run import audit
from bandit_nba.decide.slates.log import LoggedSlate
from bandit_nba.online import definitions
from bandit_nba.online.answering import Answer
from bandit_nba.online.decider import Decider
from bandit_nba.online.messages import DecisionAnswer
from bandit_nba.store.database import Database
from bandit_nba.store.past import StoredPast, past_records
from bandit_nba.workspace import Workspace
from tests.online.clock import Clock
from tests.online.contact_world import CAPS, GROUPS, Unlearned, ask, under

SLOTS = [{"id": "a"}, {"id": "b"}, {"id": "c", "excludedArms": ["tip"]}, {"id": "d"}]


def held(decider: Decider, *requests: object) -> list[list[str | None]]:
    """What stands in the slots of each answer."""
    out = []
    for answer in decider.decide_batch(requests):  # type: ignore[arg-type]
        assert isinstance(answer, Answer), answer
        slots = msgspec.json.decode(answer.body, type=DecisionAnswer).slots
        assert isinstance(slots, list)
        out.append([slot.arm for slot in slots])
    return out


def slates(database: Database) -> list[LoggedSlate]:
    with database.read() as connection:
        return [
            msgspec.json.decode(content, type=LoggedSlate)
            for content in connection.execute(sa.text("SELECT slate FROM decisions ORDER BY rowid")).scalars()
        ]


def test_one_contact_a_window_is_one_slot(workspace: Workspace, database: Database, clock: Clock) -> None:
    once = ContactRule(kind="cap", scope="all", max=1, within="PT1H")
    decider = Decider(under(workspace, once), database, Unlearned(), clock=clock)
    shown = held(decider, *(ask(f"d-{i}", f"c-{i}", slots=SLOTS) for i in range(200)))

    contacts = [sum(arm != "no_action" for arm in slots) for slots in shown]
    assert max(contacts) == 1
    assert contacts.count(1) > 190  # (1/5)^3 and less stay empty: no action in all slots
    for slate in slates(database):
        for number, place in enumerate(slate.slots):
            taken = [p.arm for p in slate.slots[:number] if p.arm != "no_action"]
            assert set(place.capped) == (set(GROUPS) - set(taken) if taken else set())


def test_a_group_counts_over_slots(workspace: Workspace, database: Database, clock: Clock) -> None:
    one_sale = ContactRule(kind="cap", scope="group", names=("sell",), max=1, within="PT1H")
    decider = Decider(under(workspace, one_sale), database, Unlearned(), clock=clock)
    shown = held(decider, *(ask(f"d-{i}", f"c-{i}", slots=SLOTS) for i in range(300)))

    sales = [sum(GROUPS.get(arm or "") == "sell" for arm in slots) for slots in shown]
    assert set(sales) == {0, 1}
    assert any(sum(arm != "no_action" for arm in slots) == 3 for slots in shown)


def test_nobody_counts_contacts_of_anonymous_customers(workspace: Workspace, database: Database, clock: Clock) -> None:
    once = ContactRule(kind="cap", scope="all", max=1, within="PT1H")
    decider = Decider(under(workspace, once), database, Unlearned(), clock=clock)
    shown = held(decider, *(ask(f"d-{i}", None, slots=SLOTS) for i in range(100)))

    assert any(sum(arm != "no_action" for arm in slots) > 1 for slots in shown)


def test_caps_hold_over_slots_batches_and_time_and_the_audit_agrees(
    workspace: Workspace, database: Database, clock: Clock
) -> None:
    """200 batches for 6 customers on two channels; of each window of an hour no cap is exceeded."""
    bound = definitions.register(under(workspace, *CAPS), database, clock=clock)
    decider, rng = Decider(bound, database, Unlearned(), clock=clock), np.random.default_rng(0)
    told: list[tuple[str, str, float, list[str | None]]] = []
    for batch in range(200):
        clock.now_s += float(rng.exponential(400.0))
        channels = [str(c) for c in rng.choice(["web", "email"], size=3)]
        customers = [f"c-{k}" for k in rng.integers(6, size=3)]
        asked = [
            ask(f"d-{batch}-{i}", customer, channel, slots=SLOTS[: 1 + int(rng.integers(4))])
            for i, (customer, channel) in enumerate(zip(customers, channels, strict=True))
        ]
        for customer, channel, arms in zip(customers, channels, held(decider, *asked), strict=True):
            told.append((customer, channel, clock.now_s, arms))

    contacts = [(c, ch, t, arm) for c, ch, t, arms in told for arm in arms if arm not in (None, "no_action")]
    assert len(contacts) > 150
    for customer, _, until, _ in contacts:
        within = [(ch, arm) for c, ch, t, arm in contacts if c == customer and until - 3_600.0 < t <= until]
        assert len(within) <= 3
        assert sum(ch == "email" for ch, _ in within) <= 2
        assert max(Counter(arm for _, arm in within).values()) == 1
        assert sum(GROUPS[arm or ""] == "sell" for _, arm in within) <= 1
    assert any(place.capped for slate in slates(database) for place in slate.slots)
    found = audit(past_records(database), StoredPast(database, workspace.salts | {"s1": bound.salt}), rng=rng)
    assert found.first == ()
    assert found.ok
