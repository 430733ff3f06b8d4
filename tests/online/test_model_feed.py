"""A verified model serves from the next batch on; one that is not verified never does."""

from collections.abc import Sequence

import numpy as np
import pytest

from bandit_nba.decide.batch import Floats
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

    def newest(self, *, limit: int) -> Sequence[str]:
        if self.down:
            raise StoreError("is gone")
        return self.versions[::-1][:limit]

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
