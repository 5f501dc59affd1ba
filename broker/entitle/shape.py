"""The shape of one file of the mapping document, as pydantic models: which keys there are, and what each may hold.

Nothing here knows whether a name exists elsewhere: that is `check.py`. Conditions are plain data here; the vocabulary
that arrives in `conditions.py` gives them their types.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    JsonValue,
    StringConstraints,
    Tag,
    model_validator,
)
from pydantic.json_schema import WithJsonSchema

from broker.challenge.proof import Method
from broker.duration import Duration, Instant, format_duration, refusal
from broker.entitle.arn import PARTITION, parse_iam_role
from broker.entitle.dn import parse_dn
from broker.entitle.group_id import fold_id
from broker.entitle.readable import UNSHOWN
from broker.entitle.template import parse_template

NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
TAG_KEY = r"^[A-Za-z0-9][A-Za-z0-9._:/-]{0,63}$"
ACCOUNT_ID = r"^[0-9]{12}$"
EXTERNAL_ID = r"^[A-Za-z0-9_+=,.@:/-]{2,1224}$"
"""sts:AssumeRole, parameter ExternalId."""
LINE = rf"^[^ {UNSHOWN}](?:[^{UNSHOWN}]{{0,254}}[^ {UNSHOWN}])?$"
PLAIN = r"^[!-~](?:[ -~]{0,254}[!-~])?$"
"""ASCII alone: another alphabet has letters that look the same, and what looks the same must select the same."""
TARGET = r"^(\*|[A-Za-z0-9][A-Za-z0-9._-]{0,63})/(\*|[A-Za-z0-9][A-Za-z0-9._-]{0,63})$"

FIRST, LAST, OLDEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2999, 12, 31, tzinfo=UTC), timedelta(days=3660)
"""Of what a test may speak: far from where the calendar ends, in any zone."""

PATTERNS = {
    NAME: "a name is 1-64 letters, digits, dots, hyphens and underscores, and begins with a letter or digit",
    TAG_KEY: "a tag's key is 1-64 letters, digits and ._:/- and begins with a letter or digit",
    ACCOUNT_ID: "an account id is 12 digits",
    EXTERNAL_ID: "an external id is 2-1224 letters, digits and _+=,.@:/-",
    PARTITION: "a partition is aws, aws-cn, aws-us-gov, aws-eusc, or one of the aws-iso family",
    LINE: "one line of 1-256 characters, with no space at its ends and no control characters",
    PLAIN: "what selects is 1-256 ASCII letters, digits, signs and inner spaces: others can look like them",
    TARGET: "account/role, with * for any account or any role",
}
"""What each pattern means, for people."""


def _must(parse: Callable[[str], object]) -> AfterValidator:
    """The text must be one that `parse` reads; the text itself is kept."""

    def check(text: str) -> str:
        try:
            parse(text)
        except ValueError as error:
            raise refusal(str(error)) from None
        return text

    return AfterValidator(check)


def _distinguished(text: str) -> str:
    try:
        name = str(parse_dn(text))
    except ValueError as error:
        raise refusal(str(error)) from None
    if re.search(f"[{UNSHOWN}]", name):  # check: dn-on-one-line
        reason = "a control character in a distinguished name (a line end too: write a folded name with >-)"
        raise refusal(reason)
    return name


def _reachable(instant: datetime) -> datetime:
    if not FIRST <= instant <= LAST:  # check: test-instant-bounds
        reason = f"a test is about a moment between {FIRST:%Y-%m-%d} and {LAST:%Y-%m-%d}"
        raise refusal(reason)
    return instant


def _recent(age: timedelta) -> timedelta:
    if age > OLDEST:  # check: test-age-bounds
        reason = f"at most {format_duration(OLDEST)}"
        raise refusal(reason)
    return age


def _has_field(text: str) -> None:
    if not parse_template(text).fields:
        message = "a template without any field; for one group declare it under `groups:` and list its name"
        raise ValueError(message)


def _kind(value: Any) -> str:  # noqa: ANN401 (whatever the file says)
    return "list" if isinstance(value, list) else "fields" if isinstance(value, dict) else "word"


Name = Annotated[str, StringConstraints(pattern=NAME)]
Line = Annotated[str, StringConstraints(pattern=LINE)]
Plain = Annotated[str, StringConstraints(pattern=PLAIN)]
TagKey = Annotated[str, StringConstraints(pattern=TAG_KEY)]
Distinguished = Annotated[str, AfterValidator(_distinguished)]
"""Kept normalised."""
CONDITIONS_HERE = "conditions of the vocabulary"
"""Marks in the generated JSON Schema where `schema.py` puts the conditions' own schema."""
Conditions = Annotated[dict[str, JsonValue], Field(min_length=1), WithJsonSchema({"title": CONDITIONS_HERE})]


