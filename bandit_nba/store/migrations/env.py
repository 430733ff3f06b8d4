"""Run by Alembic: the revisions that are missing, on the connection and in the transaction of `store.migrate`."""

from alembic import context

from bandit_nba.store.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, transactional_ddl=True)
context.run_migrations()
