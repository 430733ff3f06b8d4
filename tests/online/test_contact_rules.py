"""Contact rules hold for each customer over channels and requests of one batch, and changes meanwhile are seen."""

import msgspec

from bandit_nba.catalogue import ContactRule
from bandit_nba.errors import StoreBusyError
from bandit_nba.online.answering import Answer
from bandit_nba.online.collector import Collector
from bandit_nba.online.decider import ATTEMPTS, Decider
from bandit_nba.online.messages import Outcome
from bandit_nba.store.database import Database
from bandit_nba.store.log import contacts as contact_store
from bandit_nba.store.log import decisions as decision_store
from bandit_nba.workspace import Workspace
from tests.online.clock import Clock
from tests.online.contact_world import GROUPS, ON_BOTH, ONCE, Unlearned, arms, ask, decider_of, in_order, under

OFFERS = set(GROUPS)


def removed(database: Database, decision: str) -> dict[str, list[str]]:
    with database.read() as connection:
        record = decision_store.get(connection, decision)
    assert record is not None
    out: dict[str, list[str]] = msgspec.json.decode(record.removed)
    return out


def contact(decider: Decider, customer: str, *, channel: str = "web", prefix: str = "x") -> str:
    """Ask until it is a contact; gives its id. "No action" counts nothing, so that asking on changes nothing."""
    for i in range(200):
        (arm,) = arms(decider, ask(f"{prefix}-{customer}-{i}", customer, channel))
        if arm != "no_action":
            return f"{prefix}-{customer}-{i}"
    raise AssertionError("no contact in 200 decisions")


def test_a_cap_holds_over_channels_and_says_why(workspace: Workspace, database: Database, clock: Clock) -> None:
    decider = decider_of(workspace, database, clock, ONCE)
    contact(decider, "c", channel="email")

    assert arms(decider, ask("next", "c", "web")) == ["no_action"]
    assert removed(database, "next") == {arm: ["contact", "1 of at most 1 contact within PT1H"] for arm in GROUPS}
    clock.now_s += 3_600.0
    arms(decider, ask("later", "c", "web"))
    assert removed(database, "later") == {}


@ON_BOTH
def test_requests_of_one_batch_know_of_each_other(workspace: Workspace, database: Database, clock: Clock) -> None:
    decider = decider_of(workspace, database, clock, ONCE)
    found = arms(decider, *(ask(f"d{i}", "c") for i in range(40)), *(ask(f"e{i}", f"c{i}") for i in range(40)))

    assert sum(arm != "no_action" for arm in found[:40]) == 1  # 40 draws, each a contact with chance 4/5
    assert sum(arm != "no_action" for arm in found[40:]) > 20
    first = next(i for i, arm in enumerate(found) if arm != "no_action")
    assert [bool(removed(database, f"d{i}")) for i in range(40)] == [i > first for i in range(40)]


def test_nobody_has_no_past(workspace: Workspace, database: Database, clock: Clock) -> None:
    decider = decider_of(workspace, database, clock, ONCE)
    found = arms(decider, *(ask(f"d{i}", None) for i in range(40)))

    assert sum(arm != "no_action" for arm in found) > 20
    with database.read() as connection:
        assert contact_store.versions(connection, [""]) == {"": 0}


def test_without_contact_rules_nothing_is_read(workspace: Workspace, database: Database, clock: Clock) -> None:
    decider = decider_of(workspace, database, clock)
    arms(decider, ask("d0", "c"))
    ran: list[str] = []
    for driver in (*database._idle_readers, database._straight_writer):
        assert driver is not None
        driver.set_trace_callback(ran.append)
    arms(decider, ask("d1", "c"))

    said = [text.split()[0] for text in ran]
    assert said == ["BEGIN", "SELECT", "COMMIT", "BEGIN", "SELECT", "INSERT", "COMMIT"]
    assert "FROM customers" in ran[1]
    assert "FROM meta" in ran[4]  # up to when everything may have been learned
    assert "FROM in_force" in ran[4]


def test_a_decision_not_activated_in_time_gives_its_count_back(
    workspace: Workspace, database: Database, clock: Clock
) -> None:
    decider = decider_of(workspace, database, clock, ONCE)
    (arm,) = arms(decider, ask("d0", "c", "call_center"))
    assert arm != "no_action"

    clock.now_s += 900.0  # its time is up with this second
    assert arms(decider, ask("d1", "c")) == ["no_action"]
    clock.now_s += 0.001
    arms(decider, ask("d2", "c"))
    assert removed(database, "d2") == {}


def test_an_activated_decision_counts_on(workspace: Workspace, database: Database, clock: Clock) -> None:
    decider = decider_of(workspace, database, clock, ONCE)
    arms(decider, ask("d0", "c", "call_center"))
    with database.write() as connection:
        decision_store.activate(connection, "d0", now_s=clock.now_s + 900.0)
    clock.now_s += 1_800.0

    assert arms(decider, ask("d1", "c")) == ["no_action"]


