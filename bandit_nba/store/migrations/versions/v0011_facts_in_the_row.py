"""A decision's facts stand in its row: a table of their own had two more trees to change for each decision."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.add_column("decisions", sa.Column("facts", sa.LargeBinary))
    op.execute(
        "UPDATE decisions SET facts = (SELECT facts FROM decision_facts WHERE decision = decisions.id)"
        " WHERE id IN (SELECT decision FROM decision_facts)"
    )
    op.drop_table("decision_facts")
