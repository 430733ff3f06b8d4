"""Rankings, slots and actions that come with a request: from the question to the log, the lesson and the verdict."""

from collections import Counter
from pathlib import Path

import msgspec
import numpy as np
import pytest
import sqlalchemy as sa

from bandit_nba.decide.audit import audit
from bandit_nba.decide.record import DecisionRecord, logged
from bandit_nba.decide.scoring import NoModel, Scorer
from bandit_nba.errors import IdConflictError, InputError, NbaError, RefusedError, UnknownIdError
from bandit_nba.evaluate.stored import read_log
from bandit_nba.evaluate.workspace import judge_workspace
from bandit_nba.learn.guard import Demands
from bandit_nba.online import definitions
from bandit_nba.online.answering import Answer
from bandit_nba.online.collector import Collector
from bandit_nba.online.decider import Decider
from bandit_nba.online.late import LateDecider
from bandit_nba.online.learning_loop import LearningLoop
from bandit_nba.online.messages import DecisionAnswer, DecisionRequest, Outcome, PickAnswer, PickRequest
from bandit_nba.online.model_feed import ModelFeed, StoredModels
from bandit_nba.online.picking import Picking
from bandit_nba.store import decisions as decision_store
from bandit_nba.store.database import Database
from bandit_nba.store.past import StoredPast, past_records
from bandit_nba.store.tables import NEVER, OVERRIDDEN
from bandit_nba.store.tables import decisions as table
from bandit_nba.workspace import Workspace
from tests.online.clock import START_S, Clock

KNOWN = {
    "tenure_months": 12.0,
    "contract": "month_to_month",
    "internet": "dsl",
    "consent_marketing": True,
    "senior": False,
}
TWO = [{"id": "x", "features": {"topic": "tv", "price": 9.9}}, {"id": "y", "features": {"topic": "phone", "price": 1}}]
HOSTILE = (
    *("a|b", "|U age:1", "a:1000", "a b", "a=b", "a?", 'a"b', "a'b", "a\\b", "a,b", "a/b"),
    *("%s%n", "017", " ", "ü€𐍈", "{}", "../x"),
)
WITH_CONTROLS = ("a\nb", "a\r\nb", "a\tb", "a\x00b", "\x1b[31m")
LONG = "x" * 1_000_000


class Unlearned:
    def current(self) -> Scorer:
        return NoModel()


@pytest.fixture
def decider(workspace: Workspace, database: Database, clock: Clock) -> Decider:
    definitions.register(workspace, database, clock=clock)
    return Decider(workspace, database, Unlearned(), clock=clock)


@pytest.fixture
def picking(database: Database, clock: Clock) -> Picking:
    return Picking(database, clock=clock)


def ask(decision: str = "d-1", **more: object) -> DecisionRequest:
    return msgspec.convert({"decisionId": decision, "channel": "web", "facts": KNOWN, **more}, DecisionRequest)


def accept(decision: str, *, slot: str | None = None) -> Outcome:
    return Outcome(outcome_id=f"o-{decision}", decision_id=decision, type="accept", slot=slot)


def read(answer: object) -> DecisionAnswer:
    assert isinstance(answer, Answer), answer
    return msgspec.json.decode(answer.body, type=DecisionAnswer)


def one(decider: Decider, request: DecisionRequest) -> DecisionAnswer:
    return read(decider.decide_batch([request])[0])


def stored(database: Database, decision: str = "d-1") -> DecisionRecord:
    with database.read() as connection:
        record = decision_store.get(connection, decision)
    assert record is not None
    return record


def audited(workspace: Workspace, database: Database) -> None:
    found = audit(past_records(database), StoredPast(database, workspace.salts), rng=np.random.default_rng(0))
    assert found.first == ()
    assert found.ok


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


