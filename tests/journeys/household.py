"""Two instances of the broker under gunicorn, over one PostgreSQL and one Redis, beside a real AD domain."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from journeys.place import Place, Served, furnish, in_postgres, sandbox_sts, served, settle
from journeys.visitor import Visitor, with_app
from neighbours._waiting import free_port
from neighbours.postgres import PostgresServer
from neighbours.redis import RedisServer
from neighbours.samba import SambaServer

from broker.app import Stand, open_broker
from broker.sandbox.sts import AccessKey, SandboxSts


@dataclass(frozen=True, slots=True, kw_only=True)
class Household:
    """`one` has two workers, `two` has one and an address of its own; all else they share."""

    place: Place
    postgres: PostgresServer
    database: str
    sts: SandboxSts
    one: Served
    two: Served

    def visitor(self, name: str) -> Visitor:
        """Somebody whose app is set up, before the first instance."""
        broker = open_broker(self.place.settings(), Stand(lines=False))
        try:
            return with_app(broker, name, self.one.url)
        finally:
            broker.close()

    def at_two(self, visitor: Visitor) -> Visitor:
        """The same person with the same cookies, before the second instance."""
        other = Visitor(visitor.name, self.two.url, app=visitor.app, password=visitor.password)
        other.browser.cookies.update(visitor.browser.cookies)
        return other

    def events(self) -> list[dict[str, Any]]:
        """What both have written down."""
        return [*self.one.events(), *self.two.events()]


@contextmanager
def household(
    folder: Path,
    *,
    domain: SambaServer,
    groups: Mapping[str, str],
    key: AccessKey,
    postgres: PostgresServer,
    redis: RedisServer,
) -> Iterator[Household]:
    """Both running, with the lines of both kept."""
    database = postgres.new_database()
    with ExitStack() as stack:
        sts = stack.enter_context(sandbox_sts(key))
        sections = {"storage": in_postgres(postgres, database, redis), "audit": {"stdout": "required"}}
        settle(redis, sections["storage"])
        place = furnish(folder, sts=sts.url, key=key, domain=domain, groups=groups, **sections)
        other = f"http://localhost:{free_port()}"
        overlay = {
            "SERVER__URL": other,
            "SERVER__BIND": other.removeprefix("http://"),
            "SERVER__WORKERS": "1",
            "SERVER__THREADS": "8",
        }
        one = stack.enter_context(served(place))
        two = stack.enter_context(served(place, overlay=overlay))
        yield Household(place=place, postgres=postgres, database=database, sts=sts, one=one, two=two)
        for server in (one, two):  # both at once: each takes its time to close what is kept open
            server.process.terminate()
