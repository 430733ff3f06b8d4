"""Why decisions were quarantined and what became of them; what became of outcomes; models trained in bulk."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "quarantined_decisions",
        sa.Column("decision", sa.String(256), primary_key=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("reason", sa.String(64), nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("tries", sa.BigInteger, nullable=False),
        sa.Column("changed_at", sa.Double),
        sa.Column("changed_by", sa.String(128), nullable=False),
    )
    op.create_table(
        "trained_models",
        sa.Column("version", sa.String(32), primary_key=True),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("who", sa.String(128), nullable=False),
        sa.Column("why", sa.Text, nullable=False),
    )
    op.create_table(
        "outcome_counts",
        sa.Column("fate", sa.String(32), primary_key=True),
        sa.Column("shard", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("count", sa.BigInteger, nullable=False),
    )
    op.execute(
        "INSERT INTO quarantined_decisions (decision, state, reason, error, at, tries, changed_by)"
        " SELECT id, 'held', 'unknown', 'found before reasons were kept', matures_at, 1, '' FROM decisions"
        " WHERE learned_in = 'quarantined'"
    )
