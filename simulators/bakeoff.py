"""Classification data as a bandit: a row is a customer, a class is an action, the right one earns 1 and all others 0.

As in the contextual bandit bake-off (Bietti, Agarwal & Langford 2021, arXiv 1802.04064). "No action" is there as in
every world; it is never right.
"""

import re
from typing import Any

import numpy as np
import pandas as pd

from bandit_nba.catalogue import Action, Catalogue, FactSchema, Group
from bandit_nba.catalogue.facts import FactKind
from bandit_nba.catalogue.load import RESERVED_FACTS
from bandit_nba.decide.batch import Requests
from bandit_nba.decide.columns import Bools, Coded, Column, Facts, Floats, Ints
from bandit_nba.decide.policy import FeatureSettings, Number
from bandit_nba.errors import InputError
from simulators.bakeoff_data import ClassTable, load
from simulators.world import Customers

CHANNEL = "web"
MOST_ROWS = 5_000
BINS = (0.2, 0.4, 0.6, 0.8)  # quantiles at which a number is cut


class BakeoffWorld:
    """One data set; `seed` says which rows of a large table are taken, and nothing else.

    Equal options give equal arrays. features: how a person who knows the facts' ranges, but no outcome, would declare
    them: numbers divided by their 99th percentile and cut at their quintiles.
    """

    name = "bakeoff"

    def __init__(self, *, dataset: str = "sklearn.digits", seed: int = 0, noise: float = 0.0) -> None:
        if seed < 0:
            raise InputError("is out of range", where="seed", got=seed, allowed="0 or more")
        if not 0.0 <= noise < 1.0:
            raise InputError("is out of range", where="noise", got=noise, allowed="0 to below 1")
        table = load(dataset)
        rows = np.arange(len(table.label))
        if len(rows) > MOST_ROWS:
            rows = np.sort(np.random.default_rng([0xBA4E0FF, seed]).choice(rows, size=MOST_ROWS, replace=False))
        facts = class_facts(table, rows)
        label = table.label[rows]
        self.seed = seed
        self.dataset = dataset
        self.customers = Customers(
            ids=tuple(f"{dataset}-{row:06d}" for row in rows.tolist()), profiles=tuple(facts.rows()), facts=facts
        )
        self.catalogue: Catalogue = _catalogue(table, facts.schema)
        self.features: FeatureSettings = fact_features(facts)
        self.q: Floats = np.zeros((len(rows), len(table.classes) + 1))
        self.q[:, 1:] = noise / len(table.classes)
        self.q[np.arange(len(rows)), label + 1] += 1.0 - noise
        self.q.flags.writeable = False
        self.eligible: Bools = np.ones(self.q.shape, dtype=np.bool_)
        self.eligible.flags.writeable = False

    def sample_customers(self, rng: np.random.Generator, n: int) -> Ints:
        """Who asks next: int64 (n,), uniform with replacement."""
        return rng.integers(0, len(self.customers), size=n)

    def shuffled(self, rng: np.random.Generator, n: int) -> Ints:
        """Every row at most once, in random order: int64 (min(n, rows),), as progressive validation wants them."""
        return rng.permutation(len(self.customers))[:n]

    def respond(self, rng: np.random.Generator, customer_index: Ints, arm_index: Ints) -> tuple[Bools, Floats]:
        """Whether the class was right (n,), and after how many seconds: at once; NaN where it was not."""
        accepted = rng.random(len(customer_index)) < self.q[customer_index, arm_index]
        return accepted, np.where(accepted, 0.0, np.nan)

    def requests(self, customer_index: Ints, *, ids: list[str], decided_at: Floats) -> Requests:
        """Requests of these rows, as the library takes them."""
        return Requests(
            ids=ids,
            customers=[self.customers.ids[i] for i in customer_index],
            channels=Coded(codes=np.zeros(len(ids), dtype=np.int64), values=(CHANNEL,)),
            decided_at=decided_at,
            facts=self.customers.facts_of(customer_index),
            readable=np.ones(len(ids), dtype=np.bool_),
        )


def class_facts(table: ClassTable, rows: Ints) -> Facts:
    """The table's columns as facts: numbers, booleans (also as "yes" and "no"), and categories."""
    schema: dict[str, FactKind] = {}
    columns: dict[str, Column] = {}
    for column in table.facts.columns:
        name = _fact_name(str(column), schema)
        schema[name], columns[name] = _fact(table.facts[column].iloc[rows])
    return Facts(size=len(rows), schema=schema, columns=columns)


def fact_features(facts: Facts, *, bins: tuple[float, ...] = BINS) -> FeatureSettings:
    """Every fact as a feature of the customer, crossed with the action."""
    numbers = {
        name: _number(column, bins)
        for name, column in facts.columns.items()
        if facts.schema[name] == "number" and isinstance(column, np.ndarray)
    }
    return FeatureSettings(customer=tuple(facts.columns), numbers=numbers, channel=False, interactions=("UA",))


def _number(column: Floats, bins: tuple[float, ...]) -> Number:
    known = column[~np.isnan(column)]
    if not len(known):
        return Number()
    scale = float(np.quantile(np.abs(known), 0.99)) or float(np.abs(known).max()) or 1.0
    inside = np.unique(np.quantile(known, bins)) if bins else np.empty(0)
    inside = inside[(inside > known.min()) & (inside <= known.max())]
    return Number(scale=min(max(scale, 1e-9), 1e9), bins=tuple(float(edge) for edge in inside))


def _fact(column: "pd.Series[Any]") -> tuple[FactKind, Column]:
    if pd.api.types.is_bool_dtype(column):
        flags: Floats = column.to_numpy(dtype=np.float64, na_value=np.nan)
        return "boolean", flags
    if pd.api.types.is_numeric_dtype(column):
        numbers: Floats = column.to_numpy(dtype=np.float64, na_value=np.nan)
        return "number", np.where(np.isfinite(numbers), numbers, np.nan)
    codes, values = pd.factorize(column.astype("string"), sort=True)
    return "category", Coded(codes=codes.astype(np.int64), values=tuple(str(value) for value in values))


def _fact_name(column: str, taken: FactSchema) -> str:
    name = re.sub(r"[^a-z0-9]+", "_", column.lower()).strip("_")[:50]
    name = name if name[:1].isalpha() and name not in RESERVED_FACTS else f"f_{name}"
    return next(one for one in (name, *(f"{name}_{i}" for i in range(2, 1_000))) if one not in taken)


def _catalogue(table: ClassTable, schema: FactSchema) -> Catalogue:
    actions = tuple(
        Action(id=f"class_{i:02d}", kind="offer", group="classes", title=title) for i, title in enumerate(table.classes)
    )
    return Catalogue(facts=dict(schema), groups={"classes": Group(title="Classes")}, actions=actions)
