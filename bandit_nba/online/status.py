"""What the loop is doing, in numbers and in words: is it learning?"""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field

import sqlalchemy as sa

from bandit_nba.learn.manifest import Manifest
from bandit_nba.online.answering import moment
from bandit_nba.online.messages import Message
from bandit_nba.store import customers
from bandit_nba.store.database import Database
from bandit_nba.store.log import decisions, outcome_counts, outcomes
from bandit_nba.store.log.decisions import DecisionCounts
from bandit_nba.store.registry import models, serving
from bandit_nba.store.registry.serving import Change, Quarantined
from bandit_nba.store.tables import decisions as decision_table
from bandit_nba.store.tables import leases as lease_table

STALLED_AFTER_S = 60.0
QUARANTINED_SHOWN = 20


class DecisionsStatus(Message, frozen=True, kw_only=True):
    """How many decisions the log holds and what has become of them; the last six add up to `total`. quarantined: they
    cannot be learned. overridden: an employee did something else; learning and evaluation leave them out."""

    total: int
    by_kind: dict[str, int]
    immature: int
    waiting_to_be_learned: int
    learned: int
    never_learned: int
    overridden: int
    quarantined: int


class ModelChange(Message, frozen=True, kw_only=True):
    """The last change of what serves: publish, rollback or quarantine of a model, or follow the learner again."""

    at: datetime.datetime
    what: str
    before: str
    serves: str
    who: str
    why: str


class ModelStatus(Message, frozen=True, kw_only=True):
    """The newest published model. `lag_s`: for how long the oldest matured decision has waited to be learned.

    serves: the version that is to serve on every replica. follows: whether that is the learner's newest. quarantined:
    the last models that were put away, with the reason.
    """

    version: str
    examples_learned: int
    published_at: datetime.datetime | None
    age_s: float | None
    lag_s: float
    learner_alive: bool
    serves: str
    follows: bool
    last_change: ModelChange | None
    quarantined: dict[str, str]


class ReplicaStatus(Message, frozen=True, kw_only=True):
    """What the replica that answered serves, and what it has seen since it started."""

    id: str
    started_at: datetime.datetime
    model_version: str
    model_examples_learned: int
    model_since: datetime.datetime
    model_swaps: int
    models_refused: dict[str, str]
    models_put_away: dict[str, str]
    registry_failures: int
    decisions_waiting: int
    outcomes_waiting: int
    counts: dict[str, int]


class Status(Message, frozen=True, kw_only=True):
    """The service at a glance."""

    learning: bool
    words: str
    decisions: DecisionsStatus
    outcomes: int
    outcome_fates: dict[str, int]
    customers: int
    model: ModelStatus
    catalogue_version: str
    policy_version: str
    feature_version: str
    reward_version: str
    replica: ReplicaStatus


@dataclass(frozen=True)
class Found:
    """What the store says of learning at one moment."""

    counts: DecisionCounts
    outcomes: int
    outcome_fates: Mapping[str, int]
    customers: int
    newest: Manifest | None
    oldest_ripe_s: float | None
    next_ripe_s: float | None
    learner_alive: bool
    serves: str = serving.NONE
    change: Change | None = None
    quarantined: Mapping[str, Quarantined] = field(default_factory=dict)

    @property
    def follows(self) -> bool:
        """Whether the learner's newest model serves."""
        return self.change is None or not self.change.serves


def look(database: Database, *, now_s: float) -> Found:
    """Read it in one snapshot.

    Raises
    ------
    StoreError
        If the store cannot be read.
    """
    waiting = decision_table.c.learned_in.is_(None)
    first = sa.select(sa.func.min(decision_table.c.matures_at)).where(waiting)
    ripe, unripe = decision_table.c.matures_at <= now_s, decision_table.c.matures_at > now_s
    alive = sa.select(sa.func.count()).select_from(lease_table)
    with database.read() as connection:
        newest = models.listing(connection, limit=1, chain=True)
        return Found(
            counts=decisions.counts(connection, now_s=now_s),
            outcomes=outcomes.count(connection),
            outcome_fates=outcome_counts.read(connection),
            customers=customers.count(connection),
            newest=newest[0].manifest if newest else None,
            oldest_ripe_s=connection.execute(first.where(ripe)).scalar_one_or_none(),
            next_ripe_s=connection.execute(first.where(unripe)).scalar_one_or_none(),
            learner_alive=connection.execute(alive.where(lease_table.c.expires_at > now_s)).scalar_one() > 0,
            serves=serving.serving(connection),
            change=serving.last_change(connection),
            quarantined=serving.quarantined(connection),
        )


