"""After a promotion: the replaced policy comes back where it surely earns more, and only there."""

from pathlib import Path

import numpy as np
import pytest

from bandit_nba.decide.columns import Floats
from bandit_nba.decide.scoring import FeatureRows
from bandit_nba.errors import RefusedError
from bandit_nba.promote import ledger
from bandit_nba.promote.challenge import challenge
from bandit_nba.promote.watch import watch_once
from bandit_nba.workspace import open_workspace
from tests.promote import world

PROMOTED_S = world.START_S + 3_000.0
NOW_S = world.START_S + 20_000.0


class Likes:
    """A model that expects more of one arm, whoever the customer is."""

    version = "none"
    examples_learned = 0

    def __init__(self, arm: int) -> None:
        self._arm = arm

    def score(self, contexts: FeatureRows, arms: FeatureRows) -> Floats:
        """1 for the arm."""
        scores = np.zeros((len(contexts), len(arms)))
        scores[:, self._arm] = 1.0
        return scores


@pytest.fixture
def promoted(shop: Path) -> Path:
    """The sharp policy has just taken over."""
    assert challenge(open_workspace(shop), shop / "sharp.toml", alpha=0.05, now_s=PROMOTED_S, write=True).promoted
    return shop


def test_a_policy_that_turns_out_worse_is_rolled_back(promoted: Path) -> None:
    """The new policy offers nothing to nearly everybody and earns about .03; uniform would earn about .18."""
    world.play(open_workspace(promoted), 2_500, start_s=PROMOTED_S + 60.0, seed=10, scorer=Likes(0))

    found = watch_once(open_workspace(promoted), alpha=0.05, now_s=NOW_S, write=True)

    assert found.rolled_back
    assert open_workspace(promoted).policy.name == "uniform"
    assert [event.kind for event in ledger.events(promoted)] == ["entered", "promoted", "rolled_back"]
    with pytest.raises(RefusedError, match="no promotion"):
        watch_once(open_workspace(promoted), alpha=0.05, now_s=NOW_S, write=True)


def test_a_policy_that_was_rolled_back_is_judged_afresh(promoted: Path) -> None:
    """Otherwise the sequence that had let it through would let it through again at once."""
    world.play(open_workspace(promoted), 2_500, start_s=PROMOTED_S + 60.0, seed=10, scorer=Likes(0))
    watch_once(open_workspace(promoted), alpha=0.05, now_s=NOW_S, write=True)

    with pytest.raises(RefusedError, match="no matured decision"):
        challenge(open_workspace(promoted), promoted / "sharp.toml", alpha=0.05, now_s=NOW_S, write=True)


def test_a_policy_that_does_well_stays(promoted: Path) -> None:
    world.play(open_workspace(promoted), 600, start_s=PROMOTED_S + 60.0, seed=11, scorer=Likes(1))

    found = watch_once(open_workspace(promoted), alpha=0.05, now_s=NOW_S, write=True)

    assert not found.rolled_back
    assert found.judged == 600
    assert open_workspace(promoted).policy.name == "sharp"


def test_a_policy_file_changed_by_hand_is_left_alone(promoted: Path) -> None:
    (promoted / "policy.toml").write_text(world.SHARP.replace('"sharp"', '"mine"'))

    with pytest.raises(RefusedError, match="by hand"):
        watch_once(open_workspace(promoted), alpha=0.05, now_s=NOW_S, write=True)


def test_nothing_is_said_before_the_new_policy_has_decided(promoted: Path) -> None:
    with pytest.raises(RefusedError, match="no matured decision"):
        watch_once(open_workspace(promoted), alpha=0.05, now_s=NOW_S, write=True)
