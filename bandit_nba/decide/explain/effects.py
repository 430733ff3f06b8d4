"""What each fact of a customer does for each arm, beside the average customer and beside the average eligible arm.

The model is a sum over terms, so a score is, exactly,

    score(x, k) = score(average customer, k) + sum over facts f of ( terms of f in x - terms of f in the average )

A fact is taken as a whole: that a contract is monthly also means that it is not yearly. From each summand the mean over
the eligible arms is taken off, since what all of them gain alike decides nothing:

    score(x, k) = mean over eligible arms of score(x, .) + effect of the arm itself + sum over facts of their effects
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from bandit_nba.decide.columns import Floats

OF_ARM = ""
"""Stands for what the arm gains with the average customer."""
PAIR = " x "
_OWN_FIRST, _OWN_LAST = ("constant", "arm"), "prior"  # as models and priors name what is no term of the context


@dataclass(frozen=True)
class FactEffect:
    """By how much a fact raises or lowers an arm's expected reward; `fact` "" is the arm itself, "a x b" a pair."""

    fact: str
    effect: float


@dataclass(frozen=True)
class Apart:
    """A row's scores in parts: contributions (T, K) beside T names, of which the first `singles` are single terms."""

    names: Sequence[str]
    contributions: Floats
    singles: int


def effects(row: Apart, average: Apart | None, facts: Collection[str]) -> list[tuple[FactEffect, ...]]:
    """The effects on each of K arms, the strongest first. facts: all names that terms can begin with.

    average: the same of the average customer; None where it is not known, and then single values stand for their facts.
    """
    of_fact = _by_fact(row, facts)
    usual = _by_fact(average, facts) if average else {}
    own = of_fact.pop(OF_ARM)
    for fact, part in usual.items():
        if fact != OF_ARM:
            of_fact[fact] = of_fact.get(fact, 0.0) - part
            own = own + part
    of_fact[OF_ARM] = own
    beside = {fact: effect - effect.mean() for fact, effect in of_fact.items()}
    return [
        tuple(
            FactEffect(fact=fact, effect=float(effect[k]))
            for fact, effect in sorted(beside.items(), key=lambda item: (-abs(item[1][k]), item[0]))
        )
        for k in range(row.contributions.shape[1])
    ]


def _by_fact(part: Apart, facts: Collection[str]) -> dict[str, Floats]:
    """Contributions (K,) by fact; constant, arm and prior together under "" (the arm's own)."""
    found: dict[str, Floats] = {OF_ARM: np.zeros(part.contributions.shape[1])}
    for t, name in enumerate(part.names):
        first, last = t < len(_OWN_FIRST), t == len(part.names) - 1
        own = (first and name in _OWN_FIRST) or (last and name == _OWN_LAST)
        fact = OF_ARM if own else fact_of(name, facts, single=t < part.singles)
        found[fact] = found.get(fact, 0.0) + part.contributions[t]
    return found


def fact_of(name: str, facts: Collection[str], *, single: bool) -> str:
    """The fact that a term tells of: "contract=yearly" -> "contract"; of a pair both."""
    if single:
        return name.partition("=")[0].partition("?")[0]
    found = [part.partition("=")[0].partition("?")[0] for part in name.split(PAIR)]
    return PAIR.join(dict.fromkeys(fact for fact in found if fact in facts))  # a value may hold " x " itself
