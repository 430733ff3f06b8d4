"""Answers in time, whatever is slow or broken: real threads, a real database, faults put in by hand."""

import asyncio
import threading
import time
from pathlib import Path

import msgspec
import numpy as np
import pytest
import sqlalchemy as sa

from bandit_nba.decide.audit.run import audit
from bandit_nba.decide.batch import Eligibility, Requests
from bandit_nba.decide.columns import Floats
from bandit_nba.decide.record import DecisionRecord
from bandit_nba.decide.scoring import FeatureRows
from bandit_nba.errors import InputError, StoreError
from bandit_nba.online.answering import Answer
from bandit_nba.online.messages import DecisionAnswer, DecisionRequest
from bandit_nba.online.replica import Replica
from bandit_nba.online.ticket import Ticket
from bandit_nba.store import customers as customer_store
from bandit_nba.store.database import Database
from bandit_nba.store.log import decisions as decision_store
from bandit_nba.store.past import StoredPast, past_records
from bandit_nba.store.tables import NEVER
from bandit_nba.store.tables import decisions as table
from bandit_nba.workspace import Workspace, open_workspace
from tests.machine import time_lost
from tests.online.deadlines import DEADLINE_S, SLACK_S, Held, locked, opened, shop_with_deadlines, through

SAFE = ["no_action", "network_status"]


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return shop_with_deadlines(tmp_path / "shop", monkeypatch)


@pytest.fixture
def workspace(directory: Path) -> Workspace:
    return open_workspace(directory)


def ask(replica: Replica, *requests: DecisionRequest) -> list[Answer | BaseException]:
    """All at once."""

    async def all_at_once() -> list[Answer | BaseException]:
        return await asyncio.gather(*(replica.decide(request) for request in requests), return_exceptions=True)

    return asyncio.run(all_at_once())


def asked(decision: str | None = "d-1", channel: str = "web", **more: object) -> DecisionRequest:
    return msgspec.convert({"decisionId": decision, "channel": channel, **more}, DecisionRequest)


def ask_in_time(replica: Replica, *requests: DecisionRequest) -> list[Answer | BaseException]:
    """The same; the answers are there at the deadline, whatever is held up."""
    with time_lost() as lost:
        start = time.perf_counter()
        answers = ask(replica, *requests)
        took_s = time.perf_counter() - start
    assert took_s < DEADLINE_S + SLACK_S + lost.seconds
    return answers


def read(answer: object) -> DecisionAnswer:
    assert isinstance(answer, Answer), answer
    return msgspec.json.decode(answer.body, type=DecisionAnswer)


def logged(database: Database, decision: str) -> DecisionRecord | None:
    with database.read() as connection:
        return decision_store.get(connection, decision)


def test_a_quick_answer_is_the_ordinary_one(directory: Path) -> None:
    with opened(directory) as replica:
        (answer,) = ask(replica, asked())
        counts = replica.punctual.counts

    assert read(answer).kind == "normal"
    assert not counts


def test_a_slow_model_is_overtaken_by_the_safe_policy(directory: Path) -> None:
    """One row per id: the late ordinary answer is discarded, and a replay gives the safe one's bytes."""
    model = Held()
    with opened(directory, model) as replica:
        (answer,) = ask_in_time(replica, asked(customerId="kd-4711"))
        assert not model.done.is_set()
        model.let_go()
        through(replica)  # the decider was about to write, and must not
        record = logged(replica.database, "d-1")
        (again,) = ask(replica, asked(customerId="kd-4711"))
        (normal,) = ask(replica, asked("d-2"))
        counts = replica._decision_counts()

    told = read(answer)
    assert told.kind == "fallback"
    assert told.arm in SAFE
    assert told.probability == 0.5
    assert record is not None
    assert (record.kind, record.propensity, record.learned_in) == ("fallback", 0.5, NEVER)
    assert msgspec.json.decode(record.arms) == SAFE
    assert isinstance(answer, Answer)
    assert isinstance(again, Answer)
    assert (again.body, again.replayed) == (answer.body, True)
    assert read(normal).kind == "normal"
    assert counts["late"] == 1
    assert counts["fallback"] == 1