class TestInlineActions:
    def test_they_are_logged_with_their_features(self, decider: Decider, database: Database) -> None:
        answer = one(decider, ask(actions=TWO))
        record = stored(database)

        assert (answer.arm, answer.action, answer.treatment) == (record.arm, record.arm, None)
        assert msgspec.json.decode(record.arms) == ["x", "y"]
        assert record.inline_actions is not None
        assert msgspec.json.decode(record.inline_actions) == [
            {"id": "x", "group": "inline", "value": 1.0, "features": {"topic": "tv", "price": 9.9}},
            {"id": "y", "group": "inline", "value": 1.0, "features": {"topic": "phone", "price": 1.0}},
        ]

    def test_one_batch_may_mix_sets_and_the_catalogue(
        self, workspace: Workspace, decider: Decider, database: Database
    ) -> None:
        three = [*TWO, {"id": "z"}]
        wishes: list[dict[str, object]] = [{}, {"actions": TWO}, {"actions": three, "topK": 3}, {"topK": 2}]
        requests = [ask(f"d-{i}", **wishes[i % 4]) for i in range(200)]
        together = [read(a) for a in decider.decide_batch(requests)]
        alone = [one(decider, ask(f"d-{i}", **wishes[i % 4])) for i in range(200)]  # replays

        assert together == alone
        assert {a.arm for a in together[1::4]} == {"x", "y"}
        assert {a.arm for a in together[2::4]} == {"x", "y", "z"}
        assert not {a.arm for a in together[::4]} & {"x", "y", "z"}
        audited(workspace, database)

    def test_a_batch_decides_as_each_request_alone_would(
        self, workspace: Workspace, database: Database, clock: Clock, tmp_path: Path
    ) -> None:
        other = Database.open(f"sqlite:///{tmp_path / 'other.db'}")
        requests = [ask(f"d-{i}", actions=TWO[: 1 + i % 2], topK=2) for i in range(20)]
        batch = Decider(workspace, database, Unlearned(), clock=clock).decide_batch(requests)
        single = Decider(workspace, other, Unlearned(), clock=clock)

        assert [read(a) for a in batch] == [one(single, request) for request in requests]
        other.close()

    def test_the_first_answers_where_the_model_fails(
        self, workspace: Workspace, database: Database, clock: Clock
    ) -> None:
        class Failing:
            version, examples_learned = "failing", 0

            def score(self, *_: object) -> np.ndarray:
                raise RuntimeError

        class Holder:
            def current(self) -> Scorer:
                return Failing()  # type: ignore[return-value]  # it fails, whatever it would return

        decider = Decider(workspace, database, Holder(), clock=clock)
        answer = one(decider, ask(actions=TWO, slots=[{"id": "a"}, {"id": "b"}]))

        assert (answer.kind, answer.arm, answer.probability) == ("fallback", "x", 1.0)
        assert isinstance(answer.slots, list)
        assert [slot.arm for slot in answer.slots] == ["x", None]

    def test_hostile_names_change_nothing_but_themselves(
        self, workspace: Workspace, decider: Decider, database: Database
    ) -> None:
        """With a hostile id, value and group as with tame ones: the same chances, the same log but for the name."""
        for n, text in enumerate(HOSTILE):
            hostile = [TWO[0], {"id": text, "features": {"topic": text}, "group": text[:64]}, TWO[1]]
            answers = [
                read(a) for a in decider.decide_batch([ask(f"{n}-{i}", actions=hostile, topK=3) for i in range(5)])
            ]
            for i, answer in enumerate(answers):
                assert isinstance(answer.ranking, list)
                assert [place.probability for place in answer.ranking] == pytest.approx([1 / 3, 1 / 2, 1.0])
                assert sorted(place.arm for place in answer.ranking) == sorted(["x", text, "y"])
                assert all(place.action == place.arm for place in answer.ranking)
                assert stored(database, f"{n}-{i}").arm == answer.arm
        audited(workspace, database)

    def test_hostile_values_of_features_and_facts_are_kept_as_they_are(
        self, workspace: Workspace, decider: Decider, database: Database
    ) -> None:
        for n, text in enumerate([*HOSTILE, *WITH_CONTROLS, LONG]):
            actions = [{"id": "x", "features": {"topic": text}}, {"id": "y"}]
            answer = one(decider, ask(f"{n}", actions=actions, facts={"contract": text, "owned": [text, "b"]}))
            record = stored(database, f"{n}")

            assert answer.probability == 0.5
            assert record.inline_actions is not None
            assert msgspec.json.decode(record.inline_actions)[0]["features"] == {"topic": text}
            assert msgspec.json.decode(record.facts or b"")["contract"] == text
            assert set(msgspec.json.decode(record.facts or b"")["owned"]) == {text, "b"}
        audited(workspace, database)


