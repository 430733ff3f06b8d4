"""Picks: what a person took of a ranking, kept in the decision's own row beside the slate.

A pick is no draw and has no propensity, and a ranking from which somebody picked does not teach: what the customer got
was a person's choice, made with knowledge that the log does not have. That holds for the first place as well, since
learning only the rows in which the person agreed would select them. As an override, a pick must be stamped
(`learning.stamp`) no later than the decision matures; then the learner can never have read the decision before.
"""

import sqlalchemy as sa

from bandit_nba.store.log import contacts
from bandit_nba.store.tables import OVERRIDDEN, decisions

NOTHING = ""


def put(connection: sa.Connection, decision: str, arm: str | None, *, now_s: float) -> None:
    """Keep a pick, None for nothing of the ranking; it counts as the decision's activation."""
    one = decisions.c.id == decision
    picked = sa.update(decisions).where(one).values(picked=NOTHING if arm is None else arm, picked_at=now_s)
    connection.execute(picked)
    connection.execute(sa.update(decisions).where(one, decisions.c.learned_in.is_(None)).values(learned_in=OVERRIDDEN))
    waiting = sa.update(decisions).where(one, decisions.c.activate_by.is_not(None), decisions.c.activated_at.is_(None))
    connection.execute(waiting.values(activated_at=now_s))
    contacts.raise_versions_of(connection, [decision])
