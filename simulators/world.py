"""What every world is to those who use it: customers, a catalogue, responses, and the truth about them.

A world is fixed by its name, options and seed before any learner sees it. Indices name customers (rows of `q`) and arms
(columns of `q`, catalogue order, "no action" first). All methods take a batch and draw only from the `rng` given.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, Self, TypeVar

import numpy as np

from bandit_nba.catalogue import Catalogue
from bandit_nba.catalogue.facts import FactValue
from bandit_nba.decide.columns import Bools, Coded, CodedSets, Column, Facts, Floats, Ints


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


class JourneyState(Protocol):
    """N customers at one moment, before the decision of step `t`. Whatever else a world keeps is its own."""

    @property
    def t(self) -> int:
        """The step that is decided next, from 0."""

    @property
    def customer(self) -> Ints:
        """Customer numbers, int64 (N,); a customer's chances depend on the number, not on the row."""

    def copy(self) -> Self:
        """The same customers at the same moment, to be played otherwise."""

    def __len__(self) -> int:
        """N."""


@dataclass(frozen=True)
class Outcome:
    """What one step brought N customers; arrays (N,).

    arm: what was done, int64; 0 also where a budget was used up. responded: whether the customer took it (or, without
    a contact, bought by itself). delay_s: after how long, NaN without a response. reward: 1 where the response came
    within the horizon: what the product's log earns, its mean is q. value: all money of the step, costs deducted.
    left: customers lost in this step. More that a world tells (opt-outs, purchases) stands in `also`.
    """

    arm: Ints
    responded: Bools
    delay_s: Floats
    reward: Floats
    value: Floats
    left: Bools
    also: Mapping[str, Floats | Ints | Bools] = field(default_factory=dict)


S = TypeVar("S", bound=JourneyState)


class Journey(Protocol[S]):
    """Customers who are decided for again and again, and whom each decision changes.

    A step is one period for all customers. Everything random comes from the customer's number, the step, the world's
    seed and the replication, never from what other customers or policies do: two policies meet the same chances.
    """

    @property
    def name(self) -> str:
        """The world's name."""

    @property
    def catalogue(self) -> Catalogue:
        """What can be done; arm indices are its order, 0 is "no action"."""

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the channels."""

    @property
    def steps(self) -> int:
        """Steps of an episode."""

    @property
    def step_s(self) -> float:
        """Seconds from one step to the next."""

    @property
    def start_s(self) -> float:
        """When step 0 is, seconds since the epoch."""

    @property
    def horizon_s(self) -> float:
        """How long a decision waits for its response, in seconds."""

    @property
    def discount(self) -> float:
        """What a step later is worth, above 0 up to 1."""

    def start(self, n: int, *, replication: int = 0) -> S:
        """Customers 0 .. n - 1 at step 0. Another replication: the same customers, other chances."""

    def channel(self, state: S) -> Ints:
        """The channel of this step, index into `channels`, int64 (N,)."""

    def facts(self, state: S) -> Facts:
        """What may be known of the customers now, as the catalogue declares it."""

    def eligible(self, state: S) -> Bools:
        """Bool (N, K): what the catalogue's rules leave; "no action" always."""

    def q(self, state: S) -> Floats:
        """q(x, a), float64 (N, K): exact chance of a response within the horizon, were arm a taken now."""

    def step(self, state: S, arm: Ints) -> Outcome:
        """Do arm (N,) for each customer and let the period pass; `state` is changed in place.

        Raises
        ------
        InputError
            If an arm is not eligible, or the shape is wrong.
        """


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