class TestPicks:
    def pick(self, picking: Picking, arm: str | None, decision: str = "d-1") -> tuple[PickAnswer, bool]:
        return picking.pick(decision, PickRequest(arm=arm))

    def test_a_pick_is_kept_beside_the_ranking_and_the_decision_no_longer_teaches(
        self, decider: Decider, picking: Picking, database: Database, clock: Clock
    ) -> None:
        ranking = one(decider, ask(topK=3)).ranking
        assert isinstance(ranking, list)
        clock.now_s += 30.0
        answer, known = self.pick(picking, ranking[1].arm)
        record = stored(database)

        assert not known
        assert answer.arm == record.picked == ranking[1].arm
        assert answer.ranking == [place.arm for place in ranking]
        assert record.picked_at == START_S + 30.0
        assert record.arm == ranking[0].arm  # what the system chose stays
        assert record.learned_in == OVERRIDDEN

    def test_the_same_pick_again_changes_nothing_and_another_is_refused(
        self, decider: Decider, picking: Picking, clock: Clock
    ) -> None:
        ranking = one(decider, ask(topK=3)).ranking
        assert isinstance(ranking, list)
        first = self.pick(picking, ranking[2].arm)
        clock.now_s += 3_600.0  # a retry may come late
        again = self.pick(picking, ranking[2].arm)

        assert again == (first[0], True)
        for other in (ranking[0].arm, None):
            with pytest.raises(IdConflictError):
                self.pick(picking, other)

    def test_nothing_of_the_ranking_is_a_pick_as_well(
        self, decider: Decider, picking: Picking, database: Database
    ) -> None:
        one(decider, ask(topK=3))

        assert self.pick(picking, None)[0].arm is None
        assert self.pick(picking, None)[1]
        assert stored(database).picked == ""

    def test_a_pick_activates(self, decider: Decider, picking: Picking, database: Database) -> None:
        one(decider, ask(topK=2, deferActivation=True))
        self.pick(picking, None)

        assert stored(database).activated_at == START_S

    def test_what_was_not_ranked_or_not_asked_or_is_over_is_refused(
        self, decider: Decider, picking: Picking, database: Database, clock: Clock
    ) -> None:
        decider.decide_batch([ask(topK=2), ask("plain"), ask("slots", slots=[{"id": "a"}])])

        with pytest.raises(InputError, match="was not ranked"):
            self.pick(picking, "visit")
        for decision in ("plain", "slots"):
            with pytest.raises(RefusedError, match="no ranking"):
                self.pick(picking, "no_action", decision)
        with pytest.raises(UnknownIdError):
            self.pick(picking, "no_action", "nobody")
        clock.now_s += 1_801.0
        with pytest.raises(RefusedError, match="has matured"):
            self.pick(picking, None)
        assert stored(database).picked is None


def learned(workspace: Workspace, database: Database, clock: Clock, rows: int = 300) -> tuple[Decider, LearningLoop]:
    """A decider whose model has learned that "network_status" is accepted and that the inline "y" is, "x" is not."""
    demands = Demands.of(workspace.policy, workspace.catalogue)
    feed = ModelFeed(StoredModels(database, demands), poll_every_s=1.0, clock=clock)
    definitions.register(workspace, database, clock=clock)
    decider, collector = Decider(workspace, database, feed, clock=clock), Collector(workspace, database, clock=clock)
    wishes: list[dict[str, object]] = [{}, {"actions": TWO}]
    answers = [read(a) for a in decider.decide_batch([ask(f"l-{i}", **wishes[i % 2]) for i in range(rows)])]
    collector.collect_batch([accept(a.decision_id) for a in answers if a.arm in ("network_status", "y")])
    clock.now_s += 1_801.0
    loop = LearningLoop.open(workspace, database, clock=clock)
    loop.step()
    assert feed.poll()
    return decider, loop


