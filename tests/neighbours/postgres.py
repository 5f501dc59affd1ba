"""A real PostgreSQL on a loopback port and a Unix socket: one cluster a session, as many databases as there are tests.

The server refuses to run as root; then it runs as the user `postgres` that Debian's package makes.
"""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import psycopg
import pytest

from neighbours import need
from neighbours._waiting import free_port, wait_until

PACKAGE = "postgresql-15"
PASSWORD = "a test's password"


@dataclass
class PostgresServer:
    """A cluster with a superuser `broker`."""

    directory: Path
    port: int = field(default_factory=free_port)
    process: "subprocess.Popen[bytes] | None" = None
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://broker@127.0.0.1:{self.port}/{database}"

    def connect(self, database: str = "postgres") -> "psycopg.Connection[tuple[object, ...]]":
        return psycopg.connect(
            host="127.0.0.1", port=self.port, user="broker", password=PASSWORD, dbname=database, autocommit=True
        )

    def new_database(self, template: str = "template1") -> str:
        name = f"broker_{next(self.numbers)}"
        with self.connect() as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    def initialise(self) -> None:
        password = self.directory / "password"
        password.write_text(PASSWORD)
        _give_away(self.directory, password)
        options = (
            "-U",
            "broker",
            "-A",
            "scram-sha-256",
            f"--pwfile={password}",
            "-E",
            "UTF8",
            "--locale=C",
            "--no-sync",
        )
        command = (*_as_another(), need("initdb", PACKAGE), "-D", str(self.directory / "data"), *options)
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    def start(self) -> None:
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": self.directory,
            "fsync": "off",
            "full_page_writes": "off",
            "shared_buffers": "16MB",
            "max_connections": 100,
            "log_min_messages": "panic",
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        command = (*_as_another(), need("postgres", PACKAGE), "-D", str(self.directory / "data"), *options)
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(self._answers, "PostgreSQL does not answer", seconds=30)

    def _answers(self) -> bool:
        try:
            self.connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGINT)  # "fast": ends all connections
            self.process.wait()
            self.process = None


def _as_another() -> tuple[str, ...]:
    if os.geteuid() != 0:
        return ()
    return (need("setpriv", "util-linux"), "--reuid=postgres", "--regid=postgres", "--init-groups", "--")


def _give_away(*paths: Path) -> None:
    if os.geteuid() == 0:
        for path in paths:
            shutil.chown(path, "postgres", "postgres")


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    need("postgres", PACKAGE)
    with tempfile.TemporaryDirectory(prefix="broker-postgres-") as directory:  # short: a socket's path is limited
        server = PostgresServer(directory=Path(directory))
        server.initialise()
        server.start()
        try:
            yield server
        finally:
            server.stop()


@pytest.fixture(scope="session")
def shared_postgres() -> Iterator[PostgresServer]:
    """One for all tests that only read and write; each takes a database of its own."""
    with postgres_server() as server:
        yield server


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    """One for a test that stops it."""
    with postgres_server() as server:
        yield server
