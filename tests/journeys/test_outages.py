"""A neighbour is away: what that stops, that nothing is granted wrongly meanwhile, and that it comes back."""

import json
import os
import resource
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from journeys import domain as ad
from journeys.place import (
    ADMIN,
    READ,
    REGIONS,
    SLOW,
    MovableClock,
    Place,
    Running,
    assumed,
    furnish,
    in_postgres,
    probe,
    running,
    served,
)
from journeys.visitor import Visitor, holds_credentials, with_app
from neighbours._waiting import free_port, wait_until
from neighbours.postgres import PASSWORD as DATABASE_PASSWORD
from neighbours.postgres import PostgresServer
from neighbours.redis import RedisServer
from neighbours.samba import SambaImage

from broker.app import Stand, open_broker
from broker.flow.parts import Parts
from broker.issue.assume_role import AssumeRole
from broker.record.event import Tag
from broker.record.finding import Report
from broker.record.trail import Query
from broker.record.verify import verify
from broker.sandbox.browser import Page
from broker.sandbox.sts import AccessKey, SandboxSts
from broker.settings import Settings

MINUTE = timedelta(minutes=1)

MakePlace = Callable[..., Place]


def assert_not_now(page: Page) -> None:
    """A 503 that says when to come back, with nothing in it that AWS would take."""
    assert page.status == 503, (page.status, page.text)
    assert not holds_credentials(page)
    assert 0 < int(page.headers["retry-after"]) <= 60


def comes_back(visitor: Visitor, role: str = READ) -> None:
    """At the latest when a breaker lets the next request through."""
    wait_until(lambda: visitor.lease(role).status == 200, "it does not come back", seconds=SLOW)


def reasons(broker: Running) -> list[str]:
    """Why credentials failed, the newest first."""
    failed = broker.broker.storage.trail.search(Query(tag=Tag.CREDENTIALS_FAILED), limit=10)
    return [json.loads(link.payload or "")["reason"] for link in failed]


def verified(broker: Running) -> Report:
    return verify(broker.broker.storage.trail, broker.broker.keyring, now=MovableClock()())


# the directory


def test_without_a_domain_controller_nobody_signs_in_and_who_is_in_goes_on_for_the_grace(
    samba_image: SambaImage, key: AccessKey, sts: SandboxSts, groups: Mapping[str, str], tmp_path: Path
) -> None:
    folder = tmp_path / "domain"
    folder.mkdir()
    with ExitStack() as stack:
        up = stack.enter_context(ExitStack())
        domain = up.enter_context(ad.domain_at(samba_image, folder, ad.OWN))
        ad.join(domain, "ada", "aws-admins")
        place = furnish(
            tmp_path / "broker",
            sts=sts.url,
            key=key,
            domain=domain,
            groups=groups,
            provider={"connect_timeout": 1, "receive_timeout": 1},
            directory={"outage_grace": "5m", "outage_grace_of_role": {"admin": "0s"}},
        )
        broker = stack.enter_context(running(place))
        ada = with_app(broker.broker, "ada", broker.url).sign_in()
        boris = with_app(broker.broker, "boris", broker.url)
        assert (ada.lease(READ).status, ada.lease(ADMIN).status) == (200, 200)
        boris.open()
        up.close()

        assert_not_now(boris.send_password())
        assert ada.lease(READ).status == 200, "what was read within the minute is fresh"
        broker.clock.on(2 * MINUTE)
        assert ada.lease(READ).status == 200, "within the grace"
        assert_not_now(ada.lease(ADMIN))  # a role without any
        broker.clock.on(4 * MINUTE)
        before = len(assumed(sts))
        assert_not_now(ada.lease(READ))
        assert len(assumed(sts)) == before
        assert (probe(broker.url, "/readyz"), probe(broker.url, "/healthz")) == (200, 200), "degraded, and still of use"

        ad.age_password(folder, "ada")
        stack.enter_context(ad.domain_at(samba_image, folder, ad.OWN))
        comes_back(ada)
        comes_back(ada, ADMIN)


# Redis and PostgreSQL


