"""A real redis-server on a free loopback port, without persistence; as many as a test needs."""

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import redis

from neighbours import need
from neighbours._waiting import free_port, wait_until


@dataclass
class RedisServer:
    """A server that can be stopped and started again on the same port; its data is then gone."""

    directory: Path
    arguments: tuple[str, ...] = ()
    port: int = field(default_factory=free_port)
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def client(self) -> redis.Redis:
        return redis.Redis(host="127.0.0.1", port=self.port, decode_responses=True)

    def start(self) -> None:
        program = need("redis-server", "redis-server")
        options = ("--bind", "127.0.0.1", "127.0.0.10", "--port", str(self.port), "--save", "", "--appendonly", "no")
        command = (program, *options, "--dir", str(self.directory), "--repl-diskless-sync-delay", "0", *self.arguments)
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        wait_until(self._accepts, "redis-server does not answer")

    def _accepts(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, "redis-server ended at once"
        with socket.socket() as probe:
            probe.settimeout(1)
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def follow(self, master: "RedisServer") -> None:
        """Become a replica, and wait until the data is here."""
        with self.client() as client:
            client.replicaof("127.0.0.1", master.port)
            wait_until(lambda: client.info("replication").get("master_link_status") == "up", "no replication")

    def promote(self) -> None:
        """Become a master, as Sentinel would order."""
        with self.client() as client:
            client.replicaof("NO", "ONE")


@contextmanager
def redis_server(directory: Path, *arguments: str) -> Iterator[RedisServer]:
    server = RedisServer(directory=directory, arguments=arguments)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def shared_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """One for all tests that only read and write; each takes a prefix of its own."""
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """One for a test that stops it or changes its settings."""
    with redis_server(tmp_path) as server:
        yield server
