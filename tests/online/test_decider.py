"""Decisions are durable, answered once and for all, and never fail because a model, a rule or a profile does."""

import threading
from collections.abc import Callable

import msgspec
import numpy as np
import pytest
import sqlalchemy as sa

from bandit_nba.customers.pseudonym import pseudonym
from bandit_nba.decide.columns import Floats
from bandit_nba.decide.record import DecisionRecord
from bandit_nba.decide.scoring import FeatureRows, NoModel, Scorer
from bandit_nba.errors import IdConflictError, InputError, StoreError
from bandit_nba.online.answering import Answer
from bandit_nba.online.decider import Decider
from bandit_nba.online.messages import DecisionAnswer, DecisionRequest
from bandit_nba.store import customers as customer_store
from bandit_nba.store.database import Database
from bandit_nba.store.log import decisions as decision_store
from bandit_nba.workspace import Workspace
from tests.online.clock import START_S, Clock
from tests.online.customer import KNOWN

SAFE = ["no_action", "network_status"]


class Fixed:
    """A model of constants."""

    version = "fixed"
    examples_learned = 100

    def score(self, contexts: FeatureRows, arms: FeatureRows) -> Floats:
        return np.tile(np.linspace(0.0, 1.0, len(arms)), (len(contexts), 1))


class Broken(Fixed):
    """A model that fails as soon as a batch holds more rows than it is good for."""

    version = "broken"

    def __init__(self, good_for: int = 0) -> None:
        self.good_for = good_for

    def score(self, contexts: FeatureRows, arms: FeatureRows) -> Floats:
        if len(contexts) > self.good_for:
            raise RuntimeError("no such weights")
        return super().score(contexts, arms)


class Holder:
    """Stands for the feed: a model that tests swap."""

    def __init__(self, scorer: Scorer) -> None:
        self.scorer = scorer

    def current(self) -> Scorer:
        return self.scorer


@pytest.fixture
def models() -> Holder:
    return Holder(NoModel())


@pytest.fixture
def decider(workspace: Workspace, database: Database, models: Holder, clock: Clock) -> Decider:
    return Decider(workspace, database, models, clock=clock)


def ask(decision: str | None = "d-1", **more: object) -> DecisionRequest:
    return msgspec.convert({"decisionId": decision, "channel": "web", **more}, DecisionRequest)


def one(decider: Decider, request: DecisionRequest) -> DecisionAnswer:
    return read(decider.decide_batch([request])[0])


def read(answer: object) -> DecisionAnswer:
    assert isinstance(answer, Answer), answer
    return msgspec.json.decode(answer.body, type=DecisionAnswer)


def logged(database: Database, decision: str) -> DecisionRecord:
    with database.read() as connection:
        record = decision_store.get(connection, decision)
    assert record is not None
    return record


def rows(database: Database) -> int:
    with database.read() as connection:
        return decision_store.counts(connection, now_s=START_S).total


def test_an_answer_says_what_was_logged(decider: Decider, database: Database) -> None:
    answer = one(decider, ask(customerId="kd-4711"))

    record = logged(database, "d-1")
    assert answer.decision_id == "d-1"
    assert answer.arm == record.arm == answer.action
    assert answer.probability == record.propensity
    arms, probabilities = msgspec.json.decode(record.arms), msgspec.json.decode(record.probabilities)
    assert arms == ["no_action", "network_status"]  # without a profile nothing that asks for consent
    assert probabilities == [0.5, 0.5]  # no model: all tie
    assert answer.model_version == record.model_version == "none"
    assert record.facts == b"{}"


def test_times_come_from_channel_and_reward(decider: Decider, database: Database) -> None:
    answer = one(decider, ask())

    record = logged(database, "d-1")
    assert record.decided_at == START_S
    assert record.valid_until - START_S == 1_800.0  # web: PT30M
    assert record.matures_at - START_S == 1_800.0  # rewards: PT30M
    assert record.activate_by is None
    assert answer.valid_until.timestamp() == record.valid_until


def test_channels_may_defer_and_so_may_requests(decider: Decider, database: Database) -> None:
    one(decider, ask("d-call", channel="call_center"))
    one(decider, ask("d-web", deferActivation=True))

    assert logged(database, "d-call").activate_by == START_S + 900.0
    assert logged(database, "d-web").activate_by == START_S + 1_800.0  # at most the wait for outcomes


def test_a_name_is_made_where_none_is_given(decider: Decider) -> None:
    first, second = map(read, decider.decide_batch([ask(None), ask(None)]))

    assert len(first.decision_id) == len(second.decision_id) == 32
    assert first.decision_id != second.decision_id


