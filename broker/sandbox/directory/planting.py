"""From the seed to the tree: the objects that a domain controller would hold, with AD's own attribute values."""

import uuid
from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal

from broker.sandbox.directory.schema import CATEGORIES
from broker.sandbox.directory.seed import Domain, GroupKind, GroupScope, LogonHours, Person, Seed, SeedGroup
from broker.sandbox.directory.tree import SECURITY_GROUP, Entry, Tree
from broker.sandbox.directory.values import NEVER, escape, filetime, generalized_time, interval, sid_bytes

DISABLED = 0x2
NORMAL_ACCOUNT = 0x200
PASSWORD_NEVER_EXPIRES = 0x10000
SMART_CARD_REQUIRED = 0x40000
"""Bits of userAccountControl (MS-ADTS 2.2.16)."""

DOMAIN_USERS_RID = 513
BUILTIN_USERS_SID = "S-1-5-32-545"

_CREATED_LOCALLY = 0x1
_SCOPES = {GroupScope.GLOBAL: 0x2, GroupScope.DOMAIN_LOCAL: 0x4, GroupScope.UNIVERSAL: 0x8}
_USER, _GLOBAL_GROUP, _LOCAL_GROUP, _MAIL_OFFSET = 0x30000000, 0x10000000, 0x20000000, 1
"""Values of sAMAccountType (MS-SAMR 2.2.1.9); a mailing list has one more than its security group."""
_WEEK = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_GUIDS = uuid.UUID("7f2f0d52-7f0c-4a52-9d1c-6f4f0f3a9a51")
"""GUIDs are derived from SIDs and names under this one, so that a demo's people stay the same over restarts."""


def suffix_of(domain: Domain) -> str:
    """`DC=corp,DC=example`."""
    return ",".join(f"DC={label}" for label in domain.dns_name.split("."))


def plant(seed: Seed, now: datetime) -> Tree:
    """The whole tree as it stands at `now`; ages in the seed count back from it."""
    tree = Tree(suffix_of(seed.domain))
    _plant_domain(tree, seed.domain)
    for container in ("Users", "Builtin"):
        dn = f"CN={container},{tree.suffix}"
        tree.add(dn, cn=container, name=container, objectGUID=_guid(dn))
    for unit in seed.units:
        dn = f"OU={escape(unit)},{tree.suffix}"
        tree.add(dn, ou=unit, name=unit, objectGUID=_guid(dn))
    everybody, builtin = _plant_built_in(tree, seed.domain)
    tree.link(builtin, everybody)
    groups = {group.name: _plant_group(tree, seed.domain, group) for group in seed.groups}
    for group in seed.groups:
        for name in group.member_of:
            tree.link(groups[name], groups[group.name])
    for person in seed.people:
        entry = _plant_person(tree, seed.domain, person, now)
        for name in person.groups:
            tree.link(groups[name], entry)
    for entry in tree:
        _finish(tree, entry, now)
    return tree


def _guid(name: str) -> bytes:
    return uuid.uuid5(_GUIDS, name).bytes_le


def _finish(tree: Tree, entry: Entry, now: datetime) -> None:
    """What every object has: classes, category, age."""
    kind = entry.key[0][0]
    if entry.get("sAMAccountName"):
        classes = ["top", "group"] if entry.get("groupType") else ["top", "person", "organizationalPerson", "user"]
    else:
        classes = {"dc": ["top", "domain", "domainDNS"], "ou": ["top", "organizationalUnit"]}.get(
            kind, ["top", "container"]
        )
    category = CATEGORIES[classes[-1].lower()]
    entry.set("objectClass", *classes)
    entry.set("objectCategory", f"CN={category},CN=Schema,CN=Configuration,{tree.suffix}")
    entry.set("instanceType", 5 if kind == "dc" else 4)
    entry.set("whenCreated", generalized_time(now))


def _plant_domain(tree: Tree, domain: Domain) -> None:
    minutes = interval(timedelta(minutes=domain.lockout_minutes))
    tree.add(
        tree.suffix,
        dc=domain.dns_name.partition(".")[0],
        name=domain.dns_name.partition(".")[0],
        objectSid=sid_bytes(domain.sid),
        objectGUID=_guid(domain.sid),
        lockoutThreshold=domain.lockout_threshold,
        lockoutDuration=minutes,
        lockOutObservationWindow=minutes,
        maxPwdAge=interval(timedelta(days=domain.password_days)),
    )


