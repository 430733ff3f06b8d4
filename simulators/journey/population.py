"""The population: profiles with facts, and what follows from facts alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from bandit_nba.catalogue import FactSchema
from bandit_nba.decide.columns import Bools, Coded, CodedSets, Column, Facts, Floats, Ints
from bandit_nba.errors import SettingsError
from bandit_nba.settings import nearest
from simulators.journey.settings import JourneySettings, LifeEvent, Persona
from simulators.journey.uplift import TYPES
from simulators.tastes import TasteKind, traits
from simulators.telco_population import telco_customers

N = TypeVar("N", bound=str)

LIMIT = 4.0  # deviations: nobody is more extreme than that


@dataclass(frozen=True)
class Population:
    """P profiles that customers are drawn from.

    facts: what never changes, without `owned`. persona: int64 (P,). owned: bits of products at the start, int64 (P,).
    products: names of the bits. traits: standardised columns (P, M), within four deviations; names beside them.
    """

    facts: Facts
    persona: Ints
    owned: Ints
    products: tuple[str, ...]
    traits: Floats
    trait_names: tuple[str, ...]

    def __len__(self) -> int:
        return self.facts.size


def population(settings: JourneySettings, rng: np.random.Generator) -> Population:
    """The profiles of a world.

    Raises
    ------
    SettingsError
        If a persona's match names a fact that the profiles do not have.
    """
    if settings.population.kind == "telco":
        whole = telco_customers().facts
        persona = _matched(settings.personas, whole)
    else:
        persona = _by_share(settings, rng)
        whole = _made_up(settings.personas, persona, rng)
    owned = whole.columns["owned"]
    if not isinstance(owned, CodedSets):
        raise SettingsError("`owned` must be a set", where="population")
    products = tuple(sorted({*owned.values, *(a.owned_as for a in settings.actions if a.owned_as)}))
    columns, names = traits(whole)
    static = {name: column for name, column in whole.columns.items() if name != "owned"}
    schema = {name: kind for name, kind in whole.schema.items() if name != "owned"}
    return Population(
        facts=Facts(size=whole.size, schema=schema, columns=static),
        persona=persona,
        owned=_bits(owned, products),
        products=products,
        traits=np.clip(columns, -LIMIT, LIMIT),
        trait_names=names,
    )


def type_shares(settings: JourneySettings, people: Population, rng: np.random.Generator) -> Floats:
    """Chance of each uplift type for each profile, float64 (P, 4): the persona's shares, tilted by random tastes."""
    shares = np.array([[persona.types.get(name, 0.0) for name in TYPES] for persona in settings.personas])
    if (shares.sum(axis=1) <= 0.0).any():
        raise SettingsError("a persona has no uplift type", where="personas.types", allowed=", ".join(TYPES))
    with np.errstate(divide="ignore"):
        logits = np.log(shares / shares.sum(axis=1, keepdims=True))[people.persona]
    tastes = people.traits @ rng.normal(size=(people.traits.shape[1], len(TYPES)))
    tastes /= np.maximum(tastes.std(axis=0), 1e-12)
    weights = np.exp(logits + settings.uplift.type_sharpness * np.clip(tastes, -LIMIT, LIMIT))
    found: Floats = weights / weights.sum(axis=1, keepdims=True)
    return found


def utility(people: Population, groups: tuple[str, ...], rng: np.random.Generator, kind: TasteKind) -> Floats:
    """Tastes u(x, a), float64 (P, K), mean 0 and variance 1; a quarter of the variance is the group's."""
    shared = {group: _taste(people, rng, kind) for group in dict.fromkeys(groups)}
    columns = [np.sqrt(0.25) * shared[group] + np.sqrt(0.75) * _taste(people, rng, kind) for group in groups]
    return np.column_stack([_standard(column) for column in columns])


def event_rates(events: tuple[LifeEvent, ...], people: Population) -> Floats:
    """Rates a week of each kind of event for each profile, float64 (P, E)."""
    rates = np.empty((len(people), len(events)))
    for j, event in enumerate(events):
        rates[:, j] = event.per_year / (365.25 / 7.0)
        if event.trait:
            if event.trait not in people.trait_names:
                raise SettingsError(
                    "no such trait",
                    where=f"life_events.{event.name}.trait",
                    got=event.trait,
                    hint=nearest(event.trait, people.trait_names),
                )
            z = people.traits[:, people.trait_names.index(event.trait)]
            tilt = np.exp(event.weight * z)
            rates[:, j] *= tilt / tilt.mean()  # the mean over profiles stays `per_year`
    return rates


def _matched(personas: tuple[Persona, ...], facts: Facts) -> Ints:
    """The first persona whose facts a profile has; the last takes the rest."""
    persona = np.full(facts.size, len(personas) - 1, dtype=np.int64)
    for i in range(len(personas) - 1, -1, -1):
        fits = np.ones(facts.size, dtype=np.bool_)
        for name, wanted in personas[i].match.items():
            fits &= _is(facts, name, wanted)
        persona[fits] = i
    return persona


def _is(facts: Facts, name: str, wanted: str | bool) -> Bools:
    column = facts.columns.get(name)
    if column is None:
        raise SettingsError("unknown fact", where="personas.match", got=name, hint=nearest(name, facts.columns))
    if isinstance(column, Coded):
        return np.equal(column.codes, column.values.index(str(wanted)) if wanted in column.values else -2)
    if isinstance(column, CodedSets):
        raise SettingsError("a persona cannot match a set", where="personas.match", got=name)
    return np.equal(column, float(wanted))


def _by_share(settings: JourneySettings, rng: np.random.Generator) -> Ints:
    shares = np.array([persona.share for persona in settings.personas])
    return rng.choice(len(shares), size=settings.population.profiles, p=shares / shares.sum()).astype(np.int64)


