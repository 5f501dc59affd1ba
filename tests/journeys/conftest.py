"""The neighbours that journeys share: a domain, an STS, and one household of two broker instances."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from journeys.domain import SHARED, domain_at, group_ids
from journeys.household import Household, household
from journeys.live import Live
from journeys.live import live as live_broker
from journeys.place import Place, Section, furnish, sandbox_sts
from neighbours.postgres import PostgresServer
from neighbours.redis import RedisServer
from neighbours.samba import SambaImage, SambaServer

from broker.sandbox.sts import AccessKey, SandboxSts, new_access_key


@pytest.fixture(scope="session")
def domain(samba_image: SambaImage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SambaServer]:
    """A domain in which every test has people of its own; nobody stops it."""
    with domain_at(samba_image, tmp_path_factory.mktemp("domain"), SHARED) as server:
        yield server


@pytest.fixture(scope="session")
def groups(domain: SambaServer) -> Mapping[str, str]:
    """The ids of the groups that the mapping names; they are the same in each restored domain."""
    return group_ids(domain, "aws-readers", "aws-admins")


@pytest.fixture(scope="session")
def key() -> AccessKey:
    """The broker's own."""
    return new_access_key()


@pytest.fixture
def sts(key: AccessKey) -> Iterator[SandboxSts]:
    """A strict STS of a test's own."""
    with sandbox_sts(key) as server:
        yield server


@pytest.fixture
def place(
    domain: SambaServer, groups: Mapping[str, str], sts: SandboxSts, key: AccessKey, tmp_path: Path
) -> Callable[..., Place]:
    """Makes a broker's folder beside the shared domain and the test's own STS."""

    def make(**sections: Section) -> Place:
        return furnish(tmp_path / "broker", sts=sts.url, key=key, domain=domain, groups=groups, **sections)

    return make


@pytest.fixture(scope="session")
def house(
    domain: SambaServer,
    groups: Mapping[str, str],
    key: AccessKey,
    shared_postgres: PostgresServer,
    shared_redis: RedisServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Household]:
    """Two instances over PostgreSQL and Redis; every test has people of its own in them."""
    folder = tmp_path_factory.mktemp("household") / "broker"
    with household(
        folder, domain=domain, groups=groups, key=key, postgres=shared_postgres, redis=shared_redis
    ) as running:
        yield running


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """The demo's broker with people of our own, for browsers."""
    with live_broker(tmp_path_factory.mktemp("live")) as running:
        yield running
