"""What every world is to those who use it: customers, a catalogue, responses, and the truth about them.

A world is fixed by its name, options and seed before any learner sees it. Indices name customers (rows of `q`) and arms
(columns of `q`, catalogue order, "no action" first). All methods take a batch and draw only from the `rng` given.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from bandit_nba.catalogue import Catalogue
from bandit_nba.catalogue.facts import FactValue
from bandit_nba.decide.batch import Bools, Coded, CodedSets, Column, Facts, Floats, Ints


@dataclass(frozen=True)
class Customers:
    """A population: raw ids (never facts), profiles as dictionaries for a service, and the same facts as columns."""

    ids: tuple[str, ...]
    profiles: tuple[Mapping[str, FactValue | None], ...]
    facts: Facts

    def __len__(self) -> int:
        return len(self.ids)

    def facts_of(self, customer_index: Ints) -> Facts:
        """Facts of the customers named, in that order; a customer may stand there more than once."""
        columns = {name: _gathered(column, customer_index) for name, column in self.facts.columns.items()}
        return Facts(size=len(customer_index), schema=self.facts.schema, columns=columns)


class World(Protocol):
    """Customers who respond to arms, and the exact chance that they do."""

    @property
    def customers(self) -> Customers:
        """The population."""

    @property
    def catalogue(self) -> Catalogue:
        """What can be done for them."""

    @property
    def q(self) -> Floats:
        """q(x, a), float64 (customers, K): expected reward received within the horizon."""

    @property
    def eligible(self) -> Bools:
        """Bool (customers, K): which arms the catalogue's rules leave; "no action" always."""

    def sample_customers(self, rng: np.random.Generator, n: int) -> Ints:
        """Who asks next: int64 (n,), independent draws with replacement."""

    def respond(self, rng: np.random.Generator, customer_index: Ints, arm_index: Ints) -> tuple[Bools, Floats]:
        """Whether each customer accepts (n,), and after how many seconds (n,), NaN without a response."""


def _gathered(column: Column, rows: Ints) -> Column:
    if isinstance(column, Coded):
        return Coded(codes=column.codes[rows], values=column.values)
    if not isinstance(column, CodedSets):
        return column[rows]
    sizes = np.diff(column.indptr)[rows]
    indptr = np.zeros(len(rows) + 1, dtype=np.int64)
    np.cumsum(sizes, out=indptr[1:])
    within = np.arange(indptr[-1]) - np.repeat(indptr[:-1], sizes)
    codes = column.codes[np.repeat(column.indptr[:-1][rows], sizes) + within]
    return CodedSets(indptr=indptr, codes=codes, values=column.values)
