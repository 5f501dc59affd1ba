"""Whom an operator's USER means, where a name was given to somebody else: one person, or nobody."""

from collections.abc import Callable

import pytest
from cli.stage import PROVIDER, Place, a_session, person

from broker.app import Broker
from broker.authenticate.identity import Identity
from broker.authenticate.provider import SignInRefused, TooManyPasswords
from broker.clock import utc_now
from broker.record.event import Tag
from broker.record.trail import Query
from broker.sessions.people import Person, recognise

GONE = "00000000-0000-0000-0000-00000000dead"
"""The account that had the name before; the directory does not know it any more."""


def first_holder(broker: Broker, name: str) -> Person:
    """Somebody who signed in with the account `name` before it was deleted and the name given to a newcomer."""
    now = utc_now()
    identity = Identity(
        provider=PROVIDER,
        subject=GONE,
        username=name,
        display_name=f"{name} the first",
        groups=frozenset(),
        authenticated_at=now,
        read_at=now,
    )
    found, _ = recognise(broker.parts.people, identity, new_id=broker.parts.new_id)
    assert found.session_name == name
    return found


def newcomer(broker: Broker, name: str) -> Person:
    """Whoever has the account of that name now, after a sign-in."""
    identity = broker.parts.providers[PROVIDER].lookup(name)
    return recognise(broker.parts.people, identity, new_id=broker.parts.new_id)[0]


COMMANDS = ("reset-mfa", "revoke", "unlock")


@pytest.mark.parametrize("seen", [False, True], ids=["the newcomer never signed in", "both signed in"])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_recycled_name_means_nobody_until_the_operator_says_whom(place: Place, command: str, *, seen: bool) -> None:
    with place.opened() as broker:
        old = first_holder(broker, "alan")
        new = newcomer(broker, "alan") if seen else None
    told = place.run("users", command, "alan", "--reason", "lost phone")
    assert told.exit_code == 1
    assert told.stdout == ""
    assert "alan is the session name of one person and the account name of another." in told.stderr
    assert old.id in told.stderr
    assert new is None or new.id in told.stderr
    assert changes(place) == []
    assert place.run("users", "show", old.id).stdout.count(old.id) == 1
    assert place.run("users", command, old.id, "--reason", "lost phone").exit_code == 0, "the control: by id"
    assert len(changes(place)) == 1


def test_a_name_that_one_person_alone_has_is_enough(place: Place) -> None:
    """The control, in each way to be known by it: the account's own, the old one's, and a renamed account's."""
    with place.opened() as broker:
        gone = first_holder(broker, "bygone")  # no account has this name now
        ada, renamed = person(broker, "ada"), broker.parts.providers[PROVIDER].lookup("grace").subject
        a_session(broker, "ada")
    assert gone.id in place.run("users", "show", "bygone").stdout
    assert ada.id in place.run("users", "show", "ada").stdout
    assert ada.id in place.run("users", "show", "CORP\\ada").stdout
    assert renamed in place.run("users", "show", "grace").stdout
    assert place.run("users", "revoke", "ada", "--reason", "left").stdout == "1 session ended\n"


def test_an_account_that_nobody_ever_signed_in_with_is_unlocked_by_its_name(place: Place) -> None:
    """A newcomer who mistypes the first password too often is nobody's person yet."""

    def wrong(broker: Broker) -> None:
        broker.parts.providers[PROVIDER].authenticate("alan", "not it")

    def locked_out(broker: Broker) -> None:
        for _ in range(3):  # of a stranger, where the directory locks at ten
            refused(SignInRefused, wrong, broker)
        refused(TooManyPasswords, wrong, broker)

    with place.opened() as broker:
        locked_out(broker)
        subject = broker.parts.providers[PROVIDER].lookup("alan").subject
    assert place.run("users", "reset-mfa", "alan", "--reason", "none yet").exit_code == 1
    assert place.run("users", "unlock", "alan", "--reason", "first day").exit_code == 0
    with place.opened() as broker:
        assert broker.parts.providers[PROVIDER].authenticate("alan", "alan-demo-password").subject == subject
        (link,) = broker.storage.trail.search(Query(tag=Tag.ATTEMPTS_RESET), limit=9)
    assert subject in (link.payload or "")
    assert '"person"' not in (link.payload or "")


def test_nobody_of_that_name_is_told_as_that(place: Place) -> None:
    for command in COMMANDS:
        told = place.run("users", command, "somebody-else", "--reason", "none")
        assert (told.exit_code, told.stdout) == (1, "")
        assert "Nobody of that name has signed in here." in told.stderr
    assert changes(place) == []


def refused(kind: type[Exception], call: Callable[[Broker], None], broker: Broker) -> None:
    with pytest.raises(kind):
        call(broker)


def changes(place: Place) -> list[str]:
    """What operators have done to people, as the trail has it."""
    with place.opened() as broker:
        tags = (Tag.FACTOR_RESET, Tag.SESSION_ENDED, Tag.ATTEMPTS_RESET)
        return [link.payload or "" for tag in tags for link in broker.storage.trail.search(Query(tag=tag), limit=9)]
