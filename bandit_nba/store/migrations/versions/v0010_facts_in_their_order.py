"""Customers' facts keep the time from which they count, so that an event that comes late changes nothing newer.

What is known so far counts from when it was last changed.
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.add_column("customers", sa.Column("replaced_at", sa.Double))
    op.add_column("customers", sa.Column("told_at", sa.LargeBinary))
    op.execute("UPDATE customers SET replaced_at = updated_at")
