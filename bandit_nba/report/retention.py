"""Retention from churn events: who was not watched long enough is stood for by those who were.

Of each judged decision the customer is watched from the decision on until churn, or until now. Decisions that were not
watched up to the horizon are censored; the others count more instead (`evaluate.censoring`).
"""

import numpy as np
import sqlalchemy as sa

from bandit_nba.decide.columns import Floats
from bandit_nba.errors import RefusedError
from bandit_nba.evaluate.censoring import watched
from bandit_nba.evaluate.log import LoggedDecisions
from bandit_nba.report.measures import CHURN, Measure
from bandit_nba.store.database import Database
from bandit_nba.store.tables import decisions, outcomes

DAY_S = 86_400.0
HORIZONS_S = (365 * DAY_S, 180 * DAY_S, 90 * DAY_S, 30 * DAY_S, 7 * DAY_S, DAY_S, DAY_S / 24)
WATCHED_SHARE = 0.3
"""The longest horizon is taken up to which at least this share of the decisions was watched."""


def retention(database: Database, log: LoggedDecisions, *, now_s: float) -> Measure | str:
    """The measure of the judged decisions, or why there is none."""
    customers, churned_at = _read(database, log)
    if not churned_at:
        return f"no churn was ever received (an outcome whose type has {' or '.join(CHURN)} in its name)"
    known = np.array([bool(customer) for customer in customers], dtype=np.bool_)
    if not known.any():
        return "the customers of the judged decisions are not known"
    ends = np.array([churned_at.get(customer, np.inf) for customer in customers])
    rows = known & (ends > log.decided_at)  # who had left before is not retained by anything
    until: Floats = np.minimum(ends, now_s) - log.decided_at
    share = [float((now_s - log.decided_at[rows] >= horizon).mean()) if rows.any() else 0.0 for horizon in HORIZONS_S]
    horizon = next((h for h, s in zip(HORIZONS_S, share, strict=True) if s >= WATCHED_SHARE), None)
    if horizon is None:
        return "too few decisions were watched for an hour"
    seen = np.isfinite(ends) & (ends <= now_s)
    try:
        found = watched(np.maximum(until[rows], 0.0), seen[rows], horizon)
    except RefusedError as error:
        return str(error.what)
    weights, stayed = np.zeros(len(log)), np.zeros(len(log))
    weights[rows], stayed[rows] = found.weights, 1.0 - found.churned
    words = (
        f"Share of decisions whose customer was still one {_duration(horizon)} later, churn being an outcome with "
        f"{' or '.join(CHURN)} in its type. {found.censored_share:.0%} were not watched so long; the others stand for "
        "them (inverse-probability-of-censoring weights). Less is a warning."
    )
    return Measure("retention", words, guardrail=True, values=stayed, rows=rows & (weights > 0), weights=weights)


def _read(database: Database, log: LoggedDecisions) -> tuple[list[str], dict[str, float]]:
    """The customer of each decision, "" where nobody is known, and when each of them churned first."""
    churn = sa.or_(*(outcomes.c.type.contains(word, autoescape=True) for word in CHURN))
    named = sa.select(outcomes.c.customer, outcomes.c.received_at).where(churn, outcomes.c.customer.is_not(None))
    decided = (
        sa.select(decisions.c.customer, outcomes.c.received_at)
        .join_from(outcomes, decisions, decisions.c.id == outcomes.c.decision)
        .where(churn, decisions.c.customer != "")
    )
    found: dict[str, float] = {}
    with database.read() as connection:
        for customer, at in [*connection.execute(named), *connection.execute(decided)]:
            found[customer] = min(at, found.get(customer, np.inf))
        if not found:
            return [], {}
        since = float(log.decided_at[0])
        of = sa.select(decisions.c.id, decisions.c.customer).where(decisions.c.decided_at >= since)
        by_id = {row.id: row.customer for row in connection.execute(of)}
    return [by_id.get(decision, "") for decision in log.ids], found


def _duration(seconds: float) -> str:
    return f"{seconds / DAY_S:.0f} days" if seconds > DAY_S else "a day" if seconds == DAY_S else "an hour"