def decisions_status(counts: DecisionCounts) -> DecisionsStatus:
    """The counts under the names of the API."""
    return DecisionsStatus(
        total=counts.total,
        by_kind=dict(counts.by_kind),
        immature=counts.immature,
        waiting_to_be_learned=counts.ripe,
        learned=counts.learned,
        never_learned=counts.never,
        overridden=counts.overridden,
        quarantined=counts.quarantined,
    )


def model_status(found: Found, *, now_s: float) -> ModelStatus:
    """The newest model and how far behind the learner is."""
    newest = found.newest
    return ModelStatus(
        version=newest.version if newest else "none",
        examples_learned=newest.examples_learned if newest else 0,
        published_at=moment(newest.created_at) if newest else None,
        age_s=max(0.0, now_s - newest.created_at) if newest else None,
        lag_s=lag_s(found, now_s=now_s),
        learner_alive=found.learner_alive,
        serves=found.serves,
        follows=found.follows,
        last_change=None if found.change is None else _change(found.change),
        quarantined={one.version: one.why for one in list(found.quarantined.values())[-QUARANTINED_SHOWN:]},
    )


def _change(change: Change) -> ModelChange:
    return ModelChange(
        at=moment(change.at),
        what=change.what,
        before=change.before,
        serves=change.serves,
        who=change.who,
        why=change.why,
    )


def lag_s(found: Found, *, now_s: float) -> float:
    """For how long the oldest matured decision has waited to be learned."""
    return 0.0 if found.oldest_ripe_s is None else max(0.0, now_s - found.oldest_ripe_s)


def is_learning(found: Found, *, now_s: float) -> bool:
    """Whether a learner is at work and keeps up with what matures, once something has matured."""
    return found.learner_alive and found.newest is not None and lag_s(found, now_s=now_s) <= STALLED_AFTER_S


def in_words(found: Found, *, now_s: float) -> str:
    """One to three sentences for people."""
    fixed = found.change if found.change and found.change.serves else None
    words = _learning_in_words(found, now_s=now_s)
    if fixed is None:
        return words
    serves = "no model" if fixed.serves == serving.NONE else f"model {fixed.serves}"
    cause = f"model {fixed.before} was quarantined" if fixed.what == "quarantine" else f"by {fixed.what}"
    reason = f" ({fixed.why})" if fixed.why else ""
    return f"{words} But {serves} serves, {cause}{reason}, until `nba models publish DIR --newest`."


def _learning_in_words(found: Found, *, now_s: float) -> str:
    newest, counts, lag = found.newest, found.counts, lag_s(found, now_s=now_s)
    if not found.learner_alive:
        waits = f" {counts.ripe:,} matured decisions wait for one." if counts.ripe else ""
        return f"Not learning: no learner is running.{waits}"
    if lag > STALLED_AFTER_S:
        return (
            f"Stalled: a learner is running, but a decision that matured {_ago(lag)} ago is not learned yet; "
            f"{counts.ripe:,} wait. The learner's log says why."
        )
    if newest is not None:
        published = _ago(max(0.0, now_s - newest.created_at))
        return (
            f"Learning: the newest model was published {published} ago and has learned {newest.examples_learned:,} "
            f"decisions; {counts.ripe:,} matured ones wait and {counts.immature:,} have not matured yet."
        )
    if not counts.total:
        return "Not learning yet: no decision has been made."
    if counts.ripe:
        return f"Learning begins: {counts.ripe:,} decisions have matured."
    when = "" if found.next_ripe_s is None else f" The first matures in {_ago(found.next_ripe_s - now_s)}."
    made = "one decision was" if counts.total == 1 else f"{counts.total:,} decisions were"
    return f"Not learning yet: {made} made and none has matured.{when}"


def _ago(duration_s: float) -> str:
    for unit_s, name in ((86_400.0, "days"), (3_600.0, "hours"), (60.0, "minutes")):
        if duration_s >= 2 * unit_s:
            return f"{duration_s / unit_s:.0f} {name}"
    return f"{duration_s:.0f} s"
