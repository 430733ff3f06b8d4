"""Contact rules hold for each customer over channels, requests of one batch, threads and processes, without bias."""

import os
import subprocess
import sys
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import hypothesis.strategies as st
import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from bandit_nba.catalogue import ContactRule
from bandit_nba.decide.audit import audit
from bandit_nba.decide.history import Contact
from bandit_nba.errors import StoreBusyError
from bandit_nba.online import definitions
from bandit_nba.online.answering import Answer
from bandit_nba.online.collector import Collector
from bandit_nba.online.decider import ATTEMPTS, Decider
from bandit_nba.online.making import Known, Making, contacts_of
from bandit_nba.online.messages import DecisionAnswer, Outcome
from bandit_nba.store import contacts as contact_store
from bandit_nba.store import decisions as decision_store
from bandit_nba.store.database import Database
from bandit_nba.store.past import StoredPast, past_records
from bandit_nba.workspace import Workspace
from tests.online.clock import Clock
from tests.online.contact_world import CAPS, GROUPS, Unlearned, ask, in_order, play, under

ONCE = ContactRule(kind="cap", scope="all", max=1, within="PT1H")
OFFERS = set(GROUPS)

ON_BOTH = pytest.mark.parametrize("store", ["sqlite", "postgresql"], indirect=True)


def decider_of(workspace: Workspace, database: Database, clock: Clock, *rules: ContactRule) -> Decider:
    return Decider(under(workspace, *rules), database, Unlearned(), clock=clock)


def arms(decider: Decider, *requests: object) -> list[str]:
    out = []
    for answer in decider.decide_batch(requests):  # type: ignore[arg-type]
        assert isinstance(answer, Answer), answer
        out.append(msgspec.json.decode(answer.body, type=DecisionAnswer).arm)
    return out


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
    for engine in (database._reader, database._writer):
        connection = engine.raw_connection()
        connection.driver_connection.set_trace_callback(ran.append)  # type: ignore[union-attr]
        connection.close()
    arms(decider, ask("d1", "c"))

    said = [text.split()[0] for text in ran]
    assert said == ["BEGIN", "SELECT", "COMMIT", "BEGIN", "SELECT", "SELECT", "INSERT", "INSERT", "COMMIT"]
    assert "FROM customers" in ran[1]
    assert "FROM meta" in ran[4]  # up to when everything may have been learned
    assert "FROM in_force" in ran[5]


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


# --- caps under concurrency -------------------------------------------------------------------------------------------


def assert_each_decision_knew_of_all_before_it(database: Database) -> None:
    """Replays the log in the order of writing: what contact rules took out is what the contacts before it ask for."""
    past: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
    for row in in_order(database):
        before = past[row.customer]
        count = Counter(arm for arm, _ in before)
        out = {arm for arm in GROUPS if count[arm] >= 1}
        if sum(GROUPS[arm] == "sell" for arm, _ in before) >= 1:
            out |= {"tv", "case"}
        if len(before) >= 3 or (row.channel == "email" and sum(channel == "email" for _, channel in before) >= 2):
            out |= set(GROUPS)
        assert set(msgspec.json.decode(row.removed)) == out, row.id
        if row.arm != "no_action":
            assert row.arm not in out
            before.append((row.arm, row.channel))
    assert max(len(before) for before in past.values()) == 3  # the caps were reached, or this would prove nothing


def assert_audit_is_clean(workspace: Workspace, database: Database) -> None:
    definitions.register(under(workspace, *CAPS), database)
    source = StoredPast(database, under(workspace, *CAPS).salts)
    found = audit(past_records(database), source, rng=np.random.default_rng(1))

    assert found.ok, found
    assert found.rows == len(in_order(database))


@ON_BOTH
def test_caps_hold_between_two_threads(workspace: Workspace, database: Database) -> None:
    world = under(workspace, *CAPS)
    with ThreadPoolExecutor(2) as pool:
        answered = list(pool.map(lambda seed: play(world, seed=seed, decisions=150), (1, 2)))

    assert sum(answered) == len(in_order(database)) >= 300
    assert_each_decision_knew_of_all_before_it(database)
    assert_audit_is_clean(workspace, database)


@ON_BOTH
def test_caps_hold_between_two_processes(workspace: Workspace, database: Database) -> None:
    here = Path(__file__)
    environment = {**os.environ, "PYTHONPATH": str(here.parents[2]), "OMP_NUM_THREADS": "1"}
    arguments = [sys.executable, str(here.with_name("contact_world.py")), str(workspace.path)]
    running = [
        subprocess.Popen([*arguments, seed, "150", "capped"], stdout=subprocess.PIPE, text=True, env=environment)
        for seed in ("1", "2")
    ]
    answered = [int(process.communicate(timeout=120)[0]) for process in running]

    assert [process.returncode for process in running] == [0, 0]
    assert sum(answered) == len(in_order(database))
    assert_each_decision_knew_of_all_before_it(database)
    assert_audit_is_clean(workspace, database)


# --- propensities under concurrency -----------------------------------------------------------------------------------


