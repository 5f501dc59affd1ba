"""After the sign-in: what changes in the directory counts within a minute, and nothing that was shown before helps."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from contracts.cast import PASSWORD
from journeys import domain as ad
from journeys.place import READ, SLOW, Place, assumed, running
from journeys.visitor import holds_credentials, with_app
from neighbours._waiting import wait_until
from neighbours.samba import SambaServer

from broker.record.event import Tag
from broker.record.trail import Query
from broker.sandbox.sts import SandboxSts

JUST_BEFORE, AFTER = timedelta(seconds=30), timedelta(seconds=61)
"""On this side and on the other of the rule: account state and groups are at most 60 s old."""

Change = Callable[[SambaServer, str], None]

ENDED: dict[str, tuple[str, Change]] = {
    "disabled": ("dismissed", ad.disable),
    "expired": ("hasty", ad.expire),
    "deleted": ("leaver", ad.delete),
    "moved-away": ("mover", ad.move_away),
    "password-changed": ("changer", lambda domain, name: ad.set_password(domain, name, f"{PASSWORD}-new")),
}


@pytest.mark.parametrize(("name", "change"), ENDED.values(), ids=ENDED)
def test_an_account_that_may_no_longer_sign_in_gets_nothing_and_is_signed_out(
    domain: SambaServer, sts: SandboxSts, place: Callable[..., Place], name: str, change: Change
) -> None:
    ad.join(domain, name, "aws-readers")
    with running(place()) as broker:
        visitor = with_app(broker.broker, name, broker.url).sign_in()
        assert visitor.lease(READ).status == 200
        change(domain, name)
        broker.clock.on(AFTER)
        answer = visitor.lease(READ)
        assert (answer.status, holds_credentials(answer)) == (401, False)
        assert len(assumed(sts)) == 1
        assert visitor.whoami().status == 401, "the session lives on"
        (ended,) = broker.broker.storage.trail.search(Query(tag=Tag.SESSION_ENDED), limit=10)
        assert f'"actor_name":"{name}"' in (ended.payload or "")


def test_who_left_the_group_is_signed_in_still_and_gets_no_credentials(
    domain: SambaServer, sts: SandboxSts, place: Callable[..., Place]
) -> None:
    name = "renamed"
    ad.join(domain, name, "aws-readers")
    with running(place()) as broker:
        visitor = with_app(broker.broker, name, broker.url).sign_in()
        assert visitor.lease(READ).status == 200
        ad.leave(domain, name, "aws-readers")
        broker.clock.on(AFTER)
        answer = visitor.lease(READ)
        assert (answer.status, answer.json()["type"].rpartition(":")[2]) == (403, "denied")
        assert not holds_credentials(answer)
        assert visitor.roles() == {}
        assert len(assumed(sts)) == 1


def test_who_joined_the_group_gets_credentials_without_signing_in_again(
    domain: SambaServer, place: Callable[..., Place]
) -> None:
    name = "fine-grained"
    with running(place()) as broker:
        visitor = with_app(broker.broker, name, broker.url).sign_in()
        assert visitor.lease(READ).status == 403
        ad.join(domain, name, "aws-readers")
        broker.clock.on(AFTER)
        assert visitor.lease(READ).status == 200


def test_the_directory_is_not_asked_twice_within_the_minute(domain: SambaServer, place: Callable[..., Place]) -> None:
    """The control for the others: it is the minute that makes the difference, not the change alone."""
    name = "swapped"
    ad.join(domain, name, "aws-readers")
    with running(place()) as broker:
        visitor = with_app(broker.broker, name, broker.url).sign_in()
        ad.disable(domain, name)
        broker.clock.on(JUST_BEFORE)
        assert visitor.lease(READ).status == 200
        broker.clock.on(AFTER - JUST_BEFORE)
        assert visitor.lease(READ).status == 401


def test_a_mapping_that_was_taken_away_gives_nothing_any_more(place: Callable[..., Place]) -> None:
    where = place()
    with running(where) as broker:
        visitor = with_app(broker.broker, "carol", broker.url).sign_in()
        assert visitor.lease(READ).status == 200
        mappings = where.folder / "mappings.yaml"
        lines = mappings.read_text(encoding="utf-8").splitlines(keepends=True)
        mappings.write_text("".join(line for line in lines if "readers-read" not in line), encoding="utf-8")
        wait_until(lambda: visitor.lease(READ).status == 403, "it still gives", seconds=SLOW)
        assert visitor.roles() == {}


def test_a_new_password_does_not_bring_the_old_session_back(domain: SambaServer, place: Callable[..., Place]) -> None:
    name = "typist"
    ad.join(domain, name, "aws-readers")
    with running(place()) as broker:
        visitor = with_app(broker.broker, name, broker.url).sign_in()
        before = dict(visitor.browser.cookies)
        ad.set_password(domain, name, "Another-Horse-8")
        broker.clock.on(AFTER)
        assert visitor.whoami().status == 401
        visitor.browser.cookies.update(before)
        assert visitor.whoami().status == 401
        assert visitor.show_password().status == 401, "the old password still works"
