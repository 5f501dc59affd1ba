"""Where things are kept: SQLite by default, PostgreSQL; Redis for what is short-lived.

Owns: tables, migrations, statements, and the Redis keys. Implements the protocols that the stages define:
`FactorStore`, `EnrolmentStore` (challenge), `AttemptStore` (authenticate), `PeopleStore`, `SessionStore` (sessions),
`TrailStore` (record), `SnapshotStore` (entitle). Does not own: any rule. Only `app.py` imports it.
"""