@ON_BOTH
def test_rejects_pause_and_ignoring_pauses(workspace: Workspace, database: Database, clock: Clock) -> None:
    paused = ContactRule(kind="suppression", scope="action", after=1, outcomes=("reject",), within="PT1H", pause="P1D")
    ignored = ContactRule(kind="suppression", scope="all", after=2, outcomes=("ignored",), within="PT2H", pause="PT10M")
    decider = decider_of(workspace, database, clock, paused, ignored)
    collector = Collector(under(workspace, paused), database, clock=clock)
    first = contact(decider, "c")
    clock.now_s += 1.0
    collector.collect_batch([Outcome(outcome_id="o1", type="reject", decision_id=first)])
    (arm,) = (row.arm for row in in_order(database) if row.id == first)

    assert arms(decider, ask("d1", "c"))[0] != arm
    why = f"1 contact for action {arm} within PT1H met with reject: pause of P1D"
    assert removed(database, "d1") == {arm: ["contact", why]}

    contact(decider, "i", prefix="a")
    contact(decider, "i", prefix="b")
    clock.now_s += 1_800.0  # matures now, and is ignored from now on
    arms(decider, ask("d2", "i"))
    assert removed(database, "d2") == {}
    clock.now_s += 0.001
    assert arms(decider, ask("d3", "i")) == ["no_action"]
    clock.now_s += 600.0
    arms(decider, ask("d4", "i"))
    assert removed(database, "d4") == {}


@ON_BOTH
def test_a_known_id_is_not_counted_twice(workspace: Workspace, database: Database, clock: Clock) -> None:
    """d-0 is a contact already; asked again beside another request of its customer, it stays one of two."""
    twice = ContactRule(kind="cap", scope="all", max=2, within="PT1H")
    decider = decider_of(workspace, database, clock, twice)
    known = contact(decider, "c")
    arms(decider, ask(known, "c"), ask("new", "c"))

    assert removed(database, "new") == {}


@ON_BOTH
def test_whatever_was_chosen_a_decision_is_made_again_when_its_customer_was_contacted_meanwhile(
    workspace: Workspace, database: Database, clock: Clock
) -> None:
    world = under(workspace, ONCE)
    other = Decider(world, database, Unlearned(), clock=clock)
    done: set[str] = set()

    def meanwhile() -> None:
        if "m" not in done:
            done.add("m")
            contact(other, "c")
            contact(other, "e")

    decider = Decider(world, database, Unlearned(meanwhile), clock=clock)
    found = arms(decider, ask("d0", "c"), ask("d1", "untouched"), ask("d2", "e"))

    assert found[0] == found[2] == "no_action"
    assert [bool(removed(database, name)) for name in ("d0", "d1", "d2")] == [True, False, True]
    assert decider.counts["made_again"] == 2


@ON_BOTH
def test_an_answer_between_reading_and_writing_makes_the_decision_again(
    workspace: Workspace, database: Database, clock: Clock
) -> None:
    world = under(workspace, ContactRule(kind="cool_down", scope="all", outcomes=("accept",), pause="P1D"))
    first = contact(Decider(world, database, Unlearned(), clock=clock), "c")
    collector = Collector(world, database, clock=clock)
    told = iter([Outcome(outcome_id="o1", type="accept", decision_id=first)])

    def meanwhile() -> None:
        collector.collect_batch(list(told))

    decider = Decider(world, database, Unlearned(meanwhile), clock=clock)
    assert arms(decider, ask("d0", "c")) == ["no_action"]
    assert decider.counts["made_again"] == 1


@ON_BOTH
def test_versions_grow_with_what_rules_may_count(workspace: Workspace, database: Database, clock: Clock) -> None:
    """With contacts and answers, not with "no action", with impressions, or where no rule asks for answers."""

    def version() -> int:
        with database.read() as connection:
            (found,) = contact_store.versions(connection, [customer]).values()
            return found

    asks = ContactRule(kind="cool_down", scope="all", outcomes=("accept",), pause="P1D")
    decider = decider_of(workspace, database, clock, ONCE)
    first = contact(decider, "c")
    customer = next(row.customer for row in in_order(database) if row.id == first)
    assert version() == 1
    arms(decider, ask("none", "c"))
    assert version() == 1
    Collector(under(workspace, ONCE), database).collect_batch(
        [Outcome(outcome_id="o1", type="accept", decision_id=first)]
    )
    assert version() == 1
    Collector(under(workspace, asks), database).collect_batch(
        [
            Outcome(outcome_id="o2", type="click", decision_id=first),
            Outcome(outcome_id="o3", type="click", customer_id="c"),
        ]
    )
    assert version() == 2
    Collector(under(workspace, asks), database).collect_batch([Outcome(outcome_id="o3", type="click", customer_id="c")])
    assert version() == 2


def test_a_customer_who_is_decided_for_all_the_time_is_busy(
    workspace: Workspace, database: Database, clock: Clock
) -> None:
    world = under(workspace, ContactRule(kind="cap", scope="all", max=10_000, within="PT1H"))
    other = Decider(world, database, Unlearned(), clock=clock)
    rounds: list[str] = []

    def meanwhile() -> None:
        rounds.append(contact(other, "c", prefix=f"r{len(rounds)}"))

    decider = Decider(world, database, Unlearned(meanwhile), clock=clock)
    busy, fine = decider.decide_batch([ask("d0", "c"), ask("d1", "other")])

    assert isinstance(busy, StoreBusyError)
    assert isinstance(fine, Answer)
    assert len(rounds) == ATTEMPTS
    assert [row.id for row in in_order(database) if row.id in ("d0", "d1")] == ["d1"]
