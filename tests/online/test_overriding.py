"""An employee's other choice: kept apart, never learned, only for what the rules had left."""

import msgspec
import pytest
import sqlalchemy as sa

from bandit_nba.customers.pseudonym import pseudonym
from bandit_nba.decide.scoring import NoModel, Scorer
from bandit_nba.errors import IdConflictError, InputError, NbaError, RefusedError, UnknownIdError
from bandit_nba.evaluate.stored import read_log
from bandit_nba.online import definitions
from bandit_nba.online.decider import Decider
from bandit_nba.online.learning_loop import LearningLoop
from bandit_nba.online.messages import DecisionRequest, OverrideRequest
from bandit_nba.online.overriding import Overriding
from bandit_nba.store.database import Database
from bandit_nba.store.log import contacts as contact_store
from bandit_nba.store.log import decisions as decision_store
from bandit_nba.store.log import overrides
from bandit_nba.store.log.contacts import Needs
from bandit_nba.store.tables import OVERRIDDEN
from bandit_nba.store.tables import decisions as table
from bandit_nba.workspace import Workspace
from tests.online.clock import START_S, Clock

OTHER = {"no_action": "network_status", "network_status": "no_action"}


class Unlearned:
    def current(self) -> Scorer:
        return NoModel()


@pytest.fixture
def decider(workspace: Workspace, database: Database, clock: Clock) -> Decider:
    return Decider(workspace, database, Unlearned(), clock=clock)


@pytest.fixture
def overriding(workspace: Workspace, database: Database, clock: Clock) -> Overriding:
    return Overriding(workspace.pseudonym_key, database, clock=clock)


def decided(decider: Decider, decision: str = "d-1", **more: object) -> str:
    """The arm that the system chose."""
    asked = msgspec.convert({"decisionId": decision, "channel": "web", **more}, DecisionRequest)
    (answer,) = decider.decide_batch([asked])
    assert not isinstance(answer, NbaError)
    arm: str = msgspec.json.decode(answer.body)["arm"]
    return arm


def request(arm: str, *, reason: str = "she asked for it", employee: str = "e-7") -> OverrideRequest:
    return OverrideRequest(arm=arm, reason=reason, employee_id=employee)


def test_what_was_shown_and_what_was_done_are_kept_apart(
    decider: Decider, overriding: Overriding, database: Database, clock: Clock
) -> None:
    shown = decided(decider)
    clock.now_s += 60.0
    answer, known = overriding.override("d-1", request(OTHER[shown]))

    with database.read() as connection:
        record = decision_store.get(connection, "d-1")
        kept = overrides.get(connection, "d-1")
    assert record is not None
    assert kept is not None
    assert not known
    assert (answer.arm, answer.decided_arm, answer.shown) == (OTHER[shown], shown, [shown])
    assert (record.arm, record.propensity, record.learned_in) == (shown, 0.5, OVERRIDDEN)
    assert (kept.arm, kept.reason, kept.overridden_at) == (OTHER[shown], "she asked for it", START_S + 60.0)
    assert "e-7" not in kept.employee
    assert not hasattr(kept, "propensity")


def test_again_changes_nothing_and_otherwise_is_refused(decider: Decider, overriding: Overriding, clock: Clock) -> None:
    asked = request(OTHER[decided(decider)])
    first, _ = overriding.override("d-1", asked)
    clock.now_s += 9_999.0  # also after the decision has matured
    again, known = overriding.override("d-1", asked)

    assert known
    assert again == first
    for other in ({"reason": "because"}, {"employee": "e-8"}):
        with pytest.raises(IdConflictError, match="overridden otherwise"):
            overriding.override("d-1", request(asked.arm, **other))


@pytest.mark.parametrize(
    ("arm", "what"),
    [
        ("fiber_upgrade/speed", "consent.*rules cannot be overridden"),
        ("loyalty_discount", "eligibility.*rules cannot be overridden"),
        ("network_statue", "was no choice here.*network_status"),
    ],
)
def test_rules_cannot_be_overridden(decider: Decider, overriding: Overriding, arm: str, what: str) -> None:
    decided(decider)

    with pytest.raises(InputError, match=what):
        overriding.override("d-1", request(arm))