def test_the_same_question_gets_the_same_bytes(decider: Decider, database: Database, clock: Clock) -> None:
    request = ask(customerId="kd-4711", facts={"data_left_share": 0.5})
    (first,) = decider.decide_batch([request])
    clock.now_s += 100.0
    (again,) = decider.decide_batch([request])

    assert isinstance(first, Answer)
    assert isinstance(again, Answer)
    assert not first.replayed
    assert again.replayed
    assert again.body == first.body
    assert rows(database) == 1
    assert decider.counts["replayed"] == 1


def test_equal_payloads_need_not_be_equal_bytes(decider: Decider) -> None:
    decider.decide_batch([ask(facts={"data_left_share": 1, "owned": ["b", "a"]})])
    (again,) = decider.decide_batch([ask(facts={"owned": ["a", "b", "a"], "data_left_share": 1.0})])

    assert isinstance(again, Answer)
    assert again.replayed


@pytest.mark.parametrize(
    "other",
    [
        {"customerId": "other"},
        {"channel": "email"},
        {"facts": {"data_left_share": 0.1}},
        {"facts": {"data_left_share": None}},
        {"deferActivation": True},
    ],
)
def test_another_question_needs_another_id(decider: Decider, database: Database, other: dict[str, object]) -> None:
    decider.decide_batch([ask()])
    (refused,) = decider.decide_batch([ask(**other)])

    assert isinstance(refused, IdConflictError)
    assert rows(database) == 1


def test_one_batch_may_hold_an_id_more_than_once(decider: Decider, database: Database) -> None:
    first, again, other, new = decider.decide_batch([ask(), ask(), ask(customerId="x"), ask("d-2")])

    assert isinstance(first, Answer)
    assert isinstance(again, Answer)
    assert again.body == first.body
    assert (first.replayed, again.replayed) == (False, True)
    assert isinstance(other, IdConflictError)
    assert isinstance(new, Answer)
    assert rows(database) == 2


def test_what_is_stored_counts_whoever_comes_first_in_a_batch(decider: Decider) -> None:
    decider.decide_batch([ask()])
    other, same = decider.decide_batch([ask(customerId="x"), ask()])

    assert isinstance(other, IdConflictError)
    assert isinstance(same, Answer)
    assert same.replayed


def test_a_bad_request_spoils_no_other(decider: Decider, database: Database) -> None:
    bad_channel, bad_fact, bad_kind, good = decider.decide_batch(
        [
            ask("d-1", channel="wbe"),
            ask("d-2", facts={"tenur": 1}),
            ask("d-3", facts={"tenure_months": "x"}),
            ask("d-4"),
        ]
    )

    assert isinstance(bad_channel, InputError)
    assert '"web"' in bad_channel.hint
    assert isinstance(bad_fact, InputError)
    assert bad_fact.where == "facts.tenur"
    assert isinstance(bad_kind, InputError)
    assert isinstance(good, Answer)
    assert rows(database) == 1


def test_the_profile_counts_and_the_request_overrides_it(
    decider: Decider, workspace: Workspace, database: Database
) -> None:
    key = pseudonym(workspace.pseudonym_key, "kd-4711")
    with database.write() as connection:
        customer_store.upsert(connection, {key: KNOWN}, now_s=START_S)
    one(decider, ask("d-profile", customerId="kd-4711"))
    one(decider, ask("d-override", customerId="kd-4711", facts={"consent_marketing": False, "internet": None}))

    profile, override = logged(database, "d-profile"), logged(database, "d-override")
    assert "fiber_upgrade/speed" in msgspec.json.decode(profile.arms)
    assert msgspec.json.decode(profile.facts or b"")["internet"] == "dsl"
    assert "fiber_upgrade/speed" not in msgspec.json.decode(override.arms)
    assert "internet" not in msgspec.json.decode(override.facts or b"")  # null: unknown, whatever the profile says
    assert profile.customer == key


def test_an_unknown_customer_is_served_as_an_anonymous_one(decider: Decider, database: Database) -> None:
    one(decider, ask("d-known", customerId="never seen"))
    one(decider, ask("d-nobody"))

    stranger, nobody = logged(database, "d-known"), logged(database, "d-nobody")
    assert stranger.arms == nobody.arms
    assert stranger.kind == nobody.kind == "normal"
    assert nobody.customer == ""
    assert "never seen" not in repr(stranger)


