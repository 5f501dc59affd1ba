"""Finding accounts and reading what the directory says about them, on whichever server answers."""

from dataclasses import dataclass
from datetime import datetime

from broker.authenticate.identity import Group
from broker.authenticate.ldap.account import Account, Dialect
from broker.authenticate.ldap.answer import Deadline, Entry, Unusable
from broker.authenticate.ldap.controllers import Controllers, Facts, Session
from broker.authenticate.ldap.lockout import BadPasswords
from broker.authenticate.ldap.names import Name
from broker.authenticate.provider import Reason, SignInRefused
from broker.clock import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a look-up by name came to."""

    facts: Facts
    accounts: tuple[Account, ...]
    bad_passwords: BadPasswords | None
    """How near the one account is to a lockout; None where it is not one, or nobody tells."""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What the directory says about one account now."""

    account: Account
    objection: Reason | None
    """Why it may not be used; None when it may."""
    groups: frozenset[Group]
    """All of them; empty when there is an objection, since then nobody asked."""


class Accounts:
    """Reads accounts below `bases`; outside of them nobody exists."""

    def __init__(self, controllers: Controllers, dialect: Dialect, *, bases: tuple[str, ...], clock: Clock) -> None:
        self._controllers, self._dialect = controllers, dialect
        self._bases, self._clock = bases, clock

    def find(self, name: Name, deadline: Deadline) -> Found:
        """Everybody who has this name. Raises `errors.Unavailable`."""
        where = self._dialect.by_name(name)

        def work(session: Session) -> Found:
            accounts = tuple(map(self._dialect.account, self._search(session, where)))
            bad = self._dialect.bad_passwords(accounts[0], session.facts) if len(accounts) == 1 else None
            return Found(facts=session.facts, accounts=accounts, bad_passwords=bad)

        return self._controllers.run(work, deadline)

    def read(self, subject: str, deadline: Deadline, *, since: datetime | None = None, at: str = "") -> State:
        """The account with this immutable id; with `since`, a later password change is an objection.

        With `at`, its DN must be that one still: else the password that was shown there may be somebody else's.
        Raises `SignInRefused` when it is gone, `errors.Unavailable`.
        """
        try:
            where = self._dialect.by_subject(subject)
        except ValueError:
            raise SignInRefused(Reason.GONE, subject=subject) from None

        def work(session: Session) -> State | None:
            entries = self._search(session, where)
            if not entries:
                return None
            account = self._dialect.account(entries[0])
            if len(entries) > 1 or account.subject != subject:  # check: subject-is-one-account
                message = "the account's id is not its own"
                raise Unusable(message)
            if at and account.dn != at:  # check: same-account-after-bind
                message = "the account changed its place while it was read"
                raise Unusable(message)
            return self._state(session, account, since)

        state = self._controllers.run(work, deadline)
        if state is None:
            raise SignInRefused(Reason.GONE, subject=subject)
        return state

    def _state(self, session: Session, account: Account, since: datetime | None) -> State:
        objection = self._dialect.objection(account, session.facts, now=self._clock(), since=since)
        groups = frozenset[Group]() if objection else self._dialect.groups(session, account)
        return State(account=account, objection=objection, groups=groups)

    def _search(self, session: Session, where: str) -> list[Entry]:
        """Entries below any base, each once though bases may overlap."""
        found: dict[str, Entry] = {}
        for base in self._bases:
            for entry in session.link.search(base, where, self._dialect.attributes, whole=self._dialect.whole):
                found[entry.dn] = entry
        return list(found.values())
