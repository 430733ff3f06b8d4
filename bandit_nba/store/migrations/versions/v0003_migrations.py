"""From here on the revision stands in a table of its own; releases that do not know it see a newer version."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.execute("UPDATE meta SET value = '3' WHERE name = 'schema_version'")