def test_without_redis_nothing_is_granted_anywhere(place: MakePlace, sts: SandboxSts, own_redis: RedisServer) -> None:
    storage = {"url": "sqlite:///broker.db", "short_lived": own_redis.url}
    with running(place(storage=storage)) as broker:
        carol, boris = (with_app(broker.broker, name, broker.url) for name in ("carol", "boris"))
        assert carol.sign_in().lease(READ).status == 200
        boris.open()
        own_redis.stop()
        before = len(assumed(sts))
        assert_not_now(carol.lease(READ))
        assert_not_now(carol.browser.get("/"))
        assert_not_now(carol.whoami())
        assert_not_now(boris.send_password())
        assert (probe(broker.url, "/readyz"), probe(broker.url, "/healthz")) == (503, 200)
        assert len(assumed(sts)) == before
        own_redis.start()
        assert carol.lease(READ).status in {400, 401}, "its memory is gone, and the session with it"
        assert carol.sign_in().lease(READ).status == 200
        wait_until(lambda: probe(broker.url, "/readyz") == 200, "it is not ready again", seconds=SLOW)


def test_without_postgresql_nothing_is_granted_and_the_session_lives_on_afterwards(
    place: MakePlace, sts: SandboxSts, own_postgres: PostgresServer
) -> None:
    with running(place(storage=in_postgres(own_postgres, own_postgres.new_database()))) as broker:
        carol, boris = (with_app(broker.broker, name, broker.url) for name in ("carol", "boris"))
        assert carol.sign_in().lease(READ).status == 200
        boris.open()
        own_postgres.stop()
        before = len(assumed(sts))
        assert_not_now(carol.lease(READ))
        assert_not_now(boris.send_password())
        assert (probe(broker.url, "/readyz"), probe(broker.url, "/healthz")) == (503, 200)
        assert len(assumed(sts)) == before
        own_postgres.start()
        comes_back(carol)
        assert boris.sign_in().lease(READ).status == 200
        assert verified(broker).intact


# STS


def test_without_sts_there_are_no_credentials_and_the_trail_says_why(place: MakePlace, sts: SandboxSts) -> None:
    with running(place()) as broker:
        carol = with_app(broker.broker, "carol", broker.url).sign_in()
        sts.down()
        assert_not_now(carol.lease(READ))
        assert reasons(broker) == ["unavailable"]
        assert carol.roles() == {READ: "now"}, "pages and roles go on"
        sts.up()
        comes_back(carol)


def test_a_throttled_sts_is_asked_in_the_next_region_and_then_reads_as_away(place: MakePlace, sts: SandboxSts) -> None:
    with running(place()) as broker:
        carol = with_app(broker.broker, "carol", broker.url).sign_in()
        assert carol.lease(READ).json()["region"] == REGIONS[0]
        sts.fail_next("Throttling", status=400, times=1)
        assert carol.lease(READ).json()["region"] == REGIONS[1]
        sts.fail_next("Throttling", status=400, times=2 * len(REGIONS))
        assert_not_now(carol.lease(READ))
        assert reasons(broker) == ["unavailable"]
        assert carol.lease(READ).json()["region"] == REGIONS[0]


def test_a_silent_sts_ends_within_the_budget(place: MakePlace, sts: SandboxSts) -> None:
    with running(place(aws={"connect_timeout": "1s", "read_timeout": "1s", "budget": "4s"})) as broker:
        carol = with_app(broker.broker, "carol", broker.url).sign_in()
        assert carol.lease(READ).status == 200
        sts.delay = 3
        assert_not_now(carol.lease(READ))
        sts.delay = 0
        comes_back(carol)


def test_where_one_region_is_away_the_next_one_answers(place: MakePlace, sts: SandboxSts) -> None:
    def one_is_away(parts: Parts, settings: Settings) -> Parts:
        endpoints = {REGIONS[0]: f"http://127.0.0.1:{free_port()}", REGIONS[1]: sts.url}
        return replace(parts, issuer=AssumeRole(settings.aws, clock=parts.clock, endpoint_url=endpoints))

    with running(place(), change=one_is_away) as broker:
        carol = with_app(broker.broker, "carol", broker.url).sign_in()
        assert carol.lease(READ).json()["region"] == REGIONS[1]


# the audit trail


