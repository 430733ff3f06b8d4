"""The tables, for SQLite and PostgreSQL alike. Times are seconds since the epoch, UTC, by the server's clock.

A decision's facts stand in its own row, and can be erased while the log keeps its statistics.
Whoever changes a table here adds a file to `store.migrations.versions`; a test holds both equal.
"""

import sqlalchemy as sa

metadata = sa.MetaData()

FORMER = frozenset({"decision_facts"})
"""Tables that older revisions have."""

# `learned_in` of a decision that never teaches: fallback or unreadable or not activated in time; or a row that cannot
# be learned; or one that an employee has overridden.
NEVER = "never"
QUARANTINED = "quarantined"
OVERRIDDEN = "overridden"
# Out of quarantine: to be learned anew in its place, with everything else.
RELEASED = "released"

meta = sa.Table(
    "meta",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)

definitions = sa.Table(
    "definitions",
    metadata,
    # kind: catalogue, policy, features or reward; content: canonical JSON, so that old decisions can be recomputed
    sa.Column("kind", sa.String(16), primary_key=True),
    sa.Column("version", sa.String(32), primary_key=True),
    sa.Column("content", sa.LargeBinary, nullable=False),
    sa.Column("created_at", sa.Double, nullable=False),
)

in_force = sa.Table(
    "in_force",
    metadata,
    sa.Column("kind", sa.String(16), primary_key=True),  # of definitions: catalogue, policy
    sa.Column("version", sa.String(32), nullable=False),  # the definition that decisions are made by from now on
    sa.Column("since", sa.Double, nullable=False),
)

customers = sa.Table(
    "customers",
    metadata,
    sa.Column("customer", sa.String(64), primary_key=True),  # pseudonymous key
    sa.Column("profile", sa.LargeBinary, nullable=False),  # JSON object of declared facts
    sa.Column("updated_at", sa.Double, nullable=False),
    # from when on what stands in the profile counts: as a whole (null: it never was kept as a whole), and by fact since
    # then (JSON object: fact, also one that was removed -> when the event occurred that told it; null: none)
    sa.Column("replaced_at", sa.Double),
    sa.Column("told_at", sa.LargeBinary),
)

customer_events = sa.Table(
    "customer_events",
    metadata,
    # which events have changed a profile already; what they changed stands in the profile
    sa.Column("id", sa.String(256), primary_key=True),
    sa.Column("customer", sa.String(64), nullable=False),  # pseudonymous key
    sa.Column("type", sa.String(64), nullable=False),
    sa.Column("occurred_at", sa.Double),  # by the client's word
    sa.Column("received_at", sa.Double, nullable=False),
    sa.Column("payload_sha256", sa.LargeBinary(32), nullable=False),
)
sa.Index("customer_events_by_customer", customer_events.c.customer)

contact_versions = sa.Table(
    "contact_versions",
    metadata,
    # of known and unknown customers alike; grows with whatever may change what contact rules say of the customer
    sa.Column("customer", sa.String(64), primary_key=True),  # pseudonymous key
    sa.Column("version", sa.BigInteger, nullable=False),
)