def test_propensities_stay_unbiased_under_concurrency(workspace: Workspace, database: Database, clock: Clock) -> None:
    """Bill earns 1 whenever it is shown. IPS of "always bill" says so on decisions that all lost a race, and does not
    on a log that draws again only where the chosen arm breaks its cap.

    4,000 customers get "tv", capped at one contact, while a second decision is made for them, over five equally likely
    arms. Made again it is drawn from four: "bill" has the chance 1/4 and 1/4 is logged. Drawing again only "tv" gives
    "bill" the same chance, 1/5 + 1/5 x 1/4, but logs 1/5 for the larger part: IPS gives 1 + 1/5. Its standard error is
    sqrt(1/.25 - 1) / sqrt(4000) = .027; bounds of 3.3 of them are wrong once in 1,000 salts, and the salt is fixed.
    """
    world = under(workspace, ContactRule(kind="cap", scope="action", names=("tv",), max=1, within="PT1H"))
    people = [f"p{i}" for i in range(4_000)]
    first = Decider(world, database, Unlearned(), clock=clock)

    def give_everybody_tv() -> None:
        left, turn = (people, 0) if not first.counts else ([], 0)
        while left:
            found = arms(first, *(ask(f"first-{turn}-{person}", person) for person in left))
            left = [person for person, arm in zip(left, found, strict=True) if arm != "tv"]
            turn += 1

    second = Decider(world, database, Unlearned(give_everybody_tv), clock=clock)
    asked = [ask(f"second-{person}", person) for person in people]
    assert all(isinstance(answer, Answer) for answer in second.decide_batch(asked))
    with database.read() as connection:
        rows = [r for r in decision_store.scan(connection) if r.id.startswith("second-")]
    bound = 3.3 * np.sqrt(1 / 0.25 - 1) / np.sqrt(len(rows))

    assert second.counts["made_again"] == len(rows) == 4_000
    assert {row.propensity for row in rows} == {0.25}
    assert np.mean([(row.arm == "bill") / row.propensity for row in rows]) == pytest.approx(1.0, abs=bound)

    making = Making(world, clock=clock, new_id=str)
    drafts = making.make([making.accept(request) for request in asked], Known(), Unlearned().current())
    rng = np.random.default_rng(7)
    drawn_again = [rng.random() < 0.25 if r.arm == "tv" else r.arm == "bill" for r in drafts]
    logged = [0.25 if r.arm == "tv" else 0.2 for r in drafts]
    assert np.mean(np.array(drawn_again) / np.array(logged)) == pytest.approx(1.2, abs=bound)
    assert bound < 0.1


# --- over random rules and histories ----------------------------------------------------------------------------------

WINDOWS_S = {"PT20S": 20.0, "PT1M": 60.0, "PT5M": 300.0}
NAMES = {"action": [*GROUPS], "group": ["sell", "serve"], "channel": ["web", "email"], "direction": ["outbound"]}


@st.composite
def caps(draw: st.DrawFn) -> ContactRule:
    scope = draw(st.sampled_from([*NAMES, "all"]))
    names = tuple(draw(st.lists(st.sampled_from(NAMES[scope]), unique=True, max_size=2))) if scope in NAMES else ()
    within = draw(st.sampled_from(sorted(WINDOWS_S)))
    return ContactRule(kind="cap", scope=scope, names=names, max=draw(st.integers(1, 3)), within=within)  # type: ignore[arg-type]


STEPS = st.lists(
    st.tuples(
        st.sampled_from([0.0, 1.0, 20.0, 47.0]),  # seconds since the batch before
        st.lists(st.tuples(st.sampled_from(["a", "b", ""]), st.sampled_from(["web", "email"])), min_size=1, max_size=6),
    ),
    min_size=5,
    max_size=25,
)


@given(st.lists(caps(), min_size=1, max_size=3), STEPS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_cap_is_ever_exceeded(
    workspace: Workspace, rules: list[ContactRule], steps: list[tuple[float, list[tuple[str, str]]]]
) -> None:
    """Batches of requests, one after the other: no stretch of time as long as a window holds more than its cap."""
    clock = Clock()
    making = Making(under(workspace, *rules), clock=clock, new_id=str)
    log: defaultdict[str, list[Contact]] = defaultdict(list)
    for number, (pause_s, asked) in enumerate(steps):
        clock.now_s += pause_s
        batch = [
            making.accept(ask(f"d{number}-{i}", customer or None, channel))
            for i, (customer, channel) in enumerate(asked)
        ]
        for record in making.make(batch, Known(contacts=log), Unlearned().current()):
            if record.customer:
                log[record.customer].extend(contacts_of(record))
    for rule in rules:
        for contacts in log.values():
            units: defaultdict[str, list[float]] = defaultdict(list)
            for contact in contacts:
                direction = "outbound" if contact.channel == "email" else "inbound"
                unit = {
                    "action": contact.action,
                    "group": GROUPS[contact.action],
                    "channel": contact.channel,
                    "direction": direction,
                    "all": "",
                }[rule.scope]
                if not rule.names or unit in rule.names:
                    units[unit].append(contact.decided_at)
            for times in units.values():
                for t in times:
                    assert sum(t - WINDOWS_S[rule.within] < s <= t for s in times) <= (rule.max or 0)
