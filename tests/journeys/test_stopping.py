"""A server that is stopped, or killed, in the middle of handing out credentials."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from http.client import HTTPException
from typing import Any

import pytest
from journeys.place import READ, REGIONS, SLOW, Place, Served, served
from journeys.visitor import Visitor, with_app
from neighbours._waiting import wait_until

from broker.app import Stand, open_broker
from broker.clock import utc_now
from broker.record.finding import Kind, Report
from broker.record.verify import verify
from broker.sandbox.browser import Page
from broker.sandbox.sts import SandboxSts
from broker.sandbox.sts.client import caller_identity

NO_LONGER_ALIVE = timedelta(minutes=10)
"""After so long a chain that was not closed cannot be one of a running process."""


@pytest.fixture
def where(place: Callable[..., Place]) -> Place:
    return place(audit={"stdout": "required"})


@pytest.fixture
def carol(where: Place) -> Visitor:
    broker = open_broker(where.settings(), Stand(lines=False))
    try:
        return with_app(broker, "carol", where.settings().server.url)
    finally:
        broker.close()


@contextmanager
def in_flight(server: Served, visitor: Visitor, sts: SandboxSts) -> Iterator[Future[Page]]:
    """A lease that has been decided and waits for STS."""
    sts.delay = 3
    before = len(tagged(server, "credentials:decided"))
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(visitor.lease, READ)
        wait_until(lambda: len(tagged(server, "credentials:decided")) > before, "nothing was decided", seconds=SLOW)
        yield answer
    sts.delay = 0


def tagged(server: Served, tag: str) -> list[dict[str, Any]]:
    return [event for event in server.events() if event["tag"] == tag]


def verified(where: Place, *, later: timedelta) -> Report:
    """By the database alone, without anchors."""
    broker = open_broker(where.settings(), Stand(lines=False))
    try:
        return verify(broker.storage.trail, broker.keyring, now=utc_now() + later)
    finally:
        broker.close()


def test_a_server_that_is_stopped_answers_what_it_has_begun_and_closes_its_chains(
    where: Place, carol: Visitor, sts: SandboxSts
) -> None:
    workers = where.settings().server.workers
    with served(where) as server:
        wait_until(lambda: len(tagged(server, "broker:started")) == workers, "a worker does not start", seconds=SLOW)
        assert carol.sign_in().lease(READ).status == 200
        with in_flight(server, carol, sts) as answer:
            assert server.terminate() == 0
            page = answer.result()
        assert page.status == 200, page.text
        assert caller_identity(sts.url, REGIONS[0], page.json()["credentials"]).endswith("/ReadOnly/carol")
        issued = [event["access_key_id"] for event in tagged(server, "credentials:issued")]
        assert page.json()["credentials"]["AccessKeyId"] in issued
    writers, closed = ends_of(server)
    assert len(writers) == workers
    assert closed == writers
    report = verified(where, later=NO_LONGER_ALIVE)
    assert report.intact
    assert not report.findings
    told = where.command("audit", "verify", "--anchor", str(server.lines))
    assert (told.exit_code, told.stdout.split(":")[0]) == (0, "intact"), told.output


def ends_of(server: Served) -> tuple[set[str], set[str]]:
    """The chains in the lines, and those that were closed in order."""
    audits = [json.loads(line)["audit"] for line in server.lines.read_text(encoding="utf-8").splitlines()]
    writers = {audit["link"]["writer"] for audit in audits if "link" in audit}
    return writers, {audit["head"]["writer"] for audit in audits if "head" in audit and audit["head"]["closed"]}


def test_a_server_that_is_killed_has_handed_out_nothing_unrecorded_and_leaves_doubts_only(
    where: Place, carol: Visitor, sts: SandboxSts
) -> None:
    with served(where) as server:
        first = carol.sign_in().lease(READ).json()
        with in_flight(server, carol, sts) as answer:
            server.kill()
            with pytest.raises((OSError, HTTPException)):
                answer.result()
        issued = [event["access_key_id"] for event in tagged(server, "credentials:issued")]
        assert issued == [first["credentials"]["AccessKeyId"]]
        assert len(tagged(server, "credentials:decided")) == 2

    report = verified(where, later=NO_LONGER_ALIVE)
    assert report.intact
    assert {finding.kind for finding in report.findings} == {Kind.NOT_CLOSED}
    told = where.command("audit", "verify", "--anchor", str(server.lines))
    assert (told.exit_code, told.stdout.split(":")[0]) == (0, "intact"), told.output

    with served(where) as again:
        assert carol.lease(READ).status == 200, "in the same session"
        assert len(tagged(again, "credentials:issued")) == 1
    assert verified(where, later=NO_LONGER_ALIVE).intact
