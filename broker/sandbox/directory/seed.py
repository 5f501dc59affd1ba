"""The people, groups and rules that the sandbox's directory is made from: a YAML file, read strictly.

Every mistake is reported at once with file, line and column; a key that is not known is a mistake.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import date
from enum import StrEnum
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from broker.errors import ConfigurationError, Problem

AccountName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,19}$")]
CommonName = Annotated[str, StringConstraints(min_length=1, max_length=64)]
Rid = Annotated[int, Field(ge=1000, lt=2**30)]

BUILT_IN = frozenset({"domain users", "users"})
"""Groups that every domain has; they are made without being in the seed."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Domain(_Strict):
    """The domain and its account policy."""

    dns_name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]+(\.[a-z0-9-]+)+$")]
    netbios_name: Annotated[str, StringConstraints(pattern=r"^[A-Z0-9-]{1,15}$")]
    sid: Annotated[str, StringConstraints(pattern=r"^S-1-5-21(-[0-9]{1,10}){3}$")]
    controller: Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,15}$")]
    lockout_threshold: Annotated[int, Field(ge=0, le=999)]
    """Wrong passwords in a row until an account locks; 0: never."""
    lockout_minutes: Annotated[int, Field(ge=1, le=99_999)]
    """How long it stays locked, and how long a wrong password counts."""
    password_days: Annotated[int, Field(ge=1, le=999)]
    """How old a password may become."""


class GroupKind(StrEnum):
    """Whether a group grants rights."""

    SECURITY = "security"
    DISTRIBUTION = "distribution"


class GroupScope(StrEnum):
    """Where in a forest a group may be used."""

    GLOBAL = "global"
    DOMAIN_LOCAL = "domain-local"
    UNIVERSAL = "universal"


class SeedGroup(_Strict):
    """One group; `name` is its cn, `account` its sAMAccountName (the name where not given)."""

    name: CommonName
    account: CommonName | None = None
    unit: str
    rid: Rid
    kind: GroupKind = GroupKind.SECURITY
    scope: GroupScope = GroupScope.GLOBAL
    member_of: tuple[str, ...] = ()
    """Names of the groups that it is nested in."""


class LogonHours(_Strict):
    """When an account may sign in, in UTC: whole hours, on each of the days; no day: never."""

    days: frozenset[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]]
    from_hour: Annotated[int, Field(ge=0, le=23)]
    to_hour: Annotated[int, Field(ge=1, le=24)]


class Person(_Strict):
    """One account; `story` says in a line why it is there."""

    account: AccountName
    """sAMAccountName, and the first part of the mail address and of the UPN where that is not given."""
    upn: str | None = None
    given_name: CommonName
    surname: CommonName
    common_name: CommonName | None = None
    """The cn; given name and surname where not given."""
    display_name: CommonName | None = None
    """Given name and surname where not given."""
    mail: str | None = None
    """`account@dns_name` where not given."""
    unit: str
    rid: Rid
    password: Annotated[str, Field(min_length=1, repr=False)]
    story: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    groups: tuple[str, ...] = ()
    disabled: bool = False
    locked: bool = False
    must_change_password: bool = False
    password_age_days: Annotated[int, Field(ge=0)] = 1
    password_never_expires: bool = False
    smart_card_required: bool = False
    account_expires: date | Literal["never", "unset"] = "unset"
    """A day; or AD's two ways to say that it does not: 0 (`never`), and the largest number (`unset`)."""
    logon_hours: LogonHours | None = None
    workstations: tuple[str, ...] = ()

    @property
    def full_name(self) -> str:
        """The cn."""
        return self.common_name or f"{self.given_name} {self.surname}"


class Seed(_Strict):
    """A whole domain."""

    version: Literal[1]
    domain: Domain
    units: tuple[CommonName, ...]
    """Organizational units below the domain's root."""
    groups: tuple[SeedGroup, ...]
    people: tuple[Person, ...]

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        problems = [*self._repeated(), *self._dangling()]
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _repeated(self) -> Iterator[str]:
        accounts = [group.account or group.name for group in self.groups] + [person.account for person in self.people]
        names = [(g.unit, g.name) for g in self.groups] + [(p.unit, p.full_name) for p in self.people]
        yield from _twice("account", (*BUILT_IN, *(account.lower() for account in accounts)))
        yield from _twice("rid", [group.rid for group in self.groups] + [person.rid for person in self.people])
        yield from _twice("group", [group.name for group in self.groups])
        yield from _twice("name", [f"{name} in {unit}".lower() for unit, name in names])
        yield from _twice("unit", [unit.lower() for unit in self.units])

    def _dangling(self) -> Iterator[str]:
        groups = {group.name for group in self.groups}
        named = {name for person in self.people for name in person.groups}
        named |= {name for group in self.groups for name in group.member_of}
        units = {group.unit for group in self.groups} | {person.unit for person in self.people}
        yield from (f"there is no group {name!r}" for name in sorted(named - groups))
        yield from (f"there is no unit {name!r}" for name in sorted(units - set(self.units)))


def _twice(what: str, values: Iterable[object]) -> Iterator[str]:
    return (f"{what} {value!r} is there {count} times" for value, count in Counter(values).items() if count > 1)


def read_seed(path: Path | None = None) -> Seed:
    """Read and check a seed; without a path the one that comes with the package.

    Raises `ConfigurationError` with every problem and where it stands.
    """
    if path is None:
        packaged = files("broker.sandbox").joinpath("people.yaml")
        return parse_seed(packaged.read_text(encoding="utf-8"), name="people.yaml")
    return parse_seed(path.read_text(encoding="utf-8"), name=str(path))


def parse_seed(text: str, *, name: str) -> Seed:
    """Check a seed's text; `name` stands in front of its problems. Raises `ConfigurationError`."""
    loader = yaml.SafeLoader(text)
    try:
        root = loader.get_single_node()
        content = loader.construct_document(root) if root is not None else None
    except yaml.MarkedYAMLError as error:
        where = _where(name, error.problem_mark)
        raise ConfigurationError([Problem(where=where, what=f"not YAML: {error.problem}")]) from error
    repeated = list(_repeated_keys(root, name))
    if repeated:
        raise ConfigurationError(repeated)
    try:
        return Seed.model_validate(content)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        raise ConfigurationError(
            [
                Problem(where=_where(name, _mark(root, item["loc"])), what=_sentence(item["loc"], item["msg"]))
                for item in found
            ]
        ) from error


def _sentence(location: tuple[int | str, ...], message: str) -> str:
    return ".".join(map(str, location)) + (": " if location else "") + message


def _where(name: str, mark: yaml.Mark | None) -> str:
    return name if mark is None else f"{name}:{mark.line + 1}:{mark.column + 1}"


def _repeated_keys(node: yaml.Node | None, name: str) -> Iterator[Problem]:
    """PyYAML lets the last of two equal keys win without a word."""
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for key, value in node.value:
            if key.value in seen:
                yield Problem(where=_where(name, key.start_mark), what="a key that is there twice")
            if isinstance(key, yaml.ScalarNode):
                seen.add(key.value)
            yield from _repeated_keys(value, name)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _repeated_keys(item, name)


def _mark(node: yaml.Node | None, location: tuple[int | str, ...]) -> yaml.Mark | None:
    """Where the thing at `location` stands, or the nearest thing around it."""
    if node is None:
        return None
    for step in location:
        inner: yaml.Node | None = None
        if isinstance(node, yaml.MappingNode):
            inner = next((value for key, value in node.value if key.value == step), None)
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            inner = node.value[step]
        if inner is None:
            break
        node = inner
    return node.start_mark
