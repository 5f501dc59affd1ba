"""The roles that the broker gives to a person, and which of them is meant by what somebody typed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from .checked import Checked
from .failure import USAGE, Failure
from .signedin import SignedIn

KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}/[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
"""account/role: how the broker names a role."""
ARN = re.compile(r"arn:aws[a-z-]{0,20}:iam::([0-9]{12}):role/([\x21-\x7e]{1,576})", re.ASCII)
SHORT = re.compile(r"([0-9]{12}):([\x21-\x7e]{1,576})", re.ASCII)
"""123456789012:Role"""
TYPED = re.compile(r"[\x21-\x7e]{1,200}", re.ASCII)
ENV = re.compile(r"[\x20-\x7e]{0,64}", re.ASCII)
MOST_NAMED = 10


class Role(NamedTuple):
    """One role, as the broker tells it."""

    role: str
    account: str
    account_id: str
    env: str
    role_arn: str
    description: str
    max_session: int
    available: str
    """now, step-up, refused"""
    reason: str
    opens_at: str

    @property
    def name(self) -> str:
        """The role's part of `role`."""
        return self.role.partition("/")[2]


def read(body: Checked) -> list[Role]:
    """The answer of `GET /api/v1/roles`. Raises `Failure`."""
    return [
        Role(
            role=one.text("role", KEY),
            account=one.text("account", TYPED),
            account_id=one.text("account_id", re.compile("[0-9]{12}")),
            env=one.text("env", ENV),
            role_arn=one.text("role_arn", ARN),
            description=one.text("description", default=""),
            max_session=one.number("max_session", 1, 43_200),
            available=one.text("available", re.compile("now|step-up|refused")),
            reason=one.text("reason", default=""),
            opens_at=one.text("opens_at", default="", most=40),
        )
        for one in body.parts("roles")
    ]


def fetch(signed_in: SignedIn) -> list[Role]:
    """All of them, asked now."""
    return read(signed_in.get("/api/v1/roles"))


def matching(roles: Sequence[Role], typed: str) -> list[Role]:
    """Which roles `typed` can mean: an exact name or ARN means one, else whatever it begins."""
    arn, short = ARN.fullmatch(typed), SHORT.fullmatch(typed)
    if arn:
        return [role for role in roles if role.role_arn == typed]
    if short:
        return [role for role in roles if role.account_id == short[1] and _is(role, short[2])]
    exact = [role for role in roles if role.role == typed]
    return exact or [role for role in roles if role.role.startswith(typed)]


def _is(role: Role, name: str) -> bool:
    """Whether `name` is the role's own: with the IAM path or without, or the broker's."""
    path = role.role_arn.partition(":role/")[2]
    return name in {path, path.rpartition("/")[2], role.name}


def one(roles: Sequence[Role], typed: str, server: str) -> Role:
    """The only one that `typed` can mean. Raises `Failure`: one role is never taken for another."""
    found = matching(roles, typed)
    if len(found) == 1:
        return found[0]
    if not found:
        step = f"See yours: aws-broker roles --server {server}; or ask: aws-broker why {shown(typed)}"
        raise Failure(USAGE, f"You have no role {shown(typed)}.", step=step)
    names = ", ".join(sorted(role.role for role in found)[:MOST_NAMED])
    more = f" and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else ""
    raise Failure(USAGE, f"{shown(typed)} can mean {len(found)} roles: {names}{more}.", step="Type more of it.")


def shown(typed: str) -> str:
    """What was typed, to show it."""
    return typed if TYPED.fullmatch(typed) else ascii(typed)


def check_typed(typed: str) -> str:
    """Refuse what can be no role's name."""
    if not TYPED.fullmatch(typed):
        raise Failure(USAGE, f"{typed!a} is not a role's name.", step="Write account/role.")
    return typed
