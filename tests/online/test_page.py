"""A page goes its way as one, and each of its items is answered as it would be alone."""

import asyncio
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa

from bandit_nba.errors import IdConflictError, InputError, StoreBusyError, StoreError
from bandit_nba.online import punctual
from bandit_nba.online.answering import Answer
from bandit_nba.online.messages import DecisionAnswer, DecisionRequest
from bandit_nba.online.replica import Replica
from bandit_nba.online.under_way import Answered
from bandit_nba.store.driver import sqlite
from bandit_nba.store.tables import decisions as table
from tests.machine import time_lost
from tests.online.deadlines import (
    DEADLINE_S,
    FOR_EVER_S,
    SLACK_S,
    Held,
    locked,
    opened,
    shop_with_deadlines,
    through,
)


@pytest.fixture(autouse=True)
def no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    """What an item adds to the deadline is left out, so that times here are those of the channels."""
    monkeypatch.setattr(punctual, "PAGE_ITEM_S", 0.0)


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return shop_with_deadlines(tmp_path / "shop", monkeypatch)


def item(i: int, channel: str = "web", **more: object) -> DecisionRequest:
    return msgspec.convert({"decisionId": f"d-{i}", "channel": channel, **more}, DecisionRequest)


def ask(replica: Replica, page: Sequence[DecisionRequest]) -> tuple[list[Answered], float]:
    begun = time.perf_counter()
    return asyncio.run(replica.decide_page(page)), time.perf_counter() - begun


def ask_in_time(replica: Replica, page: Sequence[DecisionRequest]) -> list[Answered]:
    """All answers are there at the deadline, whatever is held up."""
    with time_lost() as lost:
        answers, took_s = ask(replica, page)
    assert took_s < DEADLINE_S + SLACK_S + lost.seconds
    return answers


def read(answer: object) -> DecisionAnswer:
    assert isinstance(answer, Answer), answer
    return msgspec.json.decode(answer.body, type=DecisionAnswer)


def logged(replica: Replica) -> dict[str, tuple[str, bytes]]:
    with replica.database.read() as connection:
        rows = connection.execute(sa.select(table.c.id, table.c.kind, table.c.answer)).all()
    return {row.id: (row.kind, row.answer) for row in rows}


def test_answers_come_in_the_order_of_the_page_and_are_those_of_the_log(directory: Path) -> None:
    with opened(directory, batch=7) as replica:
        page = [item(i, customerId=f"c-{i % 5}") for i in range(50)]
        answers, _ = ask(replica, page)
        again, _ = ask(replica, list(reversed(page)))
        (alone,), _ = ask(replica, page[3:4])
        rows = logged(replica)

    assert [read(a).decision_id for a in answers] == [one.decision_id for one in page]
    assert {one.decision_id: a.body for one, a in zip(page, answers, strict=True) if isinstance(a, Answer)} == {
        name: body for name, (_, body) in rows.items()
    }
    assert [a.body for a in again if isinstance(a, Answer)] == [
        a.body for a in reversed(answers) if isinstance(a, Answer)
    ]
    assert all(isinstance(a, Answer) and a.replayed for a in [*again, alone])


def test_what_is_wrong_with_an_item_stays_with_it(directory: Path) -> None:
    with opened(directory) as replica:
        page = [item(1), item(2, "fax"), item(1, facts={"senior": True}), item(3, facts={"x": 1.0}), item(4)]
        answers, _ = ask(replica, page)

    assert [type(a) for a in answers] == [Answer, InputError, IdConflictError, InputError, Answer]


def test_a_page_that_is_wrong_from_end_to_end(directory: Path) -> None:
    with opened(directory) as replica:
        answers, _ = ask(replica, [item(1, "fax"), item(2, "fax")])
        assert ask(replica, [])[0] == []

    assert [type(a) for a in answers] == [InputError, InputError]


def test_at_the_deadline_the_safe_policy_answers_what_was_not_decided_by_then(directory: Path) -> None:
    """Two batches: the first is done at once, the second is held up for longer than there is time."""
    model = Held(from_batch=1)
    with opened(directory, model, batch=4) as replica:
        answers = ask_in_time(replica, [item(i) for i in range(8)])
        model.let_go()
        through(replica)  # the decider is through with the second batch, and has written none of it
        rows, counts = logged(replica), replica._decision_counts()

    assert [read(a).kind for a in answers] == ["normal"] * 4 + ["fallback"] * 4
    assert [isinstance(a, Answer) and a.replayed for a in answers] == [False] * 8
    assert {name: body for name, (_, body) in rows.items()} == {
        read(a).decision_id: a.body for a in answers if isinstance(a, Answer)
    }
    assert counts["late"] == 4
    assert counts["fallback"] == 4


def test_each_item_has_the_deadline_of_its_own_channel(directory: Path) -> None:
    """The page is answered when all of it is: items of the patient channel wait for the model, the others do not."""
    with opened(directory, Held(2 * DEADLINE_S)) as replica:
        answers, took_s = ask(replica, [item(0), item(1, "slow"), item(2), item(3, "slow")])

    assert 2 * DEADLINE_S <= took_s < FOR_EVER_S / 2
    assert [read(a).kind for a in answers] == ["fallback", "normal", "fallback", "normal"]


