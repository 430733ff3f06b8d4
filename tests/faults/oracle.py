"""What must have been learned, from the log alone: plain SQL and plain loops, nothing of the library.

The rules once more, for the definition in `workspace.REWARDS`: a decision teaches if it is of kind "normal" and, where
it waited for its activation, was activated in time. What counts was received by the time it matured and names it,
or names only its customer, came after it, and is a purchase. Everything that counts adds up.
"""

from collections import defaultdict
from dataclasses import dataclass

import sqlalchemy as sa

LOW, HIGH, DEFAULT = -2.0, 20.0, 0.125
REWARD = {"click": (0.25, 0.0), "accept": (1.0, 0.5), "purchase": (0.5, 0.125), "reject": (-0.5, 0.0)}
_DECISIONS = "SELECT id, customer, decided_at, matures_at, kind, activate_by, activated_at FROM decisions"
_OUTCOMES = "SELECT id, decision, customer, type, amount, received_at FROM outcomes"


@dataclass(frozen=True)
class Lesson:
    """One decision that must teach, and its reward."""

    matures_at: float
    decision: str
    reward: float


def lessons(url: str, *, until_s: float) -> list[Lesson]:
    """All that must have been learned by then, in the order in which it must be."""
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        decisions = connection.exec_driver_sql(_DECISIONS).all()
        outcomes = connection.exec_driver_sql(_OUTCOMES).all()
    engine.dispose()
    naming: dict[str, list[tuple[float, str, float]]] = defaultdict(list)
    bought: dict[str, list[tuple[float, str, float]]] = defaultdict(list)
    for name, decision, customer, kind, amount, received_at in outcomes:
        fixed, weight = REWARD[kind]
        event = (received_at, name, fixed + weight * (amount or 0.0))
        if decision is not None:
            naming[decision].append(event)
        elif kind == "purchase":
            bought[customer].append(event)
    found = []
    for decision, customer, decided_at, matures_at, kind, activate_by, activated_at in decisions:
        in_time = activate_by is None or (activated_at is not None and activated_at <= activate_by)
        if kind != "normal" or not in_time or matures_at >= until_s:
            continue
        events = [event for event in naming[decision] if event[0] <= matures_at]
        if customer:
            events += [event for event in bought[customer] if decided_at <= event[0] <= matures_at]
        total = sum(reward for _, _, reward in sorted(events)) if events else DEFAULT
        found.append(Lesson(matures_at, decision, min(max(total, LOW), HIGH)))
    return sorted(found, key=lambda lesson: (lesson.matures_at, lesson.decision))
