"""The schema's versions: Alembic migrations, packaged in `migrations/` and run by the broker itself."""

from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import text

from broker.errors import ConfigurationError, Problem
from broker.storage.database import Database

MIGRATIONS = Path(__file__).parent / "migrations"
UPGRADE_LOCK = 0x62726F6B  # any number of our own, so that two instances of the broker do not upgrade at once


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config


@cache
def newest_revision() -> str:
    """The version that this broker needs."""
    return ScriptDirectory(str(MIGRATIONS)).get_current_head() or ""


def current_revision(database: Database) -> str:
    """The version of the database; empty when nothing is in it yet."""
    with database.read("database") as connection:
        return MigrationContext.configure(connection).get_current_revision() or ""


def upgrade(database: Database) -> None:
    """Bring the schema to the newest version in one transaction: whole or not at all.

    Raises `ConfigurationError` when a newer broker was here before, `errors.Unavailable` when the database is away.
    """
    config = _config()
    try:
        with database.write("database") as connection:
            if not database.is_sqlite:
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": UPGRADE_LOCK})
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except CommandError as error:
        problem = Problem(
            where="storage.url",
            what="the database has a version that this broker does not know",
            remedy="run the newer broker, or restore the backup that was made before the upgrade",
        )
        raise ConfigurationError([problem]) from error
