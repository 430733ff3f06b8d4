"""SQLite and PostgreSQL: connections, statements as they are, what errors mean."""