def test_what_was_decided_is_no_override(decider: Decider, overriding: Overriding) -> None:
    with pytest.raises(InputError, match="nothing to override"):
        overriding.override("d-1", request(decided(decider)))


def test_an_unknown_decision(overriding: Overriding) -> None:
    with pytest.raises(UnknownIdError):
        overriding.override("d-1", request("no_action"))


@pytest.mark.parametrize(("after_s", "late"), [(1_800.0, False), (1_800.001, True)])
def test_up_to_the_moment_it_matures(
    decider: Decider, overriding: Overriding, clock: Clock, after_s: float, late: bool
) -> None:
    """web: a decision waits 1,800 s for its outcomes; the learner takes it only after that moment."""
    asked = request(OTHER[decided(decider)])
    clock.now_s += after_s

    if late:
        with pytest.raises(RefusedError, match="has matured"):
            overriding.override("d-1", asked)
    else:
        overriding.override("d-1", asked)


def test_an_override_activates_a_deferred_decision_unless_it_has_expired(
    decider: Decider, overriding: Overriding, database: Database, clock: Clock
) -> None:
    first = request(OTHER[decided(decider, channel="call_center")])
    second = request(OTHER[decided(decider, "d-2", channel="call_center")])
    overriding.override("d-1", first)
    clock.now_s += 901.0

    with pytest.raises(RefusedError, match="expired"):
        overriding.override("d-2", second)
    with database.read() as connection:
        record = decision_store.get(connection, "d-1")
    assert record is not None
    assert record.activated_at == START_S


def test_learning_and_judging_leave_it_out_and_say_so(
    workspace: Workspace, decider: Decider, overriding: Overriding, database: Database, clock: Clock
) -> None:
    definitions.register(workspace, database, clock=clock)
    for i in range(4):
        shown = decided(decider, f"d-{i}")
        if i == 2:
            overriding.override("d-2", request(OTHER[shown]))
    clock.now_s += 1_801.0
    loop = LearningLoop.open(workspace, database, clock=clock)
    loop.step()

    with database.read() as connection:
        marks = dict(connection.execute(sa.select(table.c.id, table.c.learned_in)).all())  # type: ignore[arg-type]
        counts = decision_store.counts(connection, now_s=clock.now_s)
    log = read_log(database, workspace.rewards, workspace.catalogue.facts, now_s=clock.now_s)

    assert {decision for decision, mark in marks.items() if mark == OVERRIDDEN} == {"d-2"}
    assert len({marks["d-0"], marks["d-1"], marks["d-3"]}) == 1
    assert (counts.learned, counts.overridden, counts.total) == (3, 1, 4)
    assert list(log.ids) == ["d-0", "d-1", "d-3"]
    assert log.left_out == {"overridden": 1}


def test_contact_rules_count_what_the_human_did(
    workspace: Workspace, decider: Decider, overriding: Overriding, database: Database, clock: Clock
) -> None:
    """The contact moves from the system's choice to the human's; the version tells those who decide meanwhile."""
    key = pseudonym(workspace.pseudonym_key, "kd-4711")

    def known() -> tuple[int, list[str]]:
        with database.read() as connection:
            version = contact_store.versions(connection, [key])[key]
            found = contact_store.contacts(connection, [key], Needs(lookback_s=3_600.0), now_s=clock.now_s)
        return version, [contact.action for contact in found.get(key, [])]

    shown = decided(decider, customerId="kd-4711")
    before = known()
    overriding.override("d-1", request(OTHER[shown]))
    after = known()

    contacts = {"no_action": [], "network_status": ["network_status"]}
    assert (before[1], after[1]) == (contacts[shown], contacts[OTHER[shown]])
    assert after[0] == before[0] + 1
