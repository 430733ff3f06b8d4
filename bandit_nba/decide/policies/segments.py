"""Which segment a customer belongs to: by a declared fact, or by the nearest of a few centres."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import numpy as np

from bandit_nba.catalogue import FactSchema
from bandit_nba.decide.acting import Situation
from bandit_nba.decide.columns import Coded, CodedSets, Floats, Ints
from bandit_nba.decide.policies.dense import DenseContexts
from bandit_nba.errors import SettingsError
from bandit_nba.settings import nearest


class Segments(Protocol):
    """A partition of customers into named segments."""

    @property
    def names(self) -> tuple[str, ...]:
        """The segments."""

    def of(self, situation: Situation) -> Ints:
        """Each row's segment, int64 (N,), an index into `names`; -1 where it is in none."""


@dataclass(frozen=True)
class CategorySegments:
    """By the value of a category or text fact."""

    fact: str
    names: tuple[str, ...]

    def of(self, situation: Situation) -> Ints:
        """-1 for an unknown fact and for values without a segment."""
        column = situation.requests.facts.columns.get(self.fact)
        if not isinstance(column, Coded):
            return np.full(len(situation), -1, dtype=np.int64)
        number = {name: i for i, name in enumerate(self.names)}
        found: Ints = np.array([*(number.get(value, -1) for value in column.values), -1], dtype=np.int64)
        return found[column.codes]


@dataclass(frozen=True)
class NumberSegments:
    """By a number (or boolean, as 0 and 1) cut at `cuts`: below the first, between two, at or above the last."""

    fact: str
    cuts: tuple[float, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Named as bins are: "..12", "12..36", "36.."."""
        edges = ["", *(f"{cut:.12g}" for cut in self.cuts), ""]
        return tuple(f"{low}..{high}" for low, high in pairwise(edges))

    def of(self, situation: Situation) -> Ints:
        """-1 for an unknown fact."""
        column = situation.requests.facts.columns.get(self.fact)
        if column is None or isinstance(column, Coded | CodedSets):
            return np.full(len(situation), -1, dtype=np.int64)
        found: Ints = np.searchsorted(np.array(self.cuts), column, side="right").astype(np.int64)
        return np.where(np.isnan(column), -1, found)


@dataclass(frozen=True)
class NearestCentre:
    """By the nearest of k centres in the space of context features (Lloyd's k-means); every row is in one."""

    space: DenseContexts
    centres: Floats

    @classmethod
    def fit(cls, situation: Situation, *, k: int, rng: np.random.Generator, rounds: int = 50) -> "NearestCentre":
        """Centres of these rows: k rows at random, moved to their rows' mean until nothing moves."""
        space = DenseContexts()
        x = space.learn(situation.contexts)
        centres = x[rng.choice(len(x), size=k, replace=False)]
        for _ in range(rounds):
            nearest_one = _nearest(x, centres)
            moved = np.stack(
                [x[nearest_one == s].mean(axis=0) if (nearest_one == s).any() else centres[s] for s in range(k)]
            )
            if (moved == centres).all():
                break
            centres = moved
        return cls(space=space, centres=centres)

    @property
    def names(self) -> tuple[str, ...]:
        """Numbered from 1."""
        return tuple(f"segment {s + 1}" for s in range(len(self.centres)))

    def of(self, situation: Situation) -> Ints:
        """The nearest centre's number; of equally near ones the first."""
        return _nearest(self.space.seen(situation.contexts), self.centres)


def by_fact(fact: str, values: Sequence[str], cuts: Sequence[float], schema: FactSchema, *, where: str) -> Segments:
    """Segments by a declared fact: a category's `values`, or a number at `cuts`.

    Raises
    ------
    SettingsError
        If the fact is not declared or of another kind, or the cuts do not grow.
    """
    kind = schema.get(fact)
    if kind is None:
        raise SettingsError("no such fact", where=f"{where}.fact", got=fact, hint=nearest(fact, schema))
    if kind in ("category", "text"):
        if cuts:
            raise SettingsError(f"a {kind} has no cuts", where=f"{where}.cuts", got=list(cuts))
        return CategorySegments(fact, tuple(dict.fromkeys(values)))
    if kind == "set":
        raise SettingsError("cannot be cut into segments", where=f"{where}.fact", got=fact, allowed="no set")
    cuts = (0.5,) if kind == "boolean" and not cuts else tuple(cuts)
    if not cuts or any(high <= low for low, high in pairwise(cuts)):
        raise SettingsError("must be given and grow", where=f"{where}.cuts", got=list(cuts), allowed="such as [12, 36]")
    segments = NumberSegments(fact, cuts)
    for value in values:
        if value not in segments.names:
            raise SettingsError(
                "no such segment", where=f"{where}.campaigns", got=value, allowed=", ".join(segments.names)
            )
    return segments


def _nearest(x: Floats, centres: Floats) -> Ints:
    """Squared distances summed term by term, so that a row does not depend on its batch."""
    distance = np.stack([((x - centre) ** 2).sum(axis=1) for centre in centres], axis=1)
    found: Ints = distance.argmin(axis=1)
    return found
