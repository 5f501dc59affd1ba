"""The migrations make what `tables.py` says, whole or not at all, and travel with the wheel."""

import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from contracts.store import ALICE, BOB, Place, a_code, a_factor
from neighbours.postgres import PASSWORD, PostgresServer
from pydantic import SecretStr
from sqlalchemy import inspect, text

from broker.authenticate.attempts import Attempts
from broker.challenge.factor import FirstFactor
from broker.errors import ConfigurationError, Unavailable
from broker.storage import StorageSettings, migrate
from broker.storage.database import hashed_key
from broker.storage.tables import metadata

ROOT = Path(__file__).parents[2]


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    if request.param == "sqlite":
        settings = StorageSettings(url=f"sqlite:///{tmp_path}/broker.db")
    else:
        server: PostgresServer = request.getfixturevalue("shared_postgres")
        settings = StorageSettings(url=server.url(server.new_database()), password=SecretStr(PASSWORD))
    place = Place(settings=settings)
    yield place
    place.close()


def test_from_empty_they_make_what_the_tables_say(place: Place) -> None:
    storage = place.open()
    storage.upgrade()
    with storage.database.read("database") as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []
    with storage.database.write("database") as connection:
        connection.exec_driver_sql("DROP INDEX ix_once_ends_at")
        connection.exec_driver_sql("ALTER TABLE people ADD COLUMN nickname TEXT")
        differences = compare_metadata(MigrationContext.configure(connection), metadata)
    assert {difference[0] for difference in differences} == {"add_index", "remove_column"}


def test_indexes_that_hold_only_what_is_filled_are_made_so(place: Place) -> None:
    """Alembic does not compare the conditions of indexes."""
    storage = place.open()
    storage.upgrade()
    with storage.database.read("database") as connection:
        if storage.database.is_sqlite:
            found = connection.exec_driver_sql("SELECT sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL")
        else:
            found = connection.exec_driver_sql("SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'")
        partial = {sql.split()[2] for sql in found.scalars() if "WHERE" in sql}
    expected = {
        index.name
        for index in metadata.tables["trail_links"].indexes
        if index.dialect_options["sqlite"]["where"] is not None
    }
    assert len(expected) > 9
    assert partial == expected


def test_a_failed_upgrade_leaves_nothing_behind(place: Place) -> None:
    storage = place.open()
    with storage.database.write("database") as connection:
        connection.exec_driver_sql("CREATE TABLE snapshots (x INTEGER)")  # stands in the way of the last table
    with pytest.raises(Unavailable):
        storage.upgrade()
    with storage.database.read("database") as connection:
        assert inspect(connection).get_table_names() == ["snapshots"]
    assert storage.current_revision() == ""


def test_a_database_of_a_newer_broker_is_refused(place: Place) -> None:
    storage = place.open()
    storage.upgrade()
    with storage.database.write("database") as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = 'from-tomorrow'")
    with pytest.raises(ConfigurationError, match="newer broker"):
        storage.upgrade()
    with pytest.raises(Unavailable):
        storage.check()
    assert storage.current_revision() == "from-tomorrow"


def test_who_was_reset_before_resets_had_a_time_needs_a_new_code(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    storage, to_revision = place.open(), migrate.command.upgrade
    with monkeypatch.context() as patch:
        patch.setattr(migrate.command, "upgrade", lambda config, _: to_revision(config, "0001"))
        storage.upgrade()
    old = text("INSERT INTO enrolment_codes VALUES ('old', :hashed, 'corp-ad', '', 'g', 9000000000000000, 'root')")
    with storage.database.write("database") as connection:
        connection.exec_driver_sql("INSERT INTO factor_holders (person, was_reset) VALUES ('person-alice', true)")
        connection.exec_driver_sql("INSERT INTO factor_holders (person, was_reset) VALUES ('person-bob', false)")
        connection.execute(old, {"hashed": b"h1"})
    storage.upgrade()
    storage.enrolment.add_code(a_code(b"h2", group="g"))
    assert storage.factors.was_reset(ALICE)
    assert not storage.factors.was_reset(BOB)
    assert storage.factors.add_first_factor(a_factor("a"), code=b"h1") is FirstFactor.CODE_NOT_VALID
    assert storage.factors.add_first_factor(a_factor("b", person=BOB), code=b"h1") is FirstFactor.ADDED
    assert storage.factors.add_first_factor(a_factor("a"), code=b"h2") is FirstFactor.ADDED


def test_the_wheel_carries_them(tmp_path: Path) -> None:
    build = (sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path))
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    needed = {path.relative_to(ROOT).as_posix() for path in migrate.MIGRATIONS.rglob("*.py")}
    assert len(needed) >= 2
    assert needed <= names


def test_failures_from_before_0003_are_ones_in_a_row(place: Place) -> None:
    storage = place.open()
    with storage.database.write("database") as connection:
        config = migrate._config()  # noqa: SLF001 (to an older version than the newest)
        config.attributes["connection"] = connection
        command.upgrade(config, "0002")
        key = hashed_key("alice")
        connection.exec_driver_sql(f"INSERT INTO attempts (key, failures, in_window) VALUES ('{key}', 7, 2)")  # noqa: S608 (our own hash)
    storage.upgrade()
    assert storage.attempts.read("alice") == Attempts(failures=7, in_a_row=7, in_window=2)