class Model(BaseModel):
    """What all parts of the document share: unknown keys are errors, nothing is converted, nothing changes later."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, validate_by_name=False, hide_input_in_errors=True
    )


class GroupShape(Model):
    """A directory group. Where an `id` is given it decides, and `dn` or `name` are for people."""

    provider: Name
    id: Annotated[Plain, AfterValidator(fold_id)] | None = None
    dn: Distinguished | None = None
    name: Line | None = None

    @model_validator(mode="after")
    def _known_by(self) -> "GroupShape":
        given = self.model_fields_set & {"id", "dn", "name"}
        if not given or {"dn", "name"} <= given:
            reason = "a group is known by its id, its dn or its name: give the id and one of the others, or one of them"
            raise refusal(reason)
        return self


class AccountShape(Model):
    """An AWS account."""

    id: Annotated[str, StringConstraints(pattern=ACCOUNT_ID)]
    env: Plain | None = None
    partition: Annotated[str, StringConstraints(pattern=PARTITION)] = "aws"
    tags: dict[TagKey, Plain] = {}
    external_id: Annotated[str, StringConstraints(pattern=EXTERNAL_ID)] | None = None


class RoleShape(Model):
    """A role, the same in every account that has it."""

    iam_role: Annotated[str, _must(parse_iam_role)]
    max_session: Duration
    description: Line | None = None


class RoleFields(Model):
    """Roles by name, except some."""

    names: Literal["all"] | list[Name]
    except_: list[Name] | None = Field(default=None, alias="except")


class _Fields(Model):
    env: list[Plain] | None = None
    tags: Annotated[dict[TagKey, list[Plain]], Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _something(self) -> "_Fields":
        if not self.model_fields_set & {"names", "env", "tags"}:  # check: all-is-said
            reason = "no names, env or tags; only the word all means all"
            raise refusal(reason)
        return self


class AccountExcept(_Fields):
    """Accounts to leave out: all fields must hold."""

    names: list[Name] | None = None


class AccountFields(_Fields):
    """Accounts by name, env and tags: all fields must hold, `except` does not."""

    names: Literal["all"] | list[Name] | None = None
    except_: (
        Annotated[Annotated[list[Name], Tag("list")] | Annotated[AccountExcept, Tag("fields")], Discriminator(_kind)]
        | None
    ) = Field(default=None, alias="except")


class TemplateShape(Model):
    """Groups by their names: `{account}`, `{role}`, `{account.env}`, `{account.tags.KEY}` stand for declared names."""

    provider: Name
    under: Distinguished | None = None
    named: Annotated[Plain, _must(_has_field)]


AccountSelector = Annotated[
    Annotated[list[Name], Tag("list")]
    | Annotated[AccountFields, Tag("fields")]
    | Annotated[Literal["all"], Tag("word")],
    Discriminator(_kind),
]
RoleSelector = Annotated[
    Annotated[list[Name], Tag("list")] | Annotated[RoleFields, Tag("fields")] | Annotated[Literal["all"], Tag("word")],
    Discriminator(_kind),
]
Groups = Annotated[Annotated[list[Name], Tag("list")] | Annotated[TemplateShape, Tag("fields")], Discriminator(_kind)]


class RuleShape(Model):
    """What guardrails, mappings and denies share."""

    name: Name
    accounts: AccountSelector | None = None
    roles: RoleSelector | None = None


class GuardrailShape(RuleShape):
    """Conditions that every grant in these accounts and roles must also pass; no `accounts` or `roles`: all of them."""

    conditions: Conditions


class MappingShape(RuleShape):
    """Who may have which roles in which accounts, and under which conditions."""

    groups: Groups
    conditions: Conditions | None = None
    owner: Line | None = None
    expires: Instant | None = None


class DenyShape(RuleShape):
    """Who may never have them, whatever else is written."""

    groups: Groups


class TestMfaShape(Model):
    """Which factors the person of a test has shown, and how long ago."""

    methods: list[Method] = Field(min_length=1)
    age: Annotated[Duration, AfterValidator(_recent)]


class TestShape(Model):
    """An expectation: a change of the document that breaks it is not applied."""

    name: Line
    groups: list[Annotated[Annotated[Name, Tag("word")] | Annotated[GroupShape, Tag("fields")], Discriminator(_kind)]]
    at: Annotated[Instant, AfterValidator(_reachable)] | None = None
    from_: Annotated[str, _must(ip_address)] | None = Field(default=None, alias="from")
    mfa: TestMfaShape | None = None
    tls: Literal["1.0", "1.1", "1.2", "1.3"] | None = None
    allow: list[Annotated[str, StringConstraints(pattern=TARGET)]] = []
    deny: list[Annotated[str, StringConstraints(pattern=TARGET)]] = []


class FileShape(Model):
    """One file of the document."""

    version: Literal[1]
    groups: dict[Name, GroupShape] = {}
    accounts: dict[Name, AccountShape] = {}
    roles: dict[Name, RoleShape] = {}
    guardrails: list[GuardrailShape] = []
    mappings: list[MappingShape] = []
    denies: list[DenyShape] = []
    tests: list[TestShape] = []


NAMED: dict[str, type[Model]] = {"groups": GroupShape, "accounts": AccountShape, "roles": RoleShape}
"""The sections that are mappings from names."""
LISTED: dict[str, type[Model]] = {
    "guardrails": GuardrailShape,
    "mappings": MappingShape,
    "denies": DenyShape,
    "tests": TestShape,
}
"""The sections that are lists of things with a `name`."""
