"""Rankings and slots: from the question to the log, the lesson and the verdict."""

import msgspec
import numpy as np
import pytest
import sqlalchemy as sa

from bandit_nba.decide.record import logged
from bandit_nba.errors import IdConflictError, InputError, NbaError
from bandit_nba.evaluate.stored import read_log
from bandit_nba.online import definitions
from bandit_nba.online.answering import Answer
from bandit_nba.online.collector import Collector
from bandit_nba.online.decider import Decider
from bandit_nba.online.late import LateDecider
from bandit_nba.online.messages import Outcome
from bandit_nba.store.database import Database
from bandit_nba.store.tables import NEVER
from bandit_nba.store.tables import decisions as table
from bandit_nba.workspace import Workspace
from tests.online.clock import Clock
from tests.online.slate_world import TWO, WITH_CONTROLS, Unlearned, accept, ask, audited, learned, one, read, stored


class TestRankings:
    def test_an_answer_says_what_was_logged(self, decider: Decider, database: Database) -> None:
        answer = one(decider, ask(topK=4))
        slate = logged(stored(database)).slate

        assert slate is not None
        assert isinstance(answer.ranking, list)
        assert answer.slots is msgspec.UNSET
        assert [place.rank for place in answer.ranking] == [1, 2, 3, 4]
        assert [place.arm for place in answer.ranking] == [place.arm for place in slate.slots]
        assert [place.probability for place in answer.ranking] == [place.propensity for place in slate.slots]
        assert (answer.arm, answer.probability) == (answer.ranking[0].arm, answer.ranking[0].probability)
        assert len({place.arm for place in answer.ranking}) == 4
        assert answer.slate_probability == slate.propensity
        assert slate.propensity == pytest.approx(np.prod([place.probability for place in answer.ranking]))

    def test_values_and_reasons_stand_beside_each_arm(
        self, workspace: Workspace, database: Database, clock: Clock
    ) -> None:
        decider, _ = learned(workspace, database, clock)
        answer = one(decider, ask("r", topK=3))

        assert isinstance(answer.ranking, list)
        values = {action.id: action.value for action in workspace.catalogue.actions} | {"no_action": 1.0}
        for place in answer.ranking:
            assert place.value == values[place.action]
            assert 0 < len(place.reasons) <= 3
            sizes = [abs(reason.effect) for reason in place.reasons]
            assert sizes == sorted(sizes, reverse=True)
        (none,) = [place for place in one(decider, ask("r2", topK=50)).ranking or [] if place.arm == "no_action"]
        assert none.priority == 0.0

    def test_a_replay_is_equal_byte_for_byte(self, decider: Decider, clock: Clock) -> None:
        requests = [ask("a", topK=3), ask("b", slots=[{"id": "s"}, {"id": "t"}]), ask("c", actions=TWO, topK=2)]
        first = decider.decide_batch(requests)
        clock.now_s += 100.0
        again = decider.decide_batch(requests)

        assert [a.replayed for a in again if isinstance(a, Answer)] == [True] * 3
        assert [a.body for a in again if isinstance(a, Answer)] == [a.body for a in first if isinstance(a, Answer)]

    def test_another_wish_is_another_question(self, decider: Decider) -> None:
        decider.decide_batch([ask(topK=3)])
        others: list[dict[str, object]] = [
            {"topK": 2},
            {"slots": [{"id": "1"}, {"id": "2"}, {"id": "3"}]},
            {"topK": 3, "excludedArms": ["network_status"]},
            {"topK": 3, "actions": TWO},
            {},
        ]

        assert all(isinstance(decider.decide_batch([ask(**other)])[0], IdConflictError) for other in others)

    def test_asking_for_nothing_more_is_the_plain_question(self, decider: Decider) -> None:
        decider.decide_batch([ask()])
        (again,) = decider.decide_batch([ask(excludedArms=[])])

        assert isinstance(again, Answer)
        assert again.replayed

    def test_it_ends_with_the_last_eligible_arm(self, decider: Decider) -> None:
        answer = one(decider, ask(topK=50, facts={}))

        assert isinstance(answer.ranking, list)
        assert sorted(place.arm for place in answer.ranking) == ["network_status", "no_action"]
        assert answer.ranking[1].probability == 1.0