decisions = sa.Table(
    "decisions",
    metadata,
    sa.Column("id", sa.String(256), primary_key=True),
    sa.Column("customer", sa.String(64), nullable=False),  # "" for anonymous
    sa.Column("channel", sa.String(64), nullable=False),
    sa.Column("decided_at", sa.Double, nullable=False),
    sa.Column("valid_until", sa.Double, nullable=False),
    sa.Column("matures_at", sa.Double, nullable=False),
    sa.Column("activate_by", sa.Double),  # null: needs no activation
    sa.Column("activated_at", sa.Double),  # null: not (yet) activated
    # kind: normal, fallback (model or rule failed), unreadable (customer could not be read)
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("arm", sa.String(256), nullable=False),
    sa.Column("propensity", sa.Double),
    sa.Column("arms", sa.LargeBinary, nullable=False),  # JSON list: eligible arm ids, catalogue order
    sa.Column("probabilities", sa.LargeBinary, nullable=False),  # JSON list beside `arms`
    sa.Column("expected_rewards", sa.LargeBinary, nullable=False),  # JSON list beside `arms`
    sa.Column("removed", sa.LargeBinary, nullable=False),  # JSON object: arm id -> [stage, reason]
    sa.Column("catalogue_version", sa.String(32), nullable=False),
    sa.Column("policy_version", sa.String(32), nullable=False),
    sa.Column("feature_version", sa.String(32), nullable=False),
    sa.Column("reward_version", sa.String(32), nullable=False),
    sa.Column("model_version", sa.String(32), nullable=False),  # "none" before the first
    sa.Column("salt_id", sa.String(32), nullable=False),
    # which component of a mixture the decision is credited to ("": there is no mixture), the share with which it was
    # drawn, and its own distribution (JSON list beside `arms`; null: the same as `probabilities`)
    sa.Column("component", sa.String(64), nullable=False, default=""),
    sa.Column("component_share", sa.Double),
    sa.Column("component_probabilities", sa.LargeBinary),
    # assignment: none (one component alone), decision (drawn per decision), customer (drawn once for the customer)
    sa.Column("assignment", sa.String(16), nullable=False, default="none"),
    sa.Column("experiment", sa.String(64), nullable=False, default=""),
    sa.Column("shadow", sa.LargeBinary),  # JSON of record.LoggedShadow: what a policy that did not act would have done
    sa.Column("support", sa.Boolean, nullable=False, default=True),  # could every eligible arm have been chosen?
    sa.Column("payload_sha256", sa.LargeBinary(32), nullable=False),
    sa.Column("answer", sa.LargeBinary, nullable=False),  # the response body, byte for byte
    sa.Column("slate", sa.LargeBinary),  # JSON of record.LoggedSlate; null: one action was wanted
    sa.Column("inline_actions", sa.LargeBinary),  # JSON of the actions that the request brought; null: the catalogue's
    sa.Column("picked", sa.String(256)),  # the arm that an employee picked from a ranking, "" for none; null: no pick
    sa.Column("picked_at", sa.Double),
    sa.Column("learned_in", sa.String(32)),  # model version whose checkpoint learned it; null: not yet; or a mark
    sa.Column("origin", sa.String(64)),  # the log from elsewhere that it was imported from; null: it was made here
    # the day (UTC) under which the archive has what is large of this row, and its facts; null: all of it is here
    sa.Column("archived_on", sa.String(10)),
    sa.Column("facts", sa.LargeBinary),  # JSON object: the facts that rules and features read; null: erased
)
sa.Index("decisions_by_customer", decisions.c.customer, decisions.c.decided_at)
sa.Index("decisions_by_time", decisions.c.decided_at, decisions.c.id)
sa.Index(
    "decisions_to_learn",
    decisions.c.matures_at,
    decisions.c.id,
    decisions.c.learned_in,  # always null here; without it SQLite reads the rows themselves to count them
    sqlite_where=decisions.c.learned_in.is_(None),
    postgresql_where=decisions.c.learned_in.is_(None),
)
_WAITS_FOR_ACTIVATION = sa.and_(
    decisions.c.learned_in.is_(None), decisions.c.activated_at.is_(None), decisions.c.activate_by.is_not(None)
)
sa.Index(
    "decisions_to_activate",
    decisions.c.activate_by,
    sqlite_where=_WAITS_FOR_ACTIVATION,
    postgresql_where=_WAITS_FOR_ACTIVATION,
)
TEACHES_NOTHING = decisions.c.learned_in.in_(
    [sa.literal_column(f"'{mark}'") for mark in (NEVER, QUARANTINED, OVERRIDDEN)]
)
sa.Index(
    "decisions_teaching_nothing",  # SQLite uses it for queries with the very same condition: TEACHES_NOTHING
    decisions.c.learned_in,
    decisions.c.kind,
    sqlite_where=TEACHES_NOTHING,
    postgresql_where=TEACHES_NOTHING,
)

overrides = sa.Table(
    "overrides",
    metadata,
    sa.Column("decision", sa.String(256), primary_key=True),
    sa.Column("arm", sa.String(256), nullable=False),  # the human's choice; it has no propensity
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("employee", sa.String(64), nullable=False),  # pseudonymous key
    sa.Column("overridden_at", sa.Double, nullable=False),
    sa.Column("shown", sa.LargeBinary, nullable=False),  # JSON list: the arms that the system had put forward
    sa.Column("payload_sha256", sa.LargeBinary(32), nullable=False),
)

outcomes = sa.Table(
    "outcomes",
    metadata,
    sa.Column("id", sa.String(256), primary_key=True),
    sa.Column("decision", sa.String(256)),  # null: names only a customer
    sa.Column("customer", sa.String(64)),  # null: names only a decision
    sa.Column("type", sa.String(64), nullable=False),
    sa.Column("amount", sa.Double),
    sa.Column("occurred_at", sa.Double),
    sa.Column("received_at", sa.Double, nullable=False),
    sa.Column("payload_sha256", sa.LargeBinary(32), nullable=False),
    sa.Column("slot", sa.String(64)),  # which place of a slate it is about; null: not said
)
sa.Index("outcomes_by_decision", outcomes.c.decision)
sa.Index("outcomes_by_customer", outcomes.c.customer, outcomes.c.received_at)

models = sa.Table(
    "models",
    metadata,
    sa.Column("version", sa.String(32), primary_key=True),
    sa.Column("serial", sa.BigInteger, nullable=False, unique=True),  # publication order
    sa.Column("manifest", sa.LargeBinary, nullable=False),  # JSON of learn.manifest.Manifest
    sa.Column("model", sa.LargeBinary),  # VW's bytes; pruned for old models, sparse weights stay
    sa.Column("sparse", sa.LargeBinary, nullable=False),  # what replicas load
    sa.Column("created_at", sa.Double, nullable=False),
)

