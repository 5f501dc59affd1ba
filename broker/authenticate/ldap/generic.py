"""LDAP servers that are not AD, OpenLDAP and its like: entryUUID, ppolicy's attributes, groups of names."""

from datetime import datetime

from broker.authenticate.attempts import AttemptRule
from broker.authenticate.identity import Group
from broker.authenticate.ldap.account import Account, changed_since
from broker.authenticate.ldap.answer import Entry
from broker.authenticate.ldap.controllers import Facts, Session
from broker.authenticate.ldap.lockout import LockoutPolicy
from broker.authenticate.ldap.names import Name, Spelling
from broker.authenticate.ldap.settings import GenericSchema
from broker.authenticate.ldap.values import generalized_time
from broker.authenticate.ldap.wire import escape
from broker.authenticate.provider import Reason

_AT_ONCE = 50
"""Members in one search filter."""
_LOCKED_BY_AN_ADMINISTRATOR = "000001010000Z"
"""pwdAccountLockedTime of an account that only an administrator can unlock (draft-behera 5.3.3)."""


class Generic:
    """`Dialect` for everything that is not AD.

    Account state is what ppolicy keeps. Where a server has no ppolicy, or the service account may not read its
    attributes, only `user_filter` and the bind itself tell whether an account may be used, and a password change is not
    noticed before the session ends.
    """

    whole = True
    method = "walk"

    def __init__(self, provider: str, schema: GenericSchema, *, group_base: str, rule: AttemptRule) -> None:
        """`group_base`: where groups are looked for; `rule`: what the directory's own lockout is above."""
        self._provider, self._schema, self._group_base = provider, schema, group_base
        self._lockout = LockoutPolicy(threshold=rule.tries + 1, window=rule.window, counts=False)
        own = (schema.subject_attribute, schema.name_attribute, schema.principal_attribute)
        known = ("displayName", "cn", "mail", "pwdAccountLockedTime", "pwdReset", "pwdChangedTime")
        self.attributes = tuple(dict.fromkeys((*own, *known)))

    def by_name(self, name: Name) -> str:
        """See the protocol."""
        plain = name.spelling is Spelling.PLAIN
        attribute = self._schema.name_attribute if plain else self._schema.principal_attribute
        return f"(&{self._schema.user_filter}({attribute}={escape(name.value)}))"

    def by_subject(self, subject: str) -> str:
        """See the protocol."""
        if not subject:
            message = "an empty id"
            raise ValueError(message)
        return f"(&{self._schema.user_filter}({self._schema.subject_attribute}={escape(subject)}))"

    def account(self, entry: Entry) -> Account:
        """See the protocol."""
        username = entry.text(self._schema.name_attribute)
        return Account(
            entry=entry,
            subject=entry.decoded(self._schema.subject_attribute, _text),
            username=username,
            display_name=entry.text("displayName") or entry.text("cn") or username,
            email=entry.text("mail"),
            names=(username, entry.text(self._schema.principal_attribute)),
        )

    def objection(self, account: Account, facts: Facts, *, now: datetime, since: datetime | None) -> Reason | None:  # noqa: ARG002 (the protocol's)
        """See the protocol. Checks: (1) not locked; (2) no change ordered; (3) no change since the sign-in."""
        entry = account.entry
        locked = entry.text("pwdAccountLockedTime")
        # (1) not locked
        if locked:  # check: generic-locked
            return Reason.DISABLED if locked == _LOCKED_BY_AN_ADMINISTRATOR else Reason.LOCKED
        # (2) no change ordered
        if entry.text("pwdReset").upper() == "TRUE":  # check: generic-must-change
            return Reason.MUST_CHANGE_PASSWORD
        # (3) no change since the sign-in
        if since is not None and entry.all("pwdChangedTime"):
            changed = entry.decoded("pwdChangedTime", _instant)
            if changed_since(changed, since, facts.offset):  # check: generic-password-changed
                return Reason.PASSWORD_CHANGED
        return None

    def lockout_policy(self, facts: Facts) -> LockoutPolicy:  # noqa: ARG002 (the protocol's)
        """See the protocol: ppolicy's limits are not readable in general; the settings must be below them.

        pwdMaxFailure above `attempt_tries`; pwdFailureCountInterval above 0 (which would be: for good) and no longer
        than `attempt_window_minutes`.
        """
        return self._lockout

    def bad_passwords(self, account: Account, facts: Facts) -> None:
        """See the protocol."""

    def groups(self, session: Session, account: Account) -> frozenset[Group]:
        """See the protocol. One search a level; a group that was seen is not walked again, so a cycle ends."""
        found: dict[str, Group] = {}
        level = [account.dn]
        while level:
            parents: list[str] = []
            for start in range(0, len(level), _AT_ONCE):
                for entry in self._containing(session, level[start : start + _AT_ONCE]):
                    group = self._group(entry)
                    if group.id not in found:
                        found[group.id] = group
                        parents.append(group.dn)
            level = parents
        return frozenset(found.values())

    def group_at(self, session: Session, dn: str) -> Group | None:
        """See the protocol."""
        attributes = ["cn", *filter(None, [self._schema.group_id_attribute])]
        entry = session.link.read(dn, attributes, self._schema.group_filter)
        return self._group(entry) if entry else None

    def _containing(self, session: Session, members: list[str]) -> list[Entry]:
        attribute, group_id = self._schema.group_member_attribute, self._schema.group_id_attribute
        terms = "".join(f"({attribute}={escape(dn)})" for dn in members)
        return session.link.search(
            self._group_base, f"(&{self._schema.group_filter}(|{terms}))", ["cn", *filter(None, [group_id])]
        )

    def _group(self, entry: Entry) -> Group:
        attribute = self._schema.group_id_attribute
        own_id = entry.decoded(attribute, _text) if attribute else entry.dn.casefold()
        return Group(provider=self._provider, id=own_id, name=entry.text("cn"), dn=entry.dn)


def _text(octets: bytes) -> str:
    return octets.decode()


def _instant(octets: bytes) -> datetime:
    return generalized_time(octets.decode())
