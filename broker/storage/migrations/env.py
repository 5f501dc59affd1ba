# noqa: INP001 (Alembic loads this file by its path; it is no module of the package)
"""How Alembic runs our migrations: on the connection, and in the transaction, that `storage.migrate` gives it."""

from alembic import context

from broker.storage.tables import metadata

if hasattr(context, "config"):  # not so when a tool imports every file it finds
    context.configure(
        connection=context.config.attributes["connection"], target_metadata=metadata, transactional_ddl=True
    )
    with context.begin_transaction():
        context.run_migrations()