def test_a_locked_store_is_told_item_by_item_in_time(directory: Path) -> None:
    with opened(directory) as replica:
        with locked(directory):
            answers = ask_in_time(replica, [item(0), item(1, "email"), item(2), item(3, "fax")])
        through(replica)  # both deciders get the lock now, and must write nothing
        rows, counts = logged(replica), replica._decision_counts()

    web, email, second, wrong = answers
    assert isinstance(web, StoreBusyError)
    assert isinstance(second, StoreBusyError)
    assert (read(email).arm, read(email).durable) == ("no_action", False)
    assert isinstance(wrong, InputError | StoreBusyError)  # nobody came to look at it
    assert rows == {}
    assert (counts["overdue"], counts["not_durable"]) == (2 + isinstance(wrong, StoreBusyError), 1)


def test_a_broken_store_is_told_at_once(directory: Path) -> None:
    with opened(directory) as replica:
        replica.database.close()
        with time_lost() as lost:
            answers, took_s = ask(replica, [item(0), item(1, "email")])

    assert took_s < DEADLINE_S / 2 + lost.seconds  # before any alarm
    assert isinstance(answers[0], StoreError)
    assert read(answers[1]).durable is False


def test_one_item_that_the_store_refuses_fails_alone(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(directory) as replica:
        plain = replica.decider._settle

        def settle(asked, tickets):  # type: ignore[no-untyped-def] # handed through
            if any(a.id == "d-3" for a in asked):
                raise ZeroDivisionError("three")
            return plain(asked, tickets)

        monkeypatch.setattr(replica.decider, "_settle", settle)
        answers, _ = ask(replica, [item(i) for i in range(6)])
        rows = logged(replica)

    assert [isinstance(a, Answer) for a in answers] == [True] * 3 + [False] + [True] * 2
    assert isinstance(answers[3], StoreError)
    assert sorted(rows) == ["d-0", "d-1", "d-2", "d-4", "d-5"]


def test_of_a_page_for_which_there_is_no_room_the_rest_is_busy(directory: Path) -> None:
    with opened(directory, queue=3) as replica:
        answers, _ = ask(replica, [item(i) for i in range(5)])
        rows = logged(replica)

    assert [type(a) for a in answers] == [Answer, Answer, Answer, StoreBusyError, StoreBusyError]
    assert sorted(rows) == ["d-0", "d-1", "d-2"]


def test_after_it_was_closed_each_item_is_refused(directory: Path) -> None:
    with opened(directory) as replica:
        replica.close(drain_s=1.0)
        answers, _ = ask(replica, [item(0), item(1)])

    assert all(isinstance(a, StoreError) for a in answers)


def test_of_a_page_whose_client_has_gone_nothing_more_is_written(directory: Path) -> None:
    """The first batch is in the making when the client goes: what is made is not written, the second not made."""

    model = Held()

    async def leave(replica: Replica) -> None:
        page = asyncio.ensure_future(replica.decide_page([item(i, "slow") for i in range(8)]))
        await asyncio.sleep(0)
        assert await asyncio.to_thread(model.entered.wait, 10.0)
        page.cancel()
        with suppress(asyncio.CancelledError):
            await page

    with opened(directory, model, batch=4) as replica:
        asyncio.run(leave(replica))
        model.let_go()
        through(replica)
        assert replica.decider.counts["normal"] == 0
        assert logged(replica) == {}
        (after,), _ = ask(replica, [item(9)])

    assert read(after).kind == "normal"


def test_a_request_leaves_no_work_to_the_garbage_collector(directory: Path) -> None:
    import gc

    from bandit_nba.online.under_way import UnderWay

    async def lone_and_page(replica: Replica) -> int:
        await replica.decide(item(0))
        await replica.decide_page([item(i) for i in range(1, 20)])
        for _ in range(200):
            left = sum(isinstance(one, UnderWay) for one in gc.get_objects())
            if not left:
                break
            await asyncio.sleep(0.01)  # the decider's thread is on its way to wait for the next
        return left

    with opened(directory) as replica:
        gc.collect()
        gc.disable()
        try:
            assert asyncio.run(lone_and_page(replica)) == 0
        finally:
            gc.enable()


@contextmanager
def slow_commits(replica: Replica, monkeypatch: pytest.MonkeyPatch, *, for_s: float) -> Iterator[None]:
    """Each commit of decisions takes so long."""
    plain = sqlite.commit

    def slow(driver: sqlite3.Connection) -> None:
        if driver is replica.database._straight_writer:
            time.sleep(for_s)
        plain(driver)

    with monkeypatch.context() as patch:
        patch.setattr(sqlite, "commit", slow)
        yield


def test_an_id_twice_in_a_page_has_one_answer_also_where_its_commit_ends_after_the_deadline(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the first a commit is under way: so nobody may say of the second that nothing is kept."""
    with opened(directory) as replica:
        ask(replica, [item(0)])  # the connection is there
        with slow_commits(replica, monkeypatch, for_s=1.2 * DEADLINE_S):
            (first, second), _ = ask(replica, [item(1, "email"), item(1, "email")])

    assert isinstance(first, Answer)
    assert isinstance(second, Answer)
    assert first.body == second.body
    assert (first.durable, second.durable) == (True, True)


@pytest.mark.parametrize("count", [1, 3])
def test_an_answer_and_the_deadline_in_one_turn_of_the_loop_finish_once(directory: Path, count: int) -> None:
    failed: list[object] = []

    async def busy(replica: Replica) -> list[Answered]:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: failed.append(context))
        page = asyncio.ensure_future(replica.decide_page([item(i) for i in range(count)]))
        await asyncio.sleep(0)
        time.sleep(DEADLINE_S + 0.2)  # somebody holds the loop, over answer and alarm
        answers = await page
        await asyncio.sleep(0.05)
        return answers

    with opened(directory) as replica:
        ask(replica, [item(99)])
        answers = asyncio.run(busy(replica))

    assert [read(answer).action != "" for answer in answers] == [True] * count
    assert failed == []
