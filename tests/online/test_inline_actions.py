"""Actions that come with a request: from the question to the log, the lesson and the verdict."""

from collections import Counter
from pathlib import Path

import msgspec
import numpy as np
import pytest
import sqlalchemy as sa

from bandit_nba.decide.scoring import Scorer
from bandit_nba.evaluate.workspace import judge_workspace
from bandit_nba.online.collector import Collector
from bandit_nba.online.decider import Decider
from bandit_nba.store.database import Database
from bandit_nba.store.past import StoredPast
from bandit_nba.store.tables import decisions as table
from bandit_nba.workspace import Workspace
from tests.online.clock import Clock
from tests.online.slate_world import (
    HOSTILE,
    LONG,
    TWO,
    WITH_CONTROLS,
    Unlearned,
    accept,
    ask,
    audited,
    learned,
    one,
    read,
    stored,
)


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


def test_names_are_counted_as_far_as_they_fit() -> None:
    from bandit_nba.learn import registry

    many = [f"i{i}" for i in range(registry.MOST_ARMS + 10)]
    flooded = registry.Learned().more(np.zeros(len(many)), many, inline=[True] * len(many))
    later = flooded.more(np.zeros(3), ["i0", "catalogue", "one more"], inline=[True, False, True])

    assert len(flooded.arms) == registry.MOST_ARMS
    assert (later.arms["i0"], later.arms["catalogue"]) == (2, 1)
    assert "one more" not in later.arms
