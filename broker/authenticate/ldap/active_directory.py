"""Active Directory's way of saying things (MS-ADTS)."""

from datetime import datetime, timedelta

from broker.authenticate.identity import Group
from broker.authenticate.ldap.account import Account, changed_since
from broker.authenticate.ldap.answer import Entry
from broker.authenticate.ldap.controllers import Facts, Session
from broker.authenticate.ldap.lockout import BadPasswords, LockoutPolicy
from broker.authenticate.ldap.names import Name, Spelling
from broker.authenticate.ldap.security_groups import SecurityGroups
from broker.authenticate.ldap.values import NEVER, filetime, guid_octets, guid_text, in_filter
from broker.authenticate.ldap.wire import escape
from broker.authenticate.provider import Reason

_PEOPLE = "(objectClass=user)(!(objectClass=computer))"
_COMPUTED = "msDS-User-Account-Control-Computed"
_DISABLED = 0x2
_LOCKED, _PASSWORD_EXPIRED = 0x10, 0x800000
"""Bits of the computed attribute (MS-ADTS 3.1.1.4.5.17): the server's own arithmetic with lockoutTime, the lockout
duration and the password's greatest age, fine-grained password policies included."""


class ActiveDirectory:
    """`Dialect` for AD and Samba.

    Not asked again after the sign-in: logon hours and workstations, which AD judges at a bind only.
    """

    whole = False
    attributes = (
        "objectGUID",
        "objectSid",
        "primaryGroupID",
        "sAMAccountName",
        "userPrincipalName",
        "displayName",
        "mail",
        "userAccountControl",
        _COMPUTED,
        "accountExpires",
        "pwdLastSet",
        "badPwdCount",
        "badPasswordTime",
    )

    def __init__(self, groups: SecurityGroups, *, lockout_threshold: int | None) -> None:
        """`lockout_threshold` is the operator's; the domain's own is read, and the lower one counts."""
        self._groups = groups
        self._threshold = lockout_threshold

    @property
    def method(self) -> str:
        """See the protocol."""
        return self._groups.method

    def by_name(self, name: Name) -> str:
        """See the protocol."""
        attribute = "sAMAccountName" if name.spelling is Spelling.PLAIN else "userPrincipalName"
        return f"(&{_PEOPLE}({attribute}={escape(name.value)}))"

    def by_subject(self, subject: str) -> str:
        """See the protocol."""
        return f"(&{_PEOPLE}(objectGUID={in_filter(guid_octets(subject))}))"

    def account(self, entry: Entry) -> Account:
        """See the protocol."""
        username = entry.text("sAMAccountName")
        return Account(
            entry=entry,
            subject=entry.decoded("objectGUID", guid_text),
            username=username,
            display_name=entry.text("displayName") or username,
            email=entry.text("mail"),
            names=(username, entry.text("userPrincipalName")),
        )

    def objection(self, account: Account, facts: Facts, *, now: datetime, since: datetime | None) -> Reason | None:  # noqa: PLR0911 (one return a check)
        """See the protocol.

        Checks, in this order:

        (1) not disabled; (2) not expired; (3) not locked; (4) no password change ordered; (5) the password has not
        expired; (6) and has not changed since the sign-in.
        """
        entry = account.entry
        computed = entry.number(_COMPUTED)
        expires = entry.number("accountExpires")
        changed = entry.number("pwdLastSet")
        # (1) not disabled
        if entry.number("userAccountControl") & _DISABLED:  # check: ad-disabled
            return Reason.DISABLED
        # (2) not expired
        if expires not in {0, NEVER} and filetime(expires) <= now + (facts.offset or timedelta(0)):  # check: ad-expired
            return Reason.ACCOUNT_EXPIRED
        # (3) not locked
        if computed & _LOCKED:  # check: ad-locked
            return Reason.LOCKED
        # (4) no change ordered
        if changed == 0:  # check: ad-must-change
            return Reason.MUST_CHANGE_PASSWORD
        # (5) password not expired
        if computed & _PASSWORD_EXPIRED:  # check: ad-password-expired
            return Reason.PASSWORD_EXPIRED
        # (6) no change since the sign-in
        if since is not None and changed_since(filetime(changed), since, facts.offset):  # check: ad-password-changed
            return Reason.PASSWORD_CHANGED
        return None

    def lockout_policy(self, facts: Facts) -> LockoutPolicy | None:
        """See the protocol. 0 in the domain means never."""
        threshold = min(filter(None, (facts.lockout_threshold, self._threshold)), default=0)
        return LockoutPolicy(threshold=threshold, window=facts.lockout_window) if threshold else None

    def bad_passwords(self, account: Account, facts: Facts) -> BadPasswords:
        """See the protocol. AD resets badPwdCount only at the next try: it counts until `forgotten_at`."""
        entry = account.entry
        last = filetime(entry.count("badPasswordTime")) - (facts.offset or timedelta(0))
        return BadPasswords(
            count=entry.count("badPwdCount"),
            forgotten_at=last + facts.lockout_window,
            locked=bool(entry.number(_COMPUTED) & _LOCKED),
        )

    def groups(self, session: Session, account: Account) -> frozenset[Group]:
        """See the protocol."""
        return self._groups.of(session, account)

    def group_at(self, session: Session, dn: str) -> Group | None:
        """See the protocol."""
        return self._groups.at(session, dn)
