"""A promotion, and its roll-back, reach what decides while it runs, and what it decides judges them."""

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np
import pytest
from click.testing import Result

from bandit_nba.decide.columns import Floats
from bandit_nba.decide.scoring import FeatureRows, Scorer
from bandit_nba.online import definitions
from bandit_nba.online.answering import Answer
from bandit_nba.online.catalogue_feed import CatalogueFeed
from bandit_nba.online.decider import Decider
from bandit_nba.online.messages import DecisionAnswer, DecisionRequest
from bandit_nba.store.database import Database
from bandit_nba.store.log import outcomes
from bandit_nba.store.log.outcomes import Outcome
from bandit_nba.workspace import open_workspace
from tests import command
from tests.promote import world

PROMOTED_S = world.START_S + 3_000.0


class Never:
    """A model that expects nothing of any offer, so that the sharp policy makes hardly any."""

    version = "none"
    examples_learned = 0

    def current(self) -> Scorer:
        """Itself."""
        return self

    def score(self, contexts: FeatureRows, arms: FeatureRows) -> Floats:
        """1 for "no action"."""
        scores = np.zeros((len(contexts), len(arms)))
        scores[:, 0] = 1.0
        return scores


class Ticking:
    """A clock that goes on by a second whenever somebody looks."""

    def __init__(self) -> None:
        self.now_s = PROMOTED_S + 60.0

    def __call__(self) -> float:
        self.now_s += 1.0
        return self.now_s


class Running:
    """A decider that follows what is in force in a background thread, as a replica does."""

    def __init__(self, shop: Path) -> None:
        workspace = open_workspace(shop)
        self.database = Database.open(workspace.database_url)
        definitions.register(workspace, self.database)
        clock = Ticking()
        self.feed = CatalogueFeed(workspace, self.database, clock=clock)
        self.decider = Decider(workspace, self.database, Never(), clock=clock, catalogues=self.feed)

    def decide(self, n: int, tag: str) -> list[DecisionAnswer]:
        """n decisions for young customers in batches; of two offers one is accepted."""
        young = {"segment": "young", "barred": False}
        asked = [DecisionRequest(channel="web", decision_id=f"{tag}-{i}", facts=young) for i in range(n)]
        found = []
        for start in range(0, n, 50):
            for answer in self.decider.decide_batch(asked[start : start + 50]):
                assert isinstance(answer, Answer), answer
                found.append(msgspec.json.decode(answer.body, type=DecisionAnswer))
        self._accept([a.decision_id for i, a in enumerate(a for a in found if a.arm != "no_action") if i % 2])
        return found

    def _accept(self, decided: Sequence[str]) -> None:
        made = [Outcome(id=f"yes-{d}", type="accept", payload_sha256=b"0" * 32, decision=d) for d in decided]
        with self.database.write() as connection:
            outcomes.insert(connection, made, now_s=PROMOTED_S + 61.0)

    def soon_acts(self, name: str) -> bool:
        """Whether this policy comes to act within ten seconds."""
        ends = time.monotonic() + 10.0
        while self.feed.current().workspace.policy.name != name and time.monotonic() < ends:
            time.sleep(0.02)
        return self.feed.current().workspace.policy.name == name


@pytest.fixture
def start(shop: Path) -> Iterator[Callable[[], Running]]:
    made: list[Running] = []

    def run() -> Running:
        made.append(Running(shop))
        made[-1].feed.start()
        return made[-1]

    yield run
    for one in made:
        one.feed.stop()
        one.database.close()


def nba(monkeypatch: pytest.MonkeyPatch, now_s: float, *arguments: str) -> Result:
    monkeypatch.setattr("bandit_nba.cli.promote.time.time", lambda: now_s)
    return command.nba(*arguments)


def test_a_promotion_and_its_roll_back_need_no_restart(
    shop: Path, start: Callable[[], Running], monkeypatch: pytest.MonkeyPatch
) -> None:
    """uniform offers in 2 of 3 decisions and earns about .33; sharp, with this model, in 1 of 15 and earns .03."""
    before = (shop / "policy.toml").read_bytes()
    running = start()
    first = running.decide(20, "first")
    promoted = nba(monkeypatch, PROMOTED_S, "promote", str(shop), str(shop / "sharp.toml"), "--json")
    assert promoted.exit_code == 0, promoted.output
    acts = running.soon_acts("sharp")
    second = running.decide(1_800, "second")
    watched = nba(monkeypatch, PROMOTED_S + 20_000.0, "promote", str(shop), "--watch", "--json")
    back = running.soon_acts("uniform")
    third = running.decide(20, "third")

    assert not msgspec.json.decode(promoted.stdout)["restartNeeded"]
    assert acts
    assert len({a.policy_version for a in first}) == len({a.policy_version for a in second}) == 1
    assert first[0].policy_version != second[0].policy_version
    assert watched.exit_code == 1, watched.output
    assert msgspec.json.decode(watched.stdout)["rolledBack"]
    assert not msgspec.json.decode(watched.stdout)["restartNeeded"]
    assert back
    assert {a.policy_version for a in third} == {first[0].policy_version}
    assert (shop / "policy.toml").read_bytes() == before


def test_a_policy_that_needs_other_models_waits_for_a_restart(
    shop: Path, start: Callable[[], Running], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (shop / "sharp.toml").write_text(f"{world.SHARP}\n[learning.options]\ncoin = true\n")
    running = start()
    promoted = nba(monkeypatch, PROMOTED_S, "promote", str(shop), str(shop / "sharp.toml"))
    running.feed.follow()
    answers = running.decide(5, "first")

    assert promoted.exit_code == 0, promoted.output
    assert "stop nba serve and start it again" in promoted.stdout
    assert running.feed.current().workspace.policy.name == "uniform"
    assert caplog.text.count("needs other models") == 1
    assert len({a.policy_version for a in answers}) == 1
    again = Running(shop)  # the restart
    assert again.feed.current().workspace.policy.name == "sharp"
    again.database.close()


def test_a_policy_in_force_that_cannot_be_read_is_left_alone(
    start: Callable[[], Running], caplog: pytest.LogCaptureFixture
) -> None:
    from bandit_nba.store.registry import definitions as stored

    running = start()
    with running.database.write() as connection:
        stored.put(connection, "policy", "of-the-future", b'{"name": 7}', now_s=0.0)
        stored.put_in_force(connection, "policy", "of-the-future", now_s=0.0)
    running.feed.follow()

    assert running.decide(1, "first")[0].policy_version != "of-the-future"
    assert caplog.text.count("of-the-future is left alone") == 1