def test_a_failing_model_is_answered_for_by_the_safe_policy(
    decider: Decider, database: Database, models: Holder
) -> None:
    models.scorer = Broken()
    answer = one(decider, ask(facts=KNOWN))

    record = logged(database, "d-1")
    assert answer.kind == record.kind == "fallback"
    assert msgspec.json.decode(record.arms) == SAFE
    assert record.propensity == 0.5
    assert record.model_version == "broken"
    assert decider.counts["fallback"] == 1


def test_a_failing_row_spoils_no_other(decider: Decider, database: Database, models: Holder) -> None:
    models.scorer = Broken(good_for=1)  # any batch fails, each single row is fine
    answers = [read(answer) for answer in decider.decide_batch([ask(f"d-{i}") for i in range(5)])]

    assert {answer.kind for answer in answers} == {"normal"}
    assert [answer.decision_id for answer in answers] == [f"d-{i}" for i in range(5)]
    assert rows(database) == 5


def test_scores_that_are_not_finite_never_reach_the_log(
    decider: Decider, models: Holder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Fixed, "score", lambda _self, contexts, arms: np.full((len(contexts), len(arms)), np.nan))
    models.scorer = Fixed()

    assert one(decider, ask()).kind == "fallback"


def test_unreadable_customers_get_safe_arms_only(decider: Decider, database: Database) -> None:
    with database.write() as connection:
        connection.execute(sa.text("ALTER TABLE customers RENAME TO elsewhere"))
    answers = decider.decide_batch([ask("d-known", customerId="kd-4711", facts=KNOWN), ask("d-nobody", facts=KNOWN)])
    known, nobody = map(read, answers)

    assert known.kind == "unreadable"
    assert msgspec.json.decode(logged(database, "d-known").arms) == SAFE
    assert nobody.kind == "normal"
    assert msgspec.json.decode(logged(database, "d-nobody").arms) != SAFE


def test_an_unwritable_store_refuses_everybody(decider: Decider, database: Database) -> None:
    database.close()

    with pytest.raises(StoreError):
        decider.decide_batch([ask()])


def test_a_decision_that_cannot_be_logged_is_not_answered(decider: Decider, database: Database) -> None:
    """The insert breaks a constraint, and yet the id is not known."""
    with database.write() as connection:
        connection.exec_driver_sql(
            "CREATE TRIGGER no BEFORE INSERT ON decisions WHEN NEW.id = 'd-1' BEGIN SELECT RAISE(ABORT, 'no'); END"
        )

    with pytest.raises(sa.exc.IntegrityError):
        decider.decide_batch([ask("d-1"), ask("d-2")])
    assert rows(database) == 0


def test_an_id_taken_meanwhile_is_answered_as_it_was_there(
    workspace: Workspace, database: Database, models: Holder, clock: Clock
) -> None:
    """Another replica commits the id between this one's look-up and its write."""
    other = Decider(workspace, database, models, clock=clock)

    class Late(Holder):
        def current(self) -> Scorer:
            clock.now_s += 1.0
            other.decide_batch([ask("d-1"), ask("d-2", customerId="x")])
            clock.now_s += 1.0
            return super().current()

    decider = Decider(workspace, database, Late(NoModel()), clock=clock)
    same, conflict, new = decider.decide_batch([ask("d-1"), ask("d-2"), ask("d-3")])

    assert isinstance(same, Answer)
    assert same.replayed
    assert read(same).decided_at.timestamp() == START_S + 1.0
    assert isinstance(conflict, IdConflictError)
    assert isinstance(new, Answer)
    assert not new.replayed
    assert rows(database) == 3


def test_two_replicas_never_answer_one_id_in_two_ways(workspace: Workspace, models: Holder, clock: Clock) -> None:
    """Four threads with stores of their own ask the same 40 ids; each id has one row and one answer."""
    ids = [f"d-{i}" for i in range(40)]
    found: list[list[bytes]] = []

    def work(order: Callable[[list[str]], list[str]]) -> None:
        database = Database.open(workspace.database_url)
        decider = Decider(workspace, database, models, clock=clock, new_id=lambda: "unused")
        bodies: dict[str, bytes] = {}
        for name in order(list(ids)):
            (answer,) = decider.decide_batch([ask(name)])
            assert isinstance(answer, Answer)
            bodies[name] = answer.body
        found.append([bodies[name] for name in ids])
        database.close()

    orders: list[Callable[[list[str]], list[str]]] = [list, lambda x: x[::-1], list, lambda x: x[20:] + x[:20]]
    threads = [threading.Thread(target=work, args=(order,)) for order in orders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(found) == 4
    assert all(bodies == found[0] for bodies in found)
