"""The document's meaning in one spelling: plain data in which order, quoting and comments leave no trace.

Its SHA-256 is the revision; its bytes are what a compiled snapshot keeps. Lists are sets, so they are sorted; absent
keys are absent; names carry their entries; durations are seconds and distinguished names are normalised.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from broker.entitle.conditions import ConditionReader
from broker.entitle.shape import (
    AccountExcept,
    AccountFields,
    AccountShape,
    DenyShape,
    GroupShape,
    GuardrailShape,
    MappingShape,
    RoleFields,
    RoleShape,
    TemplateShape,
    TestShape,
)


def to_bytes(plain: Mapping[str, Any]) -> bytes:
    """Canonical JSON."""
    return json.dumps(plain, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


def group(shape: GroupShape) -> dict[str, Any]:
    """A declared group."""
    return _without_none(provider=shape.provider, id=shape.id, dn=shape.dn, name=shape.name)


def account(shape: AccountShape) -> dict[str, Any]:
    """An account, as keywords of `Account`."""
    own = _without_none(id=shape.id, env=shape.env, external_id=shape.external_id)
    return {**own, "partition": shape.partition, "tags": dict(shape.tags)}


def role(shape: RoleShape) -> dict[str, Any]:
    """A role, as keywords of `Role`; `max_session` in seconds."""
    seconds = int(shape.max_session.total_seconds())
    return _without_none(iam_role=shape.iam_role, max_session=seconds, description=shape.description)


def guardrail(shape: GuardrailShape, reader: ConditionReader) -> dict[str, Any]:
    """A guardrail; no selector means all."""
    return {
        "accounts": "all" if shape.accounts is None else selector(shape.accounts),
        "roles": "all" if shape.roles is None else selector(shape.roles),
        "conditions": reader.canonical(shape.conditions),
    }


def mapping(shape: MappingShape, reader: ConditionReader) -> dict[str, Any]:
    """A mapping; no selector means what the template's `{account}` or `{role}` says."""
    return _without_none(
        groups=_groups(shape.groups),
        accounts=selector(shape.accounts),
        roles=selector(shape.roles),
        conditions=reader.canonical(shape.conditions) if shape.conditions else None,
        owner=shape.owner,
        expires=shape.expires.isoformat() if shape.expires else None,
    )


def deny(shape: DenyShape, _reader: ConditionReader) -> dict[str, Any]:
    """A deny."""
    return _without_none(groups=_groups(shape.groups), accounts=selector(shape.accounts), roles=selector(shape.roles))


def test(shape: TestShape, _reader: ConditionReader) -> dict[str, Any]:
    """A test."""
    groups = [one if isinstance(one, str) else group(one) for one in shape.groups]
    by_text = {json.dumps(one, sort_keys=True): one for one in groups}
    return {
        "groups": [by_text[text] for text in sorted(by_text)],
        "allow": _sorted(shape.allow),
        "deny": _sorted(shape.deny),
        **_without_none(
            at=shape.at.isoformat() if shape.at else None,
            address=shape.from_,
            methods=_sorted(shape.mfa.methods) if shape.mfa else None,
            mfa_age=int(shape.mfa.age.total_seconds()) if shape.mfa else None,
            tls=shape.tls,
        ),
    }


def selector(
    shape: str | list[str] | AccountFields | RoleFields | AccountExcept | None,
) -> str | list[str] | dict[str, Any] | None:
    """A selector; one that only names things is the plain list (or `all`)."""
    if shape is None or isinstance(shape, str):
        return shape
    if isinstance(shape, list):
        return _sorted(shape)
    own = _without_none(names=selector(shape.names))
    if not isinstance(shape, RoleFields):
        own |= _without_none(env=selector(shape.env))
        own |= {"tags": {key: _sorted(values) for key, values in shape.tags.items()}} if shape.tags else {}
    if not isinstance(shape, AccountExcept) and shape.except_ is not None:
        own["except"] = selector(shape.except_)
    return own["names"] if own.keys() == {"names"} else own


def _groups(shape: list[str] | TemplateShape) -> list[str] | dict[str, Any]:
    if isinstance(shape, list):
        return _sorted(shape)
    return _without_none(provider=shape.provider, under=shape.under, named=shape.named)


def _sorted(values: Iterable[str]) -> list[str]:
    return sorted(set(values))


def _without_none(**values: object) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}