model_changes = sa.Table(
    "model_changes",
    metadata,
    # the last row says what serves: a fixed model, "none", or ("" in `serves`) the newest that is not quarantined
    sa.Column("serial", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("at", sa.Double, nullable=False),
    sa.Column("what", sa.String(16), nullable=False),  # publish, follow, rollback, quarantine
    sa.Column("before", sa.String(32), nullable=False),  # the model that was to serve until then; "none": none
    sa.Column("serves", sa.String(32), nullable=False),
    sa.Column("who", sa.String(128), nullable=False),
    sa.Column("why", sa.Text, nullable=False),
)

quarantined_models = sa.Table(
    "quarantined_models",
    metadata,
    sa.Column("version", sa.String(32), primary_key=True),
    sa.Column("serial", sa.BigInteger, nullable=False),  # its own in `models`
    sa.Column("at", sa.Double, nullable=False),
    sa.Column("why", sa.Text, nullable=False),
)

trained_models = sa.Table(
    "trained_models",
    metadata,
    # models of `nba train`: beside the learner's chain, so never "the newest", and gone on from by nobody
    sa.Column("version", sa.String(32), primary_key=True),
    sa.Column("at", sa.Double, nullable=False),
    sa.Column("who", sa.String(128), nullable=False),
    sa.Column("why", sa.Text, nullable=False),
)

quarantined_decisions = sa.Table(
    "quarantined_decisions",
    metadata,
    # decisions that could not be learned; what was logged of them stays where it is
    sa.Column("decision", sa.String(256), primary_key=True),
    sa.Column("state", sa.String(16), nullable=False),  # held, released, learned (after a release), dropped
    sa.Column("reason", sa.String(64), nullable=False),  # the kind of error
    sa.Column("error", sa.Text, nullable=False),
    sa.Column("at", sa.Double, nullable=False),  # of the last try that failed
    sa.Column("tries", sa.BigInteger, nullable=False),
    sa.Column("changed_at", sa.Double),  # when somebody released or dropped it
    sa.Column("changed_by", sa.String(128), nullable=False, default=""),
)

outcome_counts = sa.Table(
    "outcome_counts",
    metadata,
    # what became of outcomes as they came in; several rows a fate, so that replicas do not wait for each other
    sa.Column("fate", sa.String(32), primary_key=True),
    sa.Column("shard", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("count", sa.BigInteger, nullable=False),
)

leases = sa.Table(
    "leases",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("holder", sa.String(64), nullable=False),
    sa.Column("fence", sa.BigInteger, nullable=False),  # grows with each new holder
    sa.Column("expires_at", sa.Double, nullable=False),
)

judging_jobs = sa.Table(
    "judging_jobs",
    metadata,
    # what clients of the retired Personalizer ask to be computed over a part of the log, and what was found
    sa.Column("kind", sa.String(32), primary_key=True),  # evaluation, importance
    sa.Column("id", sa.String(256), primary_key=True),
    sa.Column("name", sa.String(256), nullable=False),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("starts_at", sa.Double, nullable=False),
    sa.Column("ends_at", sa.Double, nullable=False),
    sa.Column("status", sa.String(32), nullable=False),
    sa.Column("content", sa.LargeBinary),  # JSON; null until it is done
)

api_keys = sa.Table(
    "api_keys",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("client", sa.String(64), nullable=False),
    sa.Column("secret_sha256", sa.LargeBinary(32), nullable=False),
    sa.Column("scopes", sa.String(128), nullable=False),  # names with a space between
    sa.Column("channels", sa.Text, nullable=False),  # the same; "" for all
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("expires_at", sa.Double),
    sa.Column("revoked_at", sa.Double),
    sa.Column("rate_per_s", sa.Double),
    sa.Column("per_day", sa.BigInteger),
)

api_key_usage = sa.Table(
    "api_key_usage",
    metadata,
    sa.Column("key", sa.String(32), primary_key=True),
    sa.Column("day", sa.BigInteger, primary_key=True),  # UTC, since the epoch
    sa.Column("calls", sa.BigInteger, nullable=False),  # of all replicas together
)

audit_log = sa.Table(
    "audit_log",
    metadata,
    sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),  # 1, 2, 3 without a gap
    sa.Column("at", sa.Double, nullable=False),
    sa.Column("actor", sa.String(128), nullable=False),
    sa.Column("action", sa.String(64), nullable=False),
    sa.Column("subject", sa.String(256), nullable=False),
    sa.Column("detail", sa.LargeBinary, nullable=False),  # JSON object
    sa.Column("hash", sa.LargeBinary(32), nullable=False),  # over the entry before and this one's fields
)
