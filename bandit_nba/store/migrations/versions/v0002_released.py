"""The schema as it was released before there were migrations: version 2."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "contact_versions",
        sa.Column("customer", sa.String(length=64), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("customer"),
    )
    op.create_table(
        "customers",
        sa.Column("customer", sa.String(length=64), nullable=False),
        sa.Column("profile", sa.LargeBinary(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("customer"),
    )
    op.create_table(
        "decision_facts",
        sa.Column("decision", sa.String(length=256), nullable=False),
        sa.Column("facts", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("decision"),
    )
    op.create_table(
        "decisions",
        sa.Column("id", sa.String(length=256), nullable=False),
        sa.Column("customer", sa.String(length=64), nullable=False),
        sa.Column("channel", sa.String(length=64), nullable=False),
        sa.Column("decided_at", sa.Double(), nullable=False),
        sa.Column("valid_until", sa.Double(), nullable=False),
        sa.Column("matures_at", sa.Double(), nullable=False),
        sa.Column("activate_by", sa.Double(), nullable=True),
        sa.Column("activated_at", sa.Double(), nullable=True),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("arm", sa.String(length=256), nullable=False),
        sa.Column("propensity", sa.Double(), nullable=True),
        sa.Column("arms", sa.LargeBinary(), nullable=False),
        sa.Column("probabilities", sa.LargeBinary(), nullable=False),
        sa.Column("expected_rewards", sa.LargeBinary(), nullable=False),
        sa.Column("removed", sa.LargeBinary(), nullable=False),
        sa.Column("catalogue_version", sa.String(length=32), nullable=False),
        sa.Column("policy_version", sa.String(length=32), nullable=False),
        sa.Column("feature_version", sa.String(length=32), nullable=False),
        sa.Column("reward_version", sa.String(length=32), nullable=False),
        sa.Column("model_version", sa.String(length=32), nullable=False),
        sa.Column("salt_id", sa.String(length=32), nullable=False),
        sa.Column("component", sa.String(length=64), nullable=False),
        sa.Column("component_share", sa.Double(), nullable=True),
        sa.Column("component_probabilities", sa.LargeBinary(), nullable=True),
        sa.Column("assignment", sa.String(length=16), nullable=False),
        sa.Column("experiment", sa.String(length=64), nullable=False),
        sa.Column("shadow", sa.LargeBinary(), nullable=True),
        sa.Column("support", sa.Boolean(), nullable=False),
        sa.Column("payload_sha256", sa.LargeBinary(length=32), nullable=False),
        sa.Column("answer", sa.LargeBinary(), nullable=False),
        sa.Column("slate", sa.LargeBinary(), nullable=True),
        sa.Column("inline_actions", sa.LargeBinary(), nullable=True),
        sa.Column("picked", sa.String(length=256), nullable=True),
        sa.Column("picked_at", sa.Double(), nullable=True),
        sa.Column("learned_in", sa.String(length=32), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("decisions_by_customer", "decisions", ["customer", "decided_at"], unique=False)
    op.create_index("decisions_by_time", "decisions", ["decided_at", "id"], unique=False)
    op.create_index(
        "decisions_teaching_nothing",
        "decisions",
        ["learned_in", "kind"],
        unique=False,
        sqlite_where=sa.text("learned_in IN ('never', 'quarantined', 'overridden')"),
        postgresql_where=sa.text("learned_in IN ('never', 'quarantined', 'overridden')"),
    )
    op.create_index(
        "decisions_to_activate",
        "decisions",
        ["activate_by"],
        unique=False,
        sqlite_where=sa.text("learned_in IS NULL AND activated_at IS NULL AND activate_by IS NOT NULL"),
        postgresql_where=sa.text("learned_in IS NULL AND activated_at IS NULL AND activate_by IS NOT NULL"),
    )
    op.create_index(
        "decisions_to_learn",
        "decisions",
        ["matures_at", "id", "learned_in"],
        unique=False,
        sqlite_where=sa.text("learned_in IS NULL"),
        postgresql_where=sa.text("learned_in IS NULL"),
    )
    op.create_table(
        "definitions",
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("version", sa.String(length=32), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "version"),
    )
    op.create_table(
        "in_force",
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("version", sa.String(length=32), nullable=False),
        sa.Column("since", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("kind"),
    )
    op.create_table(
        "leases",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("holder", sa.String(length=64), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "meta",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "models",
        sa.Column("version", sa.String(length=32), nullable=False),
        sa.Column("serial", sa.BigInteger(), nullable=False),
        sa.Column("manifest", sa.LargeBinary(), nullable=False),
        sa.Column("model", sa.LargeBinary(), nullable=True),
        sa.Column("sparse", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("version"),
        sa.UniqueConstraint("serial"),
    )
    op.create_table(
        "outcomes",
        sa.Column("id", sa.String(length=256), nullable=False),
        sa.Column("decision", sa.String(length=256), nullable=True),
        sa.Column("customer", sa.String(length=64), nullable=True),
        sa.Column("type", sa.String(length=64), nullable=False),
        sa.Column("amount", sa.Double(), nullable=True),
        sa.Column("occurred_at", sa.Double(), nullable=True),
        sa.Column("received_at", sa.Double(), nullable=False),
        sa.Column("payload_sha256", sa.LargeBinary(length=32), nullable=False),
        sa.Column("slot", sa.String(length=64), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("outcomes_by_customer", "outcomes", ["customer", "received_at"], unique=False)
    op.create_index("outcomes_by_decision", "outcomes", ["decision"], unique=False)
    op.create_table(
        "overrides",
        sa.Column("decision", sa.String(length=256), nullable=False),
        sa.Column("arm", sa.String(length=256), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("employee", sa.String(length=64), nullable=False),
        sa.Column("overridden_at", sa.Double(), nullable=False),
        sa.Column("shown", sa.LargeBinary(), nullable=False),
        sa.Column("payload_sha256", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("decision"),
    )
    op.execute("INSERT INTO meta (name, value) VALUES ('schema_version', '2')")