class TestSlots:
    def test_each_slot_is_answered_in_the_order_asked(self, decider: Decider, database: Database) -> None:
        answer = one(decider, ask(slots=[{"id": "hero"}, {"id": "side", "excludedArms": ["fiber_upgrade"]}]))

        assert isinstance(answer.slots, list)
        assert [slot.id for slot in answer.slots] == ["hero", "side"]
        assert answer.slots[0].arm == answer.arm
        assert answer.slots[1].action != "fiber_upgrade"
        slate = logged(stored(database)).slate
        assert slate is not None
        assert [place.excluded for place in slate.slots] == [(), ("fiber_upgrade",)]

    def test_what_the_first_slot_excludes_is_logged_as_removed(self, decider: Decider, database: Database) -> None:
        one(decider, ask(slots=[{"id": "a", "excludedArms": ["network_status"]}, {"id": "b"}]))

        assert logged(stored(database)).removed["network_status"][0] == "request"

    def test_what_cannot_be_given_is_refused_and_spoils_no_other(self, decider: Decider) -> None:
        thousand = [{"id": str(i)} for i in range(1_000)]
        refused: list[tuple[dict[str, object], str]] = [
            ({"topK": 2, "slots": [{"id": "a"}]}, "topK"),
            ({"slots": [{"id": "a"}, {"id": "a"}]}, "slots[1].id"),
            ({"excludedArms": ["nettwork_status"]}, "excludedArms"),
            ({"excludedArms": ["no_action"]}, "excludedArms"),
            ({"slots": [{"id": "a"}, {"id": "b", "excludedArms": ["x"]}]}, "slots[1].excludedArms"),
            ({"actions": TWO, "excludedArms": ["x"]}, "excludedArms"),
            ({"actions": TWO, "excludedArms": ["network_status"]}, "excludedArms"),
            ({"actions": [TWO[0], TWO[0]]}, "actions[1].id"),
            ({"actions": [{"id": "x", "features": {"arm": "y"}}]}, "actions[0].features"),
            ({"actions": [{"id": "x", "features": {"a|b": 1}}]}, "actions[0].features"),
        ]
        allowed: list[dict[str, object]] = [
            {"topK": 2},
            {"actions": thousand, "topK": 50},
            {"actions": TWO, "slots": [{"id": "a"}, {"id": "b", "excludedArms": ["x"]}]},
        ]
        wishes = [*(wish for wish, _ in refused), *allowed]
        got = decider.decide_batch([ask(f"d-{i}", **wish) for i, wish in enumerate(wishes)])

        for answer, (_, where) in zip(got, refused, strict=False):
            assert isinstance(answer, InputError)
            assert answer.where == where
        assert all(isinstance(answer, Answer) for answer in got[len(refused) :])

    @pytest.mark.parametrize(
        "wish",
        [
            {"topK": 0},
            {"topK": 51},
            {"topK": True},
            {"slots": []},
            {"slots": [{"id": "a"}] * 51},
            {"actions": []},
            {"actions": [{"id": "a"}] * 1_001},
            {"actions": [{"id": ""}]},
            {"actions": [{"id": "a", "features": {"n": float("nan")}}]},
            {"actions": [{"id": "a", "features": {"n": float("inf")}}]},
            {"actions": [{"id": "a", "features": {"n": 1e16}}]},
            {"actions": [{"id": "a", "features": {"n": True}}]},
            {"actions": [{"id": "a", "features": {"n": None}}]},
            {"actions": [{"id": "a", "value": 0}]},
            {"actions": [{"id": "a", "values": 1}]},
            {"slots": [{"id": "a", "action": "x"}]},
            *({"actions": [{"id": text}]} for text in WITH_CONTROLS),
        ],
    )
    def test_what_is_not_as_declared_never_comes_in(self, wish: dict[str, object]) -> None:
        with pytest.raises(msgspec.ValidationError):
            ask(**wish)


