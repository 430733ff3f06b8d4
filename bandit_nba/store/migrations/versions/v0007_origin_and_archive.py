"""Decisions say which log from elsewhere they were imported from, and on which day's files of the archive they lie."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.add_column("decisions", sa.Column("origin", sa.String(64)))
    op.add_column("decisions", sa.Column("archived_on", sa.String(10)))