def _plant_built_in(tree: Tree, domain: Domain) -> tuple[Entry, Entry]:
    """Domain Users, everybody's primary group; and Users, a group of the machine that contains it."""
    sid = f"{domain.sid}-{DOMAIN_USERS_RID}"
    everybody = tree.add(
        f"CN=Domain Users,CN=Users,{tree.suffix}",
        cn="Domain Users",
        name="Domain Users",
        sAMAccountName="Domain Users",
        objectSid=sid_bytes(sid),
        objectGUID=_guid(sid),
        **_group_type(GroupKind.SECURITY, GroupScope.GLOBAL),
    )
    builtin = tree.add(
        f"CN=Users,CN=Builtin,{tree.suffix}",
        cn="Users",
        name="Users",
        sAMAccountName="Users",
        objectSid=sid_bytes(BUILTIN_USERS_SID),
        objectGUID=_guid(domain.sid + BUILTIN_USERS_SID),
        **_group_type(GroupKind.SECURITY, GroupScope.DOMAIN_LOCAL, extra=_CREATED_LOCALLY),
    )
    return everybody, builtin


def _group_type(kind: GroupKind, scope: GroupScope, *, extra: int = 0) -> dict[str, int]:
    bits = _SCOPES[scope] | extra
    account_type = _LOCAL_GROUP if scope is GroupScope.DOMAIN_LOCAL else _GLOBAL_GROUP
    if kind is GroupKind.DISTRIBUTION:
        return {"groupType": bits, "sAMAccountType": account_type + _MAIL_OFFSET}
    return {"groupType": bits - SECURITY_GROUP, "sAMAccountType": account_type}


def _plant_group(tree: Tree, domain: Domain, group: SeedGroup) -> Entry:
    sid = f"{domain.sid}-{group.rid}"
    return tree.add(
        f"CN={escape(group.name)},OU={escape(group.unit)},{tree.suffix}",
        cn=group.name,
        name=group.name,
        sAMAccountName=group.account or group.name,
        objectSid=sid_bytes(sid),
        objectGUID=_guid(sid),
        **_group_type(group.kind, group.scope),
    )


def _plant_person(tree: Tree, domain: Domain, person: Person, now: datetime) -> Entry:
    sid = f"{domain.sid}-{person.rid}"
    password_set = 0 if person.must_change_password else filetime(now - timedelta(days=person.password_age_days))
    entry = tree.add(
        f"CN={escape(person.full_name)},OU={escape(person.unit)},{tree.suffix}",
        cn=person.full_name,
        name=person.full_name,
        displayName=person.display_name or f"{person.given_name} {person.surname}",
        givenName=person.given_name,
        sn=person.surname,
        description=person.story,
        mail=person.mail or f"{person.account}@{domain.dns_name}",
        sAMAccountName=person.account,
        userPrincipalName=person.upn or f"{person.account}@{domain.dns_name}",
        objectSid=sid_bytes(sid),
        objectGUID=_guid(sid),
        sAMAccountType=_USER,
        primaryGroupID=DOMAIN_USERS_RID,
        userAccountControl=_account_control(person),
        accountExpires=_account_expires(person.account_expires),
        pwdLastSet=password_set,
        badPwdCount=domain.lockout_threshold if person.locked else 0,
        badPasswordTime=filetime(now) if person.locked else 0,
    )
    if person.locked:
        entry.set("lockoutTime", filetime(now))
    if person.logon_hours is not None:
        entry.set("logonHours", _logon_hours(person.logon_hours))
    if person.workstations:
        entry.set("userWorkstations", ",".join(person.workstations))
    return entry


def _account_control(person: Person) -> int:
    return (
        NORMAL_ACCOUNT
        | DISABLED * person.disabled
        | PASSWORD_NEVER_EXPIRES * person.password_never_expires
        | SMART_CARD_REQUIRED * person.smart_card_required
    )


def _account_expires(when: date | Literal["never", "unset"]) -> int:
    if isinstance(when, date):
        return filetime(datetime.combine(when, time(), UTC))
    return 0 if when == "never" else NEVER


def _logon_hours(hours: LogonHours) -> bytes:
    """21 octets, one bit an hour from Sunday midnight UTC, lowest bit first (MS-ADA1, Logon-Hours)."""
    return _bits(_WEEK.index(day) * 24 + hour for day in hours.days for hour in range(hours.from_hour, hours.to_hour))


def _bits(places: Iterable[int]) -> bytes:
    return sum(1 << place for place in set(places)).to_bytes(21, "little")