def test_many_at_once_are_all_answered_in_time_and_logged_once(directory: Path) -> None:
    model = Held()
    with opened(directory, model) as replica:
        answers = ask_in_time(replica, *(asked(f"d-{i}") for i in range(100)))
        model.let_go()
        through(replica)
        with replica.database.read() as connection:
            rows = connection.execute(sa.select(table.c.id, table.c.kind, table.c.answer)).all()

    told = {read(answer).decision_id: answer.body for answer in answers if isinstance(answer, Answer)}
    assert {row.id: row.answer for row in rows} == told
    assert len(rows) == 100
    assert {row.kind for row in rows} == {"fallback"}


def test_late_answers_come_out_again_in_the_audit(directory: Path, workspace: Workspace) -> None:
    """Chances as logged: 200 late choices between two arms are made again bit for bit, and pass the PIT."""
    with opened(directory, Held()) as replica:
        ask(replica, *(asked(f"d-{i}", facts={"owned": ["streaming"]}) for i in range(200)))
        source = StoredPast(replica.database, workspace.salts)
        found = audit(past_records(replica.database), source, rng=np.random.default_rng(0))

    assert found.rows == 200
    assert found.kinds == {"fallback": 200}
    assert found.ok, found


def test_the_declared_safe_policy_decides(directory: Path) -> None:
    path = directory / "policy.toml"
    path.write_text(path.read_text().replace('"uniform_safe"', '"fixed"\narm = "network_status"'))
    with opened(directory, Held()) as replica:
        told = [read(answer) for answer in ask(replica, *(asked(f"d-{i}") for i in range(10)))]

    assert {(one.arm, one.probability, one.kind) for one in told} == {("network_status", 1.0, "fallback")}


def test_a_failing_rule_or_model_needs_no_deadline(directory: Path) -> None:
    class Broken(Held):
        def score(self, contexts: FeatureRows, arms: FeatureRows) -> Floats:
            raise RuntimeError(f"no such weights for {len(contexts)} x {len(arms)}")

    with opened(directory, Broken()) as replica:
        (answer,) = ask(replica, asked())
        counts = replica._decision_counts()

    assert read(answer).kind == "fallback"
    assert counts["late"] == 0


def test_a_locked_store_is_refused_in_time_and_nothing_is_kept(directory: Path) -> None:
    with opened(directory) as replica:
        with locked(directory):
            (answer,) = ask_in_time(replica, asked())
        through(replica)  # both deciders get the lock now, and must write nothing
        record = logged(replica.database, "d-1")
        (again,) = ask(replica, asked())
        counts = replica._decision_counts()

    assert isinstance(answer, StoreError)
    assert record is None
    assert read(again).kind == "normal"
    assert counts["overdue"] == 1


def test_where_the_channel_says_so_a_locked_store_means_no_action(directory: Path) -> None:
    with opened(directory) as replica:
        with locked(directory):
            (answer,) = ask_in_time(replica, asked(channel="email", customerId="kd-4711"))
        through(replica)
        record = logged(replica.database, "d-1")
        counts = replica._decision_counts()

    told = read(answer)
    assert isinstance(answer, Answer)
    assert (told.arm, told.probability, told.kind, told.durable) == ("no_action", 1.0, "fallback", False)
    assert not answer.durable
    assert record is None
    assert counts["not_durable"] == 1


def test_a_broken_store_means_no_action_at_once(directory: Path) -> None:
    """A store that fails at once (here: closed under the replica's feet) needs no deadline."""
    with opened(directory) as replica:
        replica.database.close()
        with time_lost() as lost:
            start = time.perf_counter()
            email, web = ask(replica, asked(channel="email"), asked("d-2"))
            took_s = time.perf_counter() - start

    assert took_s < DEADLINE_S / 2 + lost.seconds  # before any alarm
    assert read(email).durable is False
    assert isinstance(web, StoreError)


def test_a_wrong_request_is_refused_not_answered_with_nothing(directory: Path) -> None:
    with opened(directory) as replica:
        replica.database.close()
        channel, fact = ask(replica, asked(channel="fax"), asked(channel="email", facts={"x": 1.0}))

    assert isinstance(channel, InputError)
    assert isinstance(fact, InputError)


def test_a_client_that_has_gone_is_not_logged(directory: Path) -> None:
    model = Held()

    async def leave(replica: Replica) -> None:
        first = replica.decide(asked("d-1", channel="slow"))
        gone = replica.decide(asked("d-2", channel="slow"))  # waits behind the first, or beside it
        assert await asyncio.to_thread(model.entered.wait, 10.0)
        gone.cancel()
        await asyncio.sleep(0)
        model.let_go()
        await first

    with opened(directory, model) as replica:
        asyncio.run(leave(replica))
        through(replica)
        records = [logged(replica.database, decision) for decision in ("d-1", "d-2")]

    assert records[0] is not None
    assert records[1] is None


