"""The people and groups that every directory in the provider contract holds, and how each kind of directory says so."""

from dataclasses import dataclass
from enum import Enum, auto

from neighbours.slapd import READER, SUFFIX, policy

PASSWORD = "Correct-Horse-7"


class State(Enum):
    """What a sign-in with the right password meets."""

    FINE = auto()
    DISABLED = auto()
    EXPIRED = auto()
    MUST_CHANGE = auto()
    PASSWORD_EXPIRED = auto()
    LOGON_HOURS = auto()
    WORKSTATION = auto()
    GRACE = auto()
    """The password has expired, and the server lets it pass a few times more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """One account."""

    state: State = State.FINE
    principal: str = ""
    """Before the @; the name itself unless said."""
    unit: str = "Staff"


@dataclass(frozen=True, slots=True, kw_only=True)
class Team:
    """One group."""

    people: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    security: bool = True


PEOPLE = {
    "ada": Person(principal="ada.lovelace"),
    "boris": Person(),
    "carol": Person(),
    "dora": Person(),
    "erik": Person(),
    "fay": Person(),
    "loner": Person(),
    "outsider": Person(unit="Elsewhere"),
    # each for the one test that changes them
    **dict.fromkeys(("changer", "dismissed", "leaver", "mover", "hasty", "renamed"), Person()),
    **dict.fromkeys(
        ("locked", "victim", "victim-of-loss", "typist", "besieged", "fine-grained", "locked-on-the-wire", "swapped"),
        Person(),
    ),
    "disabled": Person(state=State.DISABLED),
    "expired": Person(state=State.EXPIRED),
    "newcomer": Person(state=State.MUST_CHANGE),
    "stale": Person(state=State.PASSWORD_EXPIRED),
    "nighthawk": Person(state=State.LOGON_HOURS),
    "deskbound": Person(state=State.WORKSTATION),
}

GROUPS = {
    "team-payments": Team(people=("ada", "boris")),
    # a cycle: engineering is in everybody, everybody is in engineering
    "engineering": Team(groups=("team-payments", "everybody")),
    "everybody": Team(groups=("engineering",), people=("carol",)),
    "aws-readers": Team(groups=("engineering",)),
    # a mailing list grants nothing, and nothing comes through it
    "mail-all": Team(people=("ada",), security=False),
    "behind-mail": Team(groups=("mail-all",)),
    "aws-admins": Team(people=("erik", "mover")),
}

ADA_IS_IN = frozenset({"team-payments", "engineering", "everybody", "aws-readers"})

BAD_SPELLINGS = (
    " ada",
    "ada ",
    "ada\0",
    "ada\0@evil",
    "ada\n",
    "ada\u200b",
    "ada@corp.example.test\0@evil",
    "<SID=S-1-5-21-1111111111-2222222222-3333333333-1103>",
    "<GUID=88342537-03fd-4224-9782-229f64661250>",
    "CN=ada,OU=Staff,{root}",
    "CN=ada, OU=Staff, {root}",
    "corp.example.test/Staff/ada",
    "OTHER\\ada",
    "\\ada",
    "CORP\\CORP\\ada",
    "ada@elsewhere.test",
    "ada@",
    "@corp.example.test",
    "ada@corp.example.test@corp.example.test",
    "a*",
    "ada)(cn=*",
    "ada" * 100,
)
"""More of them in `tests/authenticate/test_names.py`; here they are proved to stay off the wire."""

_LONG_AGO = 125911584000000000
"""The year 2000, in 100 ns steps since 1601."""


def samba_cast() -> dict[str, object]:
    """As `samba_seed.py` reads it."""
    attributes: dict[State, dict[str, object]] = {
        State.DISABLED: {"userAccountControl": 514},
        State.EXPIRED: {"accountExpires": _LONG_AGO},
        State.MUST_CHANGE: {"pwdLastSet": 0},
        State.LOGON_HOURS: {"logonHours": "A" * 28},
        State.WORKSTATION: {"userWorkstations": "NOSUCHPC"},
    }
    people = {
        name: {
            "password": PASSWORD,
            "unit": f"OU={person.unit}",
            "display_name": name.title(),
            "mail": f"{name}@corp.example.test",
            "principal": f"{person.principal or name}@corp.example.test",
            "attributes": attributes.get(person.state, {}),
            "password_set": _LONG_AGO if person.state is State.PASSWORD_EXPIRED else 0,
        }
        for name, person in {**PEOPLE, "reader": Person(unit="Services")}.items()
    }
    groups = {
        name: {"unit": "OU=Groups", "security": team.security, "members": [*team.people, *team.groups]}
        for name, team in GROUPS.items()
    }
    return {
        "units": ["OU=Staff", "OU=Deep,OU=Staff", "OU=Elsewhere", "OU=Services", "OU=Groups"],
        "people": people,
        "groups": groups,
    }


def slapd_cast() -> str:
    """As LDIF for `neighbours.slapd`. What OpenLDAP has no word for (logon hours, ...) is left out of it."""
    lines: dict[State, str] = {
        State.DISABLED: "pwdAccountLockedTime: 000001010000Z",
        State.MUST_CHANGE: "pwdReset: TRUE",
        State.PASSWORD_EXPIRED: "pwdChangedTime: 20000101000000Z",
        State.GRACE: f"pwdChangedTime: 20000101000000Z\npwdPolicySubentry: cn=graceful,ou=Policies,{SUFFIX}",
    }
    units = ["Staff", "Elsewhere", "Services", "Groups", "Policies"]
    entries = [f"dn: {SUFFIX}\nobjectClass: domain\ndc: corp\n"]
    entries += [f"dn: ou={unit},{SUFFIX}\nobjectClass: organizationalUnit\nou: {unit}\n" for unit in units]
    entries += [policy("default"), policy("graceful", grace=5)]
    entries.append(
        f"dn: {READER}\nobjectClass: device\nobjectClass: simpleSecurityObject\ncn: reader\nuserPassword: {PASSWORD}\n"
    )
    for number, (name, person) in enumerate({**PEOPLE, "grace": Person(state=State.GRACE)}.items()):
        state = lines.get(person.state, "")
        entries.append(
            f"dn: uid={name},ou={person.unit},{SUFFIX}\nobjectClass: inetOrgPerson\nuid: {name}\ncn: {name.title()}\n"
            f"sn: {name}\nmail: {name}@corp.example.test\nuserPassword: {PASSWORD}\n"
            f"entryUUID: 00000000-0000-4000-8000-{number:012d}\n" + (f"{state}\n" if state else "")
        )
    for number, (name, team) in enumerate(GROUPS.items()):
        members = [f"uid={member},ou={PEOPLE[member].unit},{SUFFIX}" for member in team.people]
        members += [f"cn={group},ou=Groups,{SUFFIX}" for group in team.groups]
        kind, attribute = ("groupOfNames", "member") if team.security else ("groupOfUniqueNames", "uniqueMember")
        entries.append(
            f"dn: cn={name},ou=Groups,{SUFFIX}\nobjectClass: {kind}\ncn: {name}\n"
            f"entryUUID: 11111111-0000-4000-8000-{number:012d}\n" + "".join(f"{attribute}: {dn}\n" for dn in members)
        )
    return "\n".join(entries)
