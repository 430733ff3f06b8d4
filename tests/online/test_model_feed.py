"""A verified model serves from the next batch on; one that is not verified never does."""

from collections.abc import Sequence

import numpy as np
import pytest

from bandit_nba.decide.columns import Floats
from bandit_nba.decide.scoring import FeatureRows, Scorer
from bandit_nba.errors import ModelError, StoreError
from bandit_nba.online.model_feed import ModelFeed
from tests.online.clock import Clock


class Model:
    examples_learned = 1

    def __init__(self, version: str) -> None:
        self.version = version

    def score(self, contexts: FeatureRows, arms: FeatureRows) -> Floats:
        return np.zeros((len(contexts), len(arms)))


class Shelf:
    """A registry in memory: the newest last; `damaged` fail their verification."""

    def __init__(self) -> None:
        self.versions: list[str] = []
        self.damaged: set[str] = set()
        self.loaded: list[str] = []
        self.down = False
        self.fixed = ""
        self.away: dict[str, str] = {}

    def wanted(self, *, limit: int) -> Sequence[str]:
        if self.down:
            raise StoreError("is gone")
        sound = [one for one in self.versions[::-1] if one not in self.away]
        return ([self.fixed, *sound] if self.fixed else sound)[:limit]

    def quarantine(self, version: str, why: str, *, instead: str) -> None:
        if self.down:
            raise StoreError("is gone")
        self.away[version] = why
        self.fixed = instead

    def scorer(self, version: str) -> Scorer:
        self.loaded.append(version)
        if version in self.damaged:
            raise ModelError("SHA-256 differs")
        return Model(version)


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def feed(shelf: Shelf, clock: Clock) -> ModelFeed:
    return ModelFeed(shelf, poll_every_s=0.01, clock=clock)


def test_without_a_model_none_serves(feed: ModelFeed) -> None:
    assert not feed.poll()
    assert feed.current().version == "none"


def test_a_newer_model_is_swapped_in_once(feed: ModelFeed, shelf: Shelf, clock: Clock) -> None:
    shelf.versions = ["a"]
    assert feed.poll()
    clock.now_s += 10.0
    shelf.versions.append("b")
    assert feed.poll()
    assert not feed.poll()

    assert feed.current().version == "b"
    assert feed.serving.since_s == clock.now_s
    assert feed.swaps == 2
    assert shelf.loaded == ["a", "b"]


def test_a_damaged_model_never_serves_and_is_not_tried_again(feed: ModelFeed, shelf: Shelf) -> None:
    shelf.versions, shelf.damaged = ["a"], {"b"}
    feed.poll()
    shelf.versions.append("b")
    assert not feed.poll()
    assert not feed.poll()

    assert feed.current().version == "a"
    assert feed.refused == {"b": "SHA-256 differs"}
    assert feed.refusals == 1
    assert shelf.loaded.count("b") == 1

    shelf.versions.append("c")
    assert feed.poll()
    assert feed.current().version == "c"


def test_after_a_start_an_older_sound_model_serves(feed: ModelFeed, shelf: Shelf) -> None:
    shelf.versions, shelf.damaged = ["a", "b", "c"], {"b", "c"}
    feed.poll()

    assert feed.current().version == "a"
    assert set(feed.refused) == {"b", "c"}


def test_a_registry_that_is_down_is_no_fault_of_a_model(feed: ModelFeed, shelf: Shelf) -> None:
    shelf.versions = ["a"]
    feed.poll()
    shelf.down = True
    with pytest.raises(StoreError):
        feed.poll()

    assert feed.current().version == "a"
    assert not feed.refused


def test_it_starts_even_where_the_registry_is_down(feed: ModelFeed, shelf: Shelf) -> None:
    shelf.down = True
    feed.start()

    assert feed.alive
    assert feed.current().version == "none"
    feed.stop()
    assert not feed.alive


def test_an_older_model_serves_as_soon_as_it_is_wanted(feed: ModelFeed, shelf: Shelf) -> None:
    shelf.versions = ["a", "b"]
    feed.poll()
    shelf.fixed = "a"

    assert feed.poll()
    assert feed.current().version == "a"

    shelf.versions.append("c")
    assert not feed.poll()  # it stays, whatever the learner publishes
    shelf.fixed = "none"
    assert feed.poll()
    assert feed.current().version == "none"


def test_a_model_whose_scores_are_no_numbers_serves_no_longer_at_once(feed: ModelFeed, shelf: Shelf) -> None:
    """Before the registry has been told, and never again; then the registry puts it away for all."""
    shelf.versions = ["a"]
    feed.poll()
    shelf.versions.append("b")
    feed.poll()
    feed.distrust("b", "NaN")
    feed.distrust("b", "NaN again, from the next row")

    assert feed.current().version == "a"
    assert shelf.away == {}

    shelf.down = True
    with pytest.raises(StoreError):
        feed.poll()
    assert feed.current().version == "a"
    shelf.down = False
    assert not feed.poll()
    assert (shelf.away, shelf.fixed) == ({"b": "NaN"}, "a")
    assert feed.distrusted == {"b": "NaN"}

    feed.distrust("a", "NaN as well")
    assert feed.current().version == "none"


def test_only_the_last_reasons_are_kept_and_all_are_counted(feed: ModelFeed, shelf: Shelf) -> None:
    shelf.versions = ["sound"]
    feed.poll()
    for i in range(50):
        shelf.versions.append(f"v{i}")
        shelf.damaged.add(f"v{i}")
        feed.poll()

    assert feed.refusals == 50
    assert list(feed.refused) == [f"v{i}" for i in range(30, 50)]