def test_a_slate_teaches_by_its_first_slot(workspace: Workspace, database: Database, clock: Clock) -> None:
    """Outcomes of the second slot count for nothing here; those of the first and those that name none count."""
    definitions.register(workspace, database, clock=clock)
    decider, collector = (
        Decider(workspace, database, Unlearned(), clock=clock),
        Collector(workspace, database, clock=clock),
    )
    decider.decide_batch([ask(f"d-{i}", slots=[{"id": "hero"}, {"id": "side"}]) for i in range(4)])
    said = [("d-0", "hero"), ("d-1", "side"), ("d-2", None), ("d-3", "other")]
    outcomes = [accept(decision, slot=slot) for decision, slot in said]
    assert all(c.receipt == "created" for c in collector.collect_batch(outcomes))
    clock.now_s += 1_801.0

    log = read_log(database, workspace.rewards, workspace.catalogue.facts, now_s=clock.now_s, slates=True)
    assert dict(zip(log.ids, log.reward.tolist(), strict=True)) == {"d-0": 1.0, "d-1": 0.0, "d-2": 1.0, "d-3": 0.0}


def test_a_slot_without_a_decision_is_refused_and_another_slot_is_another_outcome(
    workspace: Workspace, database: Database, clock: Clock
) -> None:
    collector = Collector(workspace, database, clock=clock)
    first = Outcome(outcome_id="o", decision_id="d", type="accept", slot="hero")
    (kept, again) = collector.collect_batch([first, first])
    (other, nameless) = collector.collect_batch(
        [
            Outcome(outcome_id="o", decision_id="d", type="accept", slot="side"),
            Outcome(outcome_id="p", customer_id="c", type="accept", slot="hero"),
        ]
    )

    assert (kept.receipt, again.receipt, other.receipt, nameless.receipt) == (
        "created",
        "duplicate",
        "conflict",
        "invalid",
    )
    assert isinstance(nameless.error, InputError)


def test_every_question_at_once_comes_out_again_in_the_audit(
    workspace: Workspace, database: Database, clock: Clock
) -> None:
    decider, loop = learned(workspace, database, clock)

    def wish(i: int) -> dict[str, object]:
        kinds: list[dict[str, object]] = [
            {},
            {"topK": 1 + i % 7},
            {"slots": [{"id": "a", "excludedArms": ["network_status"]}, {"id": "b"}]},
            {"actions": TWO, "slots": [{"id": "a"}, {"id": "b", "excludedArms": ["x"]}, {"id": "c"}]},
            {"excludedArms": ["fiber_upgrade", "loyalty_discount"], "topK": 3},
            {"actions": [*TWO, {"id": f"only-{i}"}], "excludedArms": ["y"]},
            {"actions": TWO, "topK": 2, "customerId": f"c-{i}"},
        ]
        return kinds[i % len(kinds)]

    made = decider.decide_batch([ask(f"q-{i}", **wish(i)) for i in range(350)])

    assert not [a for a in made if isinstance(a, NbaError)]
    audited(workspace, database)
    with database.write() as connection:  # erased facts leave the choices to be checked
        connection.execute(sa.update(table).values(facts=None))
    audited(workspace, database)
    with database.read() as connection:
        marks = connection.execute(sa.select(table.c.learned_in).where(table.c.id.like("q-%"))).scalars()
        assert NEVER not in set(marks)
    loop.stop()


def test_answers_that_would_come_too_late_hold_safe_arms_only(
    workspace: Workspace, database: Database, clock: Clock
) -> None:
    definitions.register(workspace, database, clock=clock)
    decider = LateDecider(workspace, database, Unlearned(), clock=clock)
    wishes: list[dict[str, object]] = [
        {"topK": 3},
        {"slots": [{"id": "a", "excludedArms": ["network_status"]}, {"id": "b"}]},
        {"actions": TWO, "topK": 2},
        {"actions": TWO, "slots": [{"id": "a"}, {"id": "b"}]},
        {},
    ]
    answers = [read(a) for a in decider.decide_batch([ask(f"d-{i}", **wishes[i % 5]) for i in range(50)])]

    assert {a.kind for a in answers} == {"fallback"}
    for ranked, slots, inline_ranked, inline_slots in zip(*(answers[i::5] for i in range(4)), strict=True):
        assert {place.arm for place in ranked.ranking or []} <= {"no_action", "network_status"}
        assert slots.arm == "no_action"
        assert [place.arm for place in inline_ranked.ranking or []] == ["x"]
        assert [slot.arm for slot in inline_slots.slots or []] == ["x", None]
    audited(workspace, database)