def test_inline_actions_are_learned_by_their_features(workspace: Workspace, database: Database, clock: Clock) -> None:
    """After 300 decisions "y" is preferred, and so is an unknown action that shares its topic."""
    decider, loop = learned(workspace, database, clock)
    fresh = [{"id": "u", "features": {"topic": "tv"}}, {"id": "v", "features": {"topic": "phone"}}]
    answers = [read(a) for a in decider.decide_batch([ask(f"n-{i}", actions=TWO) for i in range(200)])]
    unknown = [read(a) for a in decider.decide_batch([ask(f"u-{i}", actions=fresh) for i in range(200)])]

    assert Counter(a.arm for a in answers)["y"] > 160
    assert Counter(a.arm for a in unknown)["v"] > 120
    with database.read() as connection:
        chosen = Counter(connection.execute(sa.select(table.c.arm).where(table.c.id.like("l-%"))).scalars())
    model = StoredPast(database, workspace.salts).scorer(answers[0].model_version)
    assert dict(model.arm_examples) == dict(chosen)  # type: ignore[attr-defined]  # a model of this workspace counts
    audited(workspace, database)
    loop.stop()


def test_inline_decisions_can_be_judged(workspace: Workspace, database: Database, clock: Clock) -> None:
    """The learned policy prefers "y", which is always accepted: its value is far above uniform's, whose is 1/2."""
    decider, loop = learned(workspace, database, clock)
    collector = Collector(workspace, database, clock=clock)
    clock.now_s += 1.0
    answers = [read(a) for a in decider.decide_batch([ask(f"j-{i}", actions=TWO) for i in range(400)])]
    collector.collect_batch([accept(a.decision_id) for a in answers if a.arm == "y"])
    clock.now_s += 1_801.0
    loop.stop()
    found = judge_workspace(
        workspace.path,
        model=answers[0].model_version,
        fixed=["network_status"],
        now_s=clock.now_s,
        rng=np.random.default_rng(0),
    )

    value = {p.policy: p.estimates["snips"].value for p in found.policies}
    assert found.judged == 400
    assert value["uniform"] == pytest.approx(0.5, abs=0.25)
    assert value["learned, greedy"] == pytest.approx(1.0, abs=1e-9)
    assert value["always network_status"] == pytest.approx(0.0, abs=1e-9)  # not there: the baseline, "x"


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

    assert (kept.receipt, again.receipt, other.receipt, nameless.receipt) == ("created", "duplicate", "conflict", "invalid")
    assert isinstance(nameless.error, InputError)


def test_picked_rankings_are_left_out_of_lessons_and_verdicts(
    workspace: Workspace, database: Database, clock: Clock
) -> None:
    definitions.register(workspace, database, clock=clock)
    decider, picking = Decider(workspace, database, Unlearned(), clock=clock), Picking(database, clock=clock)
    answers = [read(a) for a in decider.decide_batch([ask(f"d-{i}", topK=2) for i in range(40)])]
    for answer in answers[::2]:
        picking.pick(answer.decision_id, PickRequest(arm=answer.arm))
    clock.now_s += 1_801.0
    loop = LearningLoop.open(workspace, database, clock=clock)
    loop.step()

    assert loop.status().examples == 20
    log = read_log(database, workspace.rewards, workspace.catalogue.facts, now_s=clock.now_s, slates=True)
    assert set(log.ids) == {f"d-{i}" for i in range(1, 40, 2)}
    assert sum(log.left_out.values()) == 20
    loop.stop()


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
        connection.execute(sa.text("delete from decision_facts"))
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


def test_names_are_counted_as_far_as_they_fit() -> None:
    from bandit_nba.learn import registry

    many = [f"i{i}" for i in range(registry.MOST_ARMS + 10)]
    flooded = registry.Learned().more(np.zeros(len(many)), many, inline=[True] * len(many))
    later = flooded.more(np.zeros(3), ["i0", "catalogue", "one more"], inline=[True, False, True])

    assert len(flooded.arms) == registry.MOST_ARMS
    assert (later.arms["i0"], later.arms["catalogue"]) == (2, 1)
    assert "one more" not in later.arms
