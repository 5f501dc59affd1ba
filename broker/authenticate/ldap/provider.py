"""`LdapProvider`: signs people in against Active Directory, or another LDAP server, and re-reads who they are."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from broker.authenticate.attempts import AttemptRule, AttemptStore
from broker.authenticate.identity import Group, Identity
from broker.authenticate.ldap.account import Account, Dialect
from broker.authenticate.ldap.accounts import Accounts, Found, State
from broker.authenticate.ldap.active_directory import ActiveDirectory
from broker.authenticate.ldap.answer import Deadline, Unusable
from broker.authenticate.ldap.check import Checker
from broker.authenticate.ldap.controllers import Controllers
from broker.authenticate.ldap.generic import Generic
from broker.authenticate.ldap.lockout import (
    BadPasswords,
    LockoutPolicy,
    rule_for_account,
    rule_for_known,
    rule_for_names,
)
from broker.authenticate.ldap.names import Name, parse_name
from broker.authenticate.ldap.security_groups import SecurityGroups, SidCache
from broker.authenticate.ldap.settings import LdapSettings
from broker.authenticate.ldap.verdict import verdict
from broker.authenticate.ldap.wire import is_filter, tls_context
from broker.authenticate.provider import Known, Reason, SignInRefused, Step, TooManyPasswords, a_stranger
from broker.clock import Clock, monotonic
from broker.errors import ConfigurationError, Problem, Unavailable

_LONGEST_PASSWORD = 1024
"""Octets; AD's own limit is 256 characters."""
_ALWAYS = AttemptRule(tries=1_000_000, hard_stop=None, left_after_loss=1_000_000)
"""Nothing is refused by it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Counts:
    """Under which keys one try is counted."""

    for_account: str
    for_names: str
    """Empty for a known browser: who it asks for exists, as it knows already."""


class LdapProvider:
    """`PasswordProvider` for LDAP.

    A password goes to one server, once, over a connection of its own, as the DN that the service account found. What
    was typed is only ever a search value. Whether somebody may sign in is decided by the bind *and* the account's state
    afterwards; groups are complete or there is no identity.
    """

    def __init__(
        self,
        name: str,
        settings: LdapSettings,
        *,
        attempts: AttemptStore,
        clock: Clock,
        monotonic: Callable[[], float] = monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Asks no server yet. Raises `ConfigurationError` when the settings cannot be used on this machine."""
        self._name, self._settings = name, settings
        self._attempts, self._clock, self._monotonic, self._sleep = attempts, clock, monotonic, sleep
        try:
            tls = tls_context(settings.ca_file)
        except OSError as error:
            where = f"providers.{name}.ca_file"
            problem = Problem(
                where=where, what=f"cannot be used ({error})", remedy="give a file of CA certificates, PEM"
            )
            raise ConfigurationError([problem]) from error
        self._dialect = _dialect(name, settings, monotonic)
        self._rule = settings.attempt_rule()
        self._controllers = Controllers(name, settings, tls, clock=clock, monotonic=monotonic)
        self._accounts = Accounts(self._controllers, self._dialect, bases=settings.user_bases, clock=clock)
        self._checker = Checker(self._controllers, self._dialect, self._accounts, settings, clock=clock)

    @property
    def name(self) -> str:
        """See the protocol."""
        return self._name

    def authenticate(self, username: str, password: str, known: Known = a_stranger) -> Identity:
        """See the protocol. A refusal takes `refusal_floor` seconds, or a multiple of it."""
        started = self._monotonic()
        try:
            return self._sign_in(username, password, known)
        except (SignInRefused, TooManyPasswords):
            floor, taken = self._settings.refusal_floor, self._monotonic() - started
            if floor:  # check: equal-time
                self._sleep(math.ceil(max(taken / floor, 1)) * floor - taken)
            raise

    def current(self, identity: Identity) -> Identity:
        """See the protocol. The account is found by its immutable id, wherever it was moved and whatever its name is.

        A password change within about two seconds around the sign-in counts as after it (see `changed_since`).
        """
        now = self._clock()
        state = self._accounts.read(identity.subject, self._controllers.deadline(), since=identity.authenticated_at)
        return self._identity(state, authenticated_at=identity.authenticated_at, read_at=now)

    def lookup(self, username: str) -> Identity:
        """See the protocol."""
        deadline, now = self._controllers.deadline(), self._clock()
        account = _only(self._accounts.find(self._parse(username), deadline))
        if account is None:
            raise SignInRefused(Reason.UNKNOWN_USER)
        return self._identity(self._accounts.read(account.subject, deadline), authenticated_at=now, read_at=now)

    def check(self, username: str = "") -> list[Step]:
        """See the protocol."""
        return self._checker.steps(username)

    def problems(self) -> list[Problem]:
        """What start-up should refuse: a server that was reached and contradicts the settings.

        Servers that are away are none: the broker starts without them. No connection is kept, so that a process may
        fork afterwards.
        """
        return self._checker.problems()

    def group(self, dn: str) -> Group | None:
        """See the protocol."""
        return self._controllers.run(lambda session: self._dialect.group_at(session, dn), self._controllers.deadline())

    def forgive(self, subject: str) -> None:
        """See the protocol. What AD itself has counted is AD's. The account's names are asked for, to clear theirs."""
        for what in (subject, f"known:{subject}"):
            self._attempts.forgive(self._key(what))
        # Browsers that are counted one by one cannot be listed: from this instant they have new counts.
        self._attempts.take(self._key(_forgiven(subject)), self._clock(), _ALWAYS)
        try:
            account = self._accounts.read(subject, self._controllers.deadline()).account
        except SignInRefused:  # it is gone
            return
        for typed in account.names:
            name = parse_name(typed, domain=self._settings.domain, upn_suffixes=self._settings.upn_suffixes)
            if name is not None:
                self._attempts.forgive(self._key(_of_name(name)))

    def close(self) -> None:
        """Close all connections that are kept; the provider may go on to be used."""
        self._controllers.close()

    def clock_offset(self) -> timedelta | None:
        """The directory's clock minus ours, to about half a second, asked now; None where it does not tell its time.

        Raises `errors.Unavailable`.
        """
        return self._controllers.run(
            lambda session: self._controllers.read_facts(session.link).offset, self._controllers.deadline()
        )

    def _sign_in(self, username: str, password: str, known: Known) -> Identity:
        """The sign-in itself.

        Checks, in this order:

        (1) a name and a password; (2) both of an allowed syntax; (3) the try is within the rule for names, whoever has
        this one; (4) exactly one account has it; (5) the try is within the rule for that account, and it is not locked;
        (6) the password is right; (7) the account may be used now.
        """
        # (1) there is something to check
        if not username or not password:  # check: empty-credentials
            raise SignInRefused(Reason.EMPTY)
        # (2) of an allowed syntax
        name, secret = self._parse(username), _octets(password)
        deadline = self._controllers.deadline()
        found = self._accounts.find(name, deadline)
        policy = self._dialect.lockout_policy(found.facts)
        # One instant for both counts, so that their waits end together; and before the bind, so that a password change
        # while it runs is one after the sign-in.
        now = self._clock()
        # (3) within the rule for names: first and for every stranger, so that the refusals do not tell who exists
        whose = found.accounts[0] if len(found.accounts) == 1 else None
        counts = self._counts(name, whose, policy, known)
        if counts.for_names:
            self._take(counts.for_names, now, rule_for_names(self._rule, policy), whose)
        # (4) exactly one account
        account = _only(found)
        if account is None:
            raise SignInRefused(Reason.UNKNOWN_USER)
        # (5) within the rule for the account
        self._count(counts, account, found.bad_passwords, policy, now)
        # (6) the right password
        reason = self._verdict(account, secret, deadline)
        if reason is not None:  # check: bind-verdict
            raise SignInRefused(reason, subject=account.subject, username=account.username)
        for what in filter(None, (counts.for_account, counts.for_names)):
            self._attempts.succeeded(self._key(what))
        # (7) an account that may be used
        state = self._accounts.read(account.subject, deadline, at=account.dn)
        return self._identity(state, authenticated_at=now, read_at=now)

    def _parse(self, username: str) -> Name:
        name = parse_name(username, domain=self._settings.domain, upn_suffixes=self._settings.upn_suffixes)
        if name is None:
            raise SignInRefused(Reason.NAME_NOT_ALLOWED)
        return name

    def _counts(self, name: Name, account: Account | None, policy: LockoutPolicy | None, known: Known) -> _Counts:
        """A known browser's tries are counted apart; where the directory locks, those of all known ones together.

        Where its budget is too small to be shared, everybody is a stranger.
        """
        browser = known(account.subject) if account and (policy is None or policy.reserve) else ""
        if account is None or not browser:  # check: strangers-are-counted-as-such
            return _Counts(for_account=account.subject if account else "", for_names=_of_name(name))
        each = ""
        if policy is None:
            forgiven = self._attempts.read(self._key(_forgiven(account.subject))).last_at
            each = f":{browser}:{forgiven.isoformat() if forgiven else ''}"
        return _Counts(for_account=f"known:{account.subject}{each}", for_names="")

    def _count(
        self, counts: _Counts, account: Account, bad: BadPasswords | None, policy: LockoutPolicy | None, now: datetime
    ) -> None:
        """Count one try at an account, or refuse it: within the rule, and below the directory's own lockout."""
        if bad is not None and bad.locked:
            # Nothing is sent to the directory, so its own limit narrows nothing; counted like any other try.
            self._take(counts.for_account, now, rule_for_names(self._rule, policy), account)
            raise SignInRefused(Reason.LOCKED, subject=account.subject, username=account.username)
        rule_for = rule_for_account if counts.for_names else rule_for_known
        rule = rule_for(self._rule, policy, bad, now)
        if rule is None:
            raise _too_many(bad.forgotten_at if bad else None, account)
        self._take(counts.for_account, now, rule, account)

    def _take(self, what: str, now: datetime, rule: AttemptRule, account: Account | None) -> None:
        taken = self._attempts.take(self._key(what), now, rule)
        if not taken.allowed:  # check: password-attempts
            raise _too_many(taken.retry_at, account)

    def _key(self, what: str) -> str:
        return f"password:{self._name}:{what}"

    def _verdict(self, account: Account, secret: bytes, deadline: Deadline) -> Reason | None:
        answer = self._controllers.bind(account.dn, secret, deadline)
        try:
            return verdict(answer)
        except Unusable as error:
            neighbour = f"directory {self._name}"
            raise Unavailable(neighbour) from error

    def _identity(self, state: State, *, authenticated_at: datetime, read_at: datetime) -> Identity:
        account = state.account
        if state.objection is not None:  # check: account-state
            raise SignInRefused(state.objection, subject=account.subject, username=account.username)
        return Identity(
            provider=self._name,
            subject=account.subject,
            username=account.username,
            display_name=account.display_name,
            email=account.email,
            groups=state.groups,
            authenticated_at=authenticated_at,
            read_at=read_at,
        )


