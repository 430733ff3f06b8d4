"""What becomes of an outcome, in one word, as it comes in; docs/outcomes.md explains each to people.

It says what learning makes of the outcome as far as that is known then. A decision that is overridden or quarantined
later takes its outcomes with it, and an orphan counts as soon as its decision is there, if it is in time.
"""

from dataclasses import dataclass
from typing import Literal

from bandit_nba.learn.definition import RewardDefinition

Fate = Literal[
    "counts",
    "each",
    "never",
    "orphan",
    "late",
    "other_place",
    "fallback",
    "unreadable",
    "not_activated",
    "overridden",
    "quarantined",
]
BESIDE = ("duplicate", "conflict", "reordered", "other_customer")
"""Told beside the fates: what was not kept, and what was kept and has a fate as well."""


@dataclass(frozen=True, slots=True)
class Named:
    """The decision that an outcome names. matures_at, decided_at, activate_by, activated_at: seconds since the epoch.

    mark: what stands beside it in the log, "" while it was not learned. first_slot: of its slate, "" without one.
    """

    customer: str
    kind: str
    decided_at: float
    matures_at: float
    activate_by: float | None
    activated_at: float | None
    mark: str
    first_slot: str


def fate(definition: RewardDefinition, kind: str, slot: str, *, received_at: float, named: Named | None) -> Fate:
    """Of an outcome of type `kind` that names a decision; None: one that is not known (yet). slot: "" for none."""
    if named is None:
        return "orphan"
    set_apart = _set_apart(named, received_at)
    if set_apart is not None:
        return set_apart
    own_s = definition.type_waits_s.get(kind)
    until = named.matures_at if own_s is None else min(named.matures_at, named.decided_at + own_s)
    if received_at > until:
        return "late"
    return "counts" if slot in ("", named.first_slot) else "other_place"


def fate_of_customers(definition: RewardDefinition, kind: str) -> Fate:
    """Of an outcome that names only a customer."""
    declared = definition.outcomes.get(kind)
    return "each" if declared is not None and declared.attribution == "each" else "never"


def _set_apart(named: Named, received_at: float) -> Fate | None:
    """Why a decision teaches nothing, whatever its outcomes."""
    if named.kind in ("fallback", "unreadable"):
        return "fallback" if named.kind == "fallback" else "unreadable"
    if named.mark in ("overridden", "quarantined"):
        return "overridden" if named.mark == "overridden" else "quarantined"
    too_late = named.activate_by is not None and named.activated_at is None and received_at > named.activate_by
    return "not_activated" if too_late or named.mark == "never" else None
