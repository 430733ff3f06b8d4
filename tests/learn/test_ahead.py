"""Whoever makes batches ready, and whenever: they come in order, each once, and few are held at a time."""

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from bandit_nba.learn.ahead import Part, in_order
from bandit_nba.learn.prepared import Prepared

PARTS = 40


def made_of(ids: Sequence[str], who: str) -> Prepared:
    return Prepared(examples=(), decided_at=np.zeros(len(ids)), arms=[*ids, who])


class Moody:
    """A helper that is ready late, answers late or not at all, and dies at some moment, as `rng` has it."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._dies_after = int(rng.integers(0, 2 * PARTS))
        self._asked: list[Sequence[str]] = []
        self._looks: Counter[int] = Counter()
        self.waiting = 0

    @property
    def _dead(self) -> bool:
        return len(self._asked) > self._dies_after

    def is_ready(self) -> bool:
        return not self._dead and self._rng.random() < 0.7

    def ask(self, ids: Sequence[str]) -> int:
        self._asked.append(ids)
        self.waiting += 1
        return len(self._asked) - 1

    def has(self, number: int) -> bool:
        self._looks[number] += 1
        return self._dead or self._looks[number] > self._rng.integers(0, 6)

    def take(self, number: int) -> Prepared | None:
        self.waiting -= 1
        return None if self._dead or self._rng.random() < 0.1 else made_of(self._asked[number], "helper")


@pytest.mark.parametrize("seed", range(30))
def test_order_and_number_do_not_depend_on_the_helper(seed: int) -> None:
    helper = Moody(np.random.default_rng(seed))
    taken = [0]
    yielded = 0

    def parts() -> Iterator[Part]:
        for number in range(PARTS):
            taken[0] += 1
            assert taken[0] - yielded <= 7  # the one in hand and six held
            assert helper.waiting <= 2
            yield Part([f"{number}"])

    found = []
    for part, made in in_order(parts(), lambda part: made_of(part.ids, "own"), helper):
        assert made is not None
        assert made.arms[0] == part.ids[0]
        found.append(part.ids[0])
        yielded += 1

    assert found == [f"{number}" for number in range(PARTS)]


def test_without_a_helper_a_batch_is_made_when_it_is_asked_for() -> None:
    made: list[str] = []

    def make(part: Part) -> None:
        made.append(part.ids[0])

    each = in_order(iter([Part(["a"]), Part(["b"])]), make)
    next(each)

    assert made == ["a"]
