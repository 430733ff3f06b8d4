"""Events about customers that have changed a profile already, so that each does so once."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.create_table(
        "customer_events",
        sa.Column("id", sa.String(256), primary_key=True),
        sa.Column("customer", sa.String(64), nullable=False),
        sa.Column("type", sa.String(64), nullable=False),
        sa.Column("occurred_at", sa.Double),
        sa.Column("received_at", sa.Double, nullable=False),
        sa.Column("payload_sha256", sa.LargeBinary(32), nullable=False),
    )
    op.create_index("customer_events_by_customer", "customer_events", ["customer"])
