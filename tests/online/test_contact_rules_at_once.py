"""Contact rules under concurrency: caps hold between threads and processes, and propensities stay unbiased."""

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
from bandit_nba.decide.audit.run import audit
from bandit_nba.decide.eligibility.history import Contact
from bandit_nba.online import definitions
from bandit_nba.online.answering import Answer
from bandit_nba.online.decider import Decider
from bandit_nba.online.making import Known, Making, contacts_of
from bandit_nba.store.database import Database
from bandit_nba.store.log import decisions as decision_store
from bandit_nba.store.past import StoredPast, past_records
from bandit_nba.workspace import Workspace
from tests.online.clock import Clock
from tests.online.contact_world import CAPS, GROUPS, ON_BOTH, Unlearned, arms, ask, in_order, play, under


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