def _only(found: Found) -> Account | None:
    """The one account that has the name, or None."""
    if len(found.accounts) > 1:  # check: exactly-one-account
        raise SignInRefused(Reason.AMBIGUOUS)
    return next(iter(found.accounts), None)


def _forgiven(subject: str) -> str:
    """The key whose last "try" is an operator's last reset."""
    return f"forgiven:{subject}"


def _of_name(name: Name) -> str:
    return f"name:{name.fingerprint()}"


def _dialect(name: str, settings: LdapSettings, monotonic: Callable[[], float]) -> Dialect:
    """How this directory is asked. Raises `ConfigurationError` for a filter that is none."""
    if settings.active_directory:
        cache = SidCache(monotonic, seconds=settings.group_cache_seconds)
        in_chain = settings.groups == "in-chain"
        groups = SecurityGroups(name, cache, in_chain=in_chain, base=settings.group_base)
        return ActiveDirectory(groups, lockout_threshold=settings.lockout_threshold)
    wrong = [field for field in ("user_filter", "group_filter") if not is_filter(getattr(settings.generic, field))]
    if wrong:
        raise ConfigurationError(
            [
                Problem(where=f"providers.{name}.generic.{field}", what="not an LDAP filter", remedy="see RFC 4515")
                for field in wrong
            ]
        )
    return Generic(name, settings.generic, group_base=settings.group_base, rule=settings.attempt_rule())


def _octets(password: str) -> bytes:
    """The octets to send. A NUL ends the password for some servers: what stands after it would not be checked."""
    try:
        octets = password.encode()
    except UnicodeEncodeError:
        raise SignInRefused(Reason.WRONG_PASSWORD) from None
    if b"\0" in octets or len(octets) > _LONGEST_PASSWORD:  # check: password-octets
        raise SignInRefused(Reason.WRONG_PASSWORD)
    return octets


def _too_many(retry_at: datetime | None, account: Account | None) -> TooManyPasswords:
    if account is None:
        return TooManyPasswords(retry_at=retry_at)
    return TooManyPasswords(retry_at=retry_at, subject=account.subject, username=account.username)