def _made_up(personas: tuple[Persona, ...], persona: Ints, rng: np.random.Generator) -> Facts:
    """Facts drawn for each persona; a fact that a persona does not name is unknown for its customers."""
    n = len(persona)
    schema: dict[str, str] = {}
    columns: dict[str, Column] = {}
    for name in dict.fromkeys(name for p in personas for name in p.numbers):
        schema[name] = "number"
        columns[name] = _numbers(name, personas, persona, rng)
    for name in dict.fromkeys(name for p in personas for name in p.categories):
        schema[name] = "category"
        columns[name] = _categories(name, personas, persona, rng)
    for name in dict.fromkeys(name for p in personas for name in p.flags):
        schema[name] = "boolean"
        chance = np.array([p.flags.get(name, 0.0) for p in personas])
        columns[name] = (rng.random(n) < chance[persona]).astype(np.float64)
    columns["owned"] = _owned(personas, persona, rng)
    whole: FactSchema = {**schema, "owned": "set"}  # type: ignore[dict-item]
    return Facts(size=n, schema=whole, columns=columns)


def _numbers(name: str, personas: tuple[Persona, ...], persona: Ints, rng: np.random.Generator) -> Floats:
    laws = [p.numbers.get(name) for p in personas]
    centre = np.array([np.nan if law is None else np.log(law.median) for law in laws])
    spread = np.array([0.0 if law is None else law.spread for law in laws])
    return np.exp(centre[persona] + spread[persona] * rng.standard_normal(len(persona)))


def _categories(name: str, personas: tuple[Persona, ...], persona: Ints, rng: np.random.Generator) -> Coded:
    values = tuple(dict.fromkeys(value for p in personas for value in p.categories.get(name, {})))
    codes = np.full(len(persona), -1, dtype=np.int64)
    for i, p in enumerate(personas):
        shares = np.array([p.categories.get(name, {}).get(value, 0.0) for value in values])
        rows = np.flatnonzero(persona == i)
        if shares.sum() > 0.0:
            codes[rows] = rng.choice(len(values), size=len(rows), p=shares / shares.sum())
    return Coded(codes=codes, values=values)


def _owned(personas: tuple[Persona, ...], persona: Ints, rng: np.random.Generator) -> CodedSets:
    values = tuple(sorted({name for p in personas for name in p.owns}))
    chance = np.array([[p.owns.get(name, 0.0) for name in values] for p in personas]).reshape(len(personas), -1)
    held = rng.random((len(persona), len(values))) < chance[persona]
    indptr = np.zeros(len(persona) + 1, dtype=np.int64)
    np.cumsum(held.sum(axis=1), out=indptr[1:])
    return CodedSets(indptr=indptr, codes=np.nonzero(held)[1].astype(np.int64), values=values)


def _bits(owned: CodedSets, products: tuple[str, ...]) -> Ints:
    if len(products) > 62:
        raise SettingsError("too many products", got=len(products), allowed="at most 62")
    bit = np.array([1 << products.index(value) for value in owned.values] or [0], dtype=np.int64)
    bits = np.zeros(len(owned.indptr) - 1, dtype=np.int64)
    np.bitwise_or.at(bits, np.repeat(np.arange(len(bits)), np.diff(owned.indptr)), bit[owned.codes])
    return bits


def _taste(people: Population, rng: np.random.Generator, kind: TasteKind) -> Floats:
    """Weights on traits by themselves, on thresholds of numbers, and on products of two traits."""
    z, m = people.traits, people.traits.shape[1]
    terms = [z[:, i] for i in rng.choice(m, size=min(kind.mains, m), replace=False)]
    for i in rng.choice(m, size=kind.steps):
        terms.append(_standard((z[:, i] > np.quantile(z[:, i], rng.uniform(0.2, 0.8))).astype(np.float64)))
    for _ in range(kind.pairs if m > 1 else 0):
        i, j = rng.choice(m, size=2, replace=False)
        terms.append(_standard(z[:, i] * z[:, j]))
    weights = rng.choice([-1.0, 1.0], size=len(terms)) * rng.uniform(0.5, 1.5, size=len(terms))
    return _standard(np.column_stack(terms) @ weights)


def _standard(column: Floats) -> Floats:
    spread = column.std()
    limited: Floats = np.clip((column - column.mean()) / spread, -LIMIT, LIMIT) if spread > 0 else np.zeros_like(column)
    return limited


def member_sets(bits: Ints, products: tuple[str, ...]) -> CodedSets:
    """Bits of products as a column of sets."""
    held = (bits[:, None] >> np.arange(len(products)) & 1).astype(np.bool_)
    indptr = np.zeros(len(bits) + 1, dtype=np.int64)
    np.cumsum(held.sum(axis=1), out=indptr[1:])
    codes = np.nonzero(held.ravel())[0] % max(len(products), 1)
    return CodedSets(indptr=indptr, codes=codes.astype(np.int64), values=products)


def shares_of(table: Mapping[N, float], names: tuple[str, ...], *, where: str) -> Floats:
    """Numbers by name as shares that sum to 1, in the order of `names`.

    Raises
    ------
    SettingsError
        If a name is unknown, or all are zero.
    """
    for name in table:
        if name not in names:
            raise SettingsError("unknown name", where=where, got=name, hint=nearest(name, names))
    given: dict[str, float] = {str(name): weight for name, weight in table.items()}
    weights = np.array([given.get(name, 0.0) for name in names])
    if weights.sum() <= 0.0:
        raise SettingsError("all are zero", where=where, allowed="at least one above zero")
    found: Floats = weights / weights.sum()
    return found
