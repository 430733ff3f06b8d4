"""Overrides: what an employee did in place of a decision. The decision's own row keeps what the system chose.

An override is no draw: it has no propensity. Its decision is marked `OVERRIDDEN` where it would have taught the model,
in the same transaction. It must be stamped (`learning.stamp`) no later than the decision matures; then, as with
outcomes, the learner can never have read the decision before.
"""

from dataclasses import dataclass

import sqlalchemy as sa

from bandit_nba.store.log import contacts
from bandit_nba.store.tables import OVERRIDDEN, decisions, overrides


@dataclass(frozen=True, kw_only=True)
class Override:
    """A human's choice. employee: pseudonym. shown: JSON list of the arms that the system had put forward."""

    decision: str
    arm: str
    reason: str
    employee: str
    overridden_at: float
    shown: bytes
    payload_sha256: bytes


def get(connection: sa.Connection, decision: str) -> Override | None:
    """The override of a decision, None if it stands."""
    row = connection.execute(sa.select(overrides).where(overrides.c.decision == decision)).one_or_none()
    return None if row is None else Override(**row._asdict())


def put(connection: sa.Connection, override: Override) -> None:
    """Keep an override; it counts as the activation of its decision, and the decision no longer teaches.

    Contact rules count the human's choice from now on, so that decisions under way for this customer are made again.

    Raises
    ------
    sqlalchemy.exc.IntegrityError
        If the decision has one already; see `get`.
    """
    connection.execute(sa.insert(overrides).values(**vars(override)))
    one = decisions.c.id == override.decision
    unmarked = sa.update(decisions).where(one, decisions.c.learned_in.is_(None))
    connection.execute(unmarked.values(learned_in=OVERRIDDEN))
    waiting = sa.update(decisions).where(one, decisions.c.activate_by.is_not(None), decisions.c.activated_at.is_(None))
    connection.execute(waiting.values(activated_at=override.overridden_at))
    contacts.raise_versions_of(connection, [override.decision])