def test_two_who_ask_the_same_are_told_the_same(directory: Path) -> None:
    with opened(directory, Held()) as replica:
        first, second = ask(replica, asked(), asked())

    assert isinstance(first, Answer)
    assert isinstance(second, Answer)
    assert first.body == second.body


def test_a_ticket_is_held_by_one_at_a_time() -> None:
    ticket = Ticket()
    taken = []

    def take() -> None:
        taken.append(ticket.take())

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(taken) == [False] * 7 + [True]
    ticket.give_back()
    assert ticket.take()


def test_late_rankings_and_actions_of_the_request_are_made_without_asking_too(
    directory: Path, workspace: Workspace
) -> None:
    """A ranking holds the safe arms; of actions that the request brought the first is the safe one."""
    brought = [{"id": "a", "features": {"x": 1.0}}, {"id": "b"}]
    with opened(directory, Held()) as replica:
        answers = ask(replica, asked("d-1", topK=5), asked("d-2", actions=brought), asked("d-3", excludedArms=SAFE[1:]))
        found = audit(
            past_records(replica.database), StoredPast(replica.database, workspace.salts), rng=np.random.default_rng(0)
        )

    ranked, inline, excluded = map(read, answers)
    assert {ranked.kind, inline.kind, excluded.kind} == {"fallback"}
    assert isinstance(ranked.ranking, list)
    assert sorted(place.arm for place in ranked.ranking) == sorted(SAFE)
    assert (inline.arm, inline.probability) == ("a", 1.0)
    assert (excluded.arm, excluded.probability) == ("no_action", 1.0)
    assert found.rows == 3
    assert found.ok, found


class TestRules:
    """Rules that are slow or fail, put in by hand: no rule of a catalogue can be either."""

    def test_slow_ones_are_overtaken(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        held = Held()
        with opened(directory) as replica:
            engine = replica.decider.engine
            ordinary = engine.eligible

            def slow(requests: Requests) -> Eligibility:
                held.wait()
                return ordinary(requests)

            monkeypatch.setattr(engine, "eligible", slow)
            (answer,) = ask_in_time(replica, asked())
            held.let_go()

        assert (read(answer).kind, read(answer).probability) == ("fallback", 0.5)

    def test_failing_ones_leave_no_action(
        self, directory: Path, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What rules would have said is not known: nothing but "no action" is safe then, and its chance is 1."""

        def broken(requests: Requests) -> Eligibility:
            raise RuntimeError(f"no rule for {len(requests)}")

        with opened(directory) as replica:
            monkeypatch.setattr(replica.decider.engine, "eligible", broken)
            (answer,) = ask(replica, asked())
            monkeypatch.undo()
            found = audit(
                past_records(replica.database),
                StoredPast(replica.database, workspace.salts),
                rng=np.random.default_rng(0),
            )

        told = read(answer)
        assert (told.kind, told.arm, told.probability) == ("fallback", "no_action", 1.0)
        assert found.ok


def test_a_read_only_store(directory: Path) -> None:
    """It fails at once; the connection is opened anew, and the next decision is kept."""

    def make_read_only(database: Database) -> None:
        with database.write() as connection:
            connection.exec_driver_sql("PRAGMA query_only = ON")

    with opened(directory) as replica:
        make_read_only(replica.database)
        (email,) = ask(replica, asked(channel="email"))
        make_read_only(replica.database)
        (web,) = ask(replica, asked("d-2"))
        (after,) = ask(replica, asked("d-3"))
        kept = [logged(replica.database, decision) is not None for decision in ("d-1", "d-2", "d-3")]

    assert read(email).durable is False
    assert isinstance(web, StoreError)
    assert read(after).kind == "normal"
    assert kept == [False, False, True]


def test_slow_profiles_are_overtaken(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held = Held()

    def slow(*_: object) -> dict[str, dict[str, object]]:
        held.wait()
        return {}

    with opened(directory) as replica:
        monkeypatch.setattr(customer_store, "profiles", slow)
        (answer,) = ask_in_time(replica, asked(customerId="kd-4711"))
        held.let_go()

    assert held.done.is_set()
    assert read(answer).kind == "fallback"
