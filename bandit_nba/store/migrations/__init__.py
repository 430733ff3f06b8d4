"""How older schemas become today's: one small file per change under `versions`, run by `store.migrate`.

A change of the schema is two things in one commit: the table as it is from now on in `store.tables`, and a new file
`versions/vNNNN_what.py` with `revision = "NNNN"`, one above the highest, and `down_revision` naming the one before.
Its `upgrade` must work on SQLite and PostgreSQL; where SQLite cannot alter a column, use `op.batch_alter_table`.
Everything from the oldest revision to the newest runs in one transaction, and there is no way back: a backup is.
"""
