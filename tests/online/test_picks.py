"""What an employee picked from a ranking is kept beside it, and neither teaches nor is judged."""

import pytest

from bandit_nba.errors import IdConflictError, InputError, RefusedError, UnknownIdError
from bandit_nba.evaluate.stored import read_log
from bandit_nba.online import definitions
from bandit_nba.online.decider import Decider
from bandit_nba.online.learning_loop import LearningLoop
from bandit_nba.online.messages import PickAnswer, PickRequest
from bandit_nba.online.picking import Picking
from bandit_nba.store.database import Database
from bandit_nba.store.tables import OVERRIDDEN
from bandit_nba.workspace import Workspace
from tests.online.clock import START_S, Clock
from tests.online.slate_world import Unlearned, ask, one, read, stored


@pytest.fixture
def picking(database: Database, clock: Clock) -> Picking:
    return Picking(database, clock=clock)


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