@pytest.fixture
def guarded(place: MakePlace, shared_postgres: PostgresServer) -> tuple[Place, Callable[[str], object]]:
    """A broker's place over a database whose user is no superuser, and a way to run SQL there as one."""
    database = shared_postgres.new_database()
    role = f"keeper_of_{database}"

    def sql(statement: str) -> object:
        with shared_postgres.connect(database) as connection:
            return connection.execute(statement.format(role=role))

    sql(f"CREATE ROLE {{role}} LOGIN PASSWORD '{DATABASE_PASSWORD.replace(chr(39), chr(39) * 2)}'")
    sql(f"ALTER DATABASE {database} OWNER TO {{role}}")
    storage = in_postgres(shared_postgres, database)
    return place(storage={**storage, "url": storage["url"].replace("//broker@", f"//{role}@")}), sql


def test_a_trail_that_may_not_be_written_stops_sign_ins_and_credentials(
    guarded: tuple[Place, Callable[[str], object]], sts: SandboxSts
) -> None:
    place, sql = guarded
    with running(place) as broker:
        carol, boris = (with_app(broker.broker, name, broker.url) for name in ("carol", "boris"))
        assert carol.sign_in().lease(READ).status == 200
        sql("REVOKE INSERT ON trail_links FROM {role}")
        before = len(sts.calls)
        assert_not_now(carol.lease(READ))
        assert_not_now(boris.show_password())
        assert boris.whoami().status == 401
        assert len(sts.calls) == before, "decided but not written down: AWS must not be asked"
        sql("GRANT INSERT ON trail_links TO {role}")
        comes_back(carol)
        assert verified(broker).intact


def test_credentials_whose_issue_cannot_be_written_down_do_not_leave(
    guarded: tuple[Place, Callable[[str], object]], sts: SandboxSts
) -> None:
    """The disk fills up between the decision and the issue."""
    place, sql = guarded
    with running(place) as broker:
        carol = with_app(broker.broker, "carol", broker.url).sign_in()
        sql(
            "CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE 'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$"
        )
        sql(
            "CREATE TRIGGER no_room BEFORE INSERT ON trail_links FOR EACH ROW "
            "WHEN (NEW.tag = 'credentials:issued') EXECUTE FUNCTION no_room()"
        )
        assert_not_now(carol.lease(READ))
        assert len(assumed(sts)) == 1, "AWS had given them already"
        trail = broker.broker.storage.trail
        assert len(trail.search(Query(tag=Tag.CREDENTIALS_DECIDED), limit=10)) == 1
        assert not trail.search(Query(tag=Tag.CREDENTIALS_ISSUED), limit=10)
        sql("DROP TRIGGER no_room ON trail_links")
        comes_back(carol)
        assert verified(broker).intact


@contextmanager
def no_room_beyond(size: int) -> Iterator[None]:
    """No file of this process grows beyond `size`: what SQLite meets on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_under_sqlite_stops_credentials_until_there_is_room_again(
    place: MakePlace, sts: SandboxSts
) -> None:
    where = place()
    with running(where) as broker:
        carol = with_app(broker.broker, "carol", broker.url).sign_in()
        assert carol.lease(READ).status == 200
        with no_room_beyond((where.folder / "broker.db-wal").stat().st_size):
            before = len(sts.calls)
            assert_not_now(carol.lease(READ))
            assert len(sts.calls) == before
        comes_back(carol)
        assert verified(broker).intact


def test_a_log_collector_that_has_gone_stops_credentials_where_its_lines_are_required(
    place: MakePlace, sts: SandboxSts
) -> None:
    where = place(audit={"stdout": "required"}, server={"workers": 1})
    collector, stdout = os.pipe()
    operator = open_broker(where.settings(), Stand(lines=False))
    try:
        carol = with_app(operator, "carol", where.settings().server.url)
    finally:
        operator.close()
    with served(where, stdout=stdout):
        os.close(stdout)
        assert carol.sign_in().lease(READ).status == 200
        assert b'"tag":"credentials:issued"' in os.read(collector, 1 << 20)
        os.close(collector)
        before = len(sts.calls)
        assert_not_now(carol.lease(READ))
        assert len(sts.calls) == before
        assert_not_now(Visitor("boris", carol.url).show_password())
    with served(where):
        assert carol.lease(READ).status == 200, "with a collector again, in the same session"
