"""Who may bind: AD's account rules, and what `SandboxDirectory`'s controls do to an account.

The order of the rules and their sub-codes were measured on Samba AD DC 4.17: a locked account says so to everybody,
every other state shows only to who knows the password.
"""

import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta

from broker.clock import Clock
from broker.errors import NotFound
from broker.sandbox.directory.planting import DISABLED, PASSWORD_NEVER_EXPIRES, SMART_CARD_REQUIRED, suffix_of
from broker.sandbox.directory.seed import Seed
from broker.sandbox.directory.tree import Entry, Tree
from broker.sandbox.directory.values import NEVER, InvalidName, dn_key, filetime, fold, interval, sid_bytes

_LOCKED_OUT, _PASSWORD_EXPIRED = 0x10, 0x800000
"""Bits of msDS-User-Account-Control-Computed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BindAttempt:
    """One simple bind as it reached the server; never the password."""

    name: str
    """The name as sent, or its first 1,024 characters."""
    result: int
    """The LDAP result code."""
    data: str = ""
    """AD's sub-code (`52e`, `775`, …) where the result is invalidCredentials (49)."""
    tls: bool
    """Whether it came over LDAPS or StartTLS."""


class Accounts:
    """The accounts in a tree, their passwords, and the domain's policy. Not thread-safe: its owner holds the lock.

    Not modelled: password history (AD forgives the last two old passwords), fine-grained policies.
    """

    def __init__(self, tree: Tree, seed: Seed, clock: Clock, *, reveal_unknown_users: bool) -> None:
        """`reveal_unknown_users`: answer 525 as some Windows set-ups do; Samba answers 52e."""
        self._tree = tree
        self._domain = seed.domain
        self._clock = clock
        self._unknown = "525" if reveal_unknown_users else "52e"
        self._lockout = interval(timedelta(minutes=seed.domain.lockout_minutes))
        self._max_age = interval(timedelta(days=seed.domain.password_days))
        self._passwords = {person.account.lower(): person.password.encode() for person in seed.people}

    def check(self, name: str, password: bytes) -> str:
        """AD's sub-code for this name and password; empty when they are right and the account may sign in.

        Counts a wrong password, and locks the account at the threshold; a right one starts the count again.
        """
        entry = self.named(name)
        if entry is None:
            return self._unknown
        now = self._clock()
        if self._is_locked(entry, now):
            return "775"
        right = hmac.compare_digest(self._passwords[_account(entry)], password)
        if not right or entry.number("userAccountControl") & SMART_CARD_REQUIRED:
            self._count_wrong_password(entry, now)
            return "52e"
        refusal = self._refusal(entry, now)
        if not refusal:
            entry.set("badPwdCount", 0)
            if entry.get("lockoutTime"):
                entry.set("lockoutTime", 0)
        return refusal

    def _refusal(self, entry: Entry, now: datetime) -> str:
        """Why somebody who knows the password may still not sign in; the first reason that holds."""
        expires = entry.number("accountExpires")
        password_until = self._password_until(entry)
        reasons = (
            ("533", entry.number("userAccountControl") & DISABLED),
            ("701", expires not in (0, NEVER) and expires <= filetime(now)),
            ("773", password_until == 0),
            ("532", password_until <= filetime(now)),
            ("531", not self._is_allowed_workstation(entry)),
            ("530", not _is_allowed_hour(entry, now)),
        )
        return next((code for code, holds in reasons if holds), "")

    def _password_until(self, entry: Entry) -> int:
        """msDS-UserPasswordExpiryTimeComputed; 0: it must be changed now."""
        if entry.number("userAccountControl") & (PASSWORD_NEVER_EXPIRES | SMART_CARD_REQUIRED):
            return NEVER
        changed = entry.number("pwdLastSet")
        return changed - self._max_age if changed else 0

    def _is_locked(self, entry: Entry, now: datetime) -> bool:
        since = entry.number("lockoutTime")
        return since != 0 and filetime(now) < since - self._lockout

    def _count_wrong_password(self, entry: Entry, now: datetime) -> None:
        recent = filetime(now) < entry.number("badPasswordTime") - self._lockout
        count = entry.number("badPwdCount") + 1 if recent else 1
        entry.set("badPwdCount", count)
        entry.set("badPasswordTime", filetime(now))
        if 0 < self._domain.lockout_threshold <= count:
            entry.set("lockoutTime", filetime(now))

    def _is_allowed_workstation(self, entry: Entry) -> bool:
        """A simple bind comes from the controller itself, so it is the one that must be listed."""
        listed = entry.get("userWorkstations")
        return not listed or self._domain.controller in fold(listed[0].decode()).split(",")

    def named(self, name: str) -> Entry | None:
        """The account that a bind's name means, in any of the forms that Samba takes; None where there is none."""
        stripped = name.partition("\0")[0].strip(" ")
        try:
            if stripped.startswith("<") or "=" in stripped:
                found = self._tree.find(stripped)
            elif stripped[:4].upper() == "S-1-" and "@" not in stripped:
                found = self._tree.only("objectSid", sid_bytes(stripped))
            else:
                found = self._by_logon_name(fold(stripped))
        except InvalidName:
            return None
        return found if found is not None and found.is_a("user") else None

    def _by_logon_name(self, name: str) -> Entry | None:
        r"""`CORP\ada`, `ada@corp.example`, `ada@CORP`, or `corp.example/Staff/Ada Lovelace`."""
        domain, backslash, account = name.partition("\\")
        if backslash:
            ours = domain == self._domain.netbios_name.lower()
            return self._tree.only("sAMAccountName", account.encode()) if ours else None
        account, at, domain = name.rpartition("@")
        if at:
            explicit = self._tree.only("userPrincipalName", name.encode())
            ours = domain in (self._domain.dns_name, self._domain.netbios_name.lower())
            return explicit or (self._tree.only("sAMAccountName", account.encode()) if ours else None)
        return next((entry for entry in self._tree if fold(self.canonical_name(entry)) == name), None)

    def canonical_name(self, entry: Entry) -> str:
        """`corp.example/Staff/Ada Lovelace`."""
        depth = len(entry.key) - len(dn_key(suffix_of(self._domain)))
        names = [step.get("name")[0].decode() for at in range(depth) if (step := self._tree.nearest(entry.key[at:]))]
        return "/".join([self._domain.dns_name, *reversed(names)])

    def computed(self, entry: Entry, attribute: str) -> list[bytes]:
        """The values of an attribute (lower case) that is worked out when asked for; empty where there are none."""
        if attribute == "canonicalname":
            return [self.canonical_name(entry).encode()]
        if attribute == "tokengroups":
            return self._token_groups(entry)
        if not entry.is_a("user"):
            return []
        if attribute == "msds-userpasswordexpirytimecomputed":
            return [str(self._password_until(entry)).encode()]
        if attribute == "msds-user-account-control-computed":
            now = self._clock()
            bits = _LOCKED_OUT * self._is_locked(entry, now)
            bits |= _PASSWORD_EXPIRED * (self._password_until(entry) <= filetime(now))
            return [str(bits).encode()]
        return []

    def _token_groups(self, entry: Entry) -> list[bytes]:
        """SIDs of the security groups that `entry` is in, nested ones and the primary one included.

        Mailing lists are left out, and so is what only a mailing list leads to.
        """
        direct = self._tree.groups_of(entry)
        if entry.get("primaryGroupID"):
            primary = sid_bytes(f"{self._domain.sid}-{entry.number('primaryGroupID')}")
            direct.extend(group for group in self._tree if group.get("objectSid") == [primary])
        return [group.get("objectSid")[0] for group in self._tree.closure(direct, Entry.is_security_group)]

    def account(self, user: str) -> Entry:
        """The person with this sAMAccountName; raises `NotFound`."""
        return self._by_account(user, "user")

    def group(self, name: str) -> Entry:
        """The group with this sAMAccountName; raises `NotFound`."""
        return self._by_account(name, "group")

    def _by_account(self, name: str, object_class: str) -> Entry:
        found = self._tree.only("sAMAccountName", name.encode())
        if found is None or not found.is_a(object_class):
            message = f"the sandbox's directory has no such {object_class}"
            raise NotFound(message, remedy="See people.yaml for the names.")
        return found

    def set_password(self, entry: Entry, password: str) -> None:
        """As an administrator's reset: the password counts from now."""
        self._passwords[_account(entry)] = password.encode()
        entry.set("pwdLastSet", filetime(self._clock()))

    def disable(self, entry: Entry) -> None:
        """Set the account's disabled bit."""
        entry.set("userAccountControl", entry.number("userAccountControl") | DISABLED)

    def delete(self, entry: Entry) -> None:
        """Remove the account."""
        del self._passwords[_account(entry)]
        self._tree.remove(entry)

    def unlock(self, entry: Entry) -> None:
        """As an administrator's unlock: the count starts again too."""
        entry.set("lockoutTime", 0)
        entry.set("badPwdCount", 0)


def _account(entry: Entry) -> str:
    return entry.get("sAMAccountName")[0].decode().lower()


def _is_allowed_hour(entry: Entry, now: datetime) -> bool:
    hours = entry.get("logonHours")
    place = now.isoweekday() % 7 * 24 + now.hour
    return not hours or bool(hours[0][place // 8] >> place % 8 & 1)
