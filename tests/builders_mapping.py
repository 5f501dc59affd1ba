"""Role-mapping documents for tests: what a test is about, in a document that is otherwise sound."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from builders import a_group

from broker.authenticate.identity import Group
from broker.entitle.document import Document, read_document
from broker.entitle.entitlement import Entitlement
from broker.entitle.resolve import resolve
from broker.entitle.snapshot import Snapshot, compile_document
from broker.errors import ConfigurationError, Problem
from broker.evaluate import BUILT_IN, CONDITIONS

TODAY = datetime(2026, 12, 1, 9, 0, tzinfo=UTC)
DOMAIN = "DC=corp,DC=example"
SIDS = "S-1-5-21-1004336348-1177238915-682003330"

SRE = a_group("SRE", rid=1104)
LEAVERS = a_group("AWS-Blocked", rid=1105)


def sound(**sections: Any) -> dict[str, Any]:  # noqa: ANN401 (a document)
    """A sound document, with `sections` in the place of its own."""
    return {
        "version": 1,
        "groups": {
            "sre": {"provider": "corp-ad", "id": SRE.id, "dn": SRE.dn},
            "leavers": {"provider": "corp-ad", "dn": LEAVERS.dn},
            "contractors": {"provider": "okta", "name": "aws-contractors"},
        },
        "accounts": {
            "payments-prod": {"id": "012345678901", "env": "prod", "tags": {"team": "payments"}},
            "payments-dev": {"id": "210987654321", "env": "dev", "tags": {"team": "payments"}},
            "platform-dev": {"id": "345678901234", "env": "dev", "tags": {"team": "platform"}},
        },
        "roles": {
            "read-only": {"iam_role": "federated/ReadOnly", "max_session": "8h"},
            "power-user": {"iam_role": "federated/PowerUser", "max_session": "4h"},
            "admin": {"iam_role": "federated/Admin", "max_session": "1h"},
        },
        **sections,
    }


def a_mapping(name: str = "sre-reads", **own: Any) -> dict[str, Any]:  # noqa: ANN401 (an entry)
    """SRE may read everything, unless `own` says otherwise; None takes a key away."""
    entry = {"name": name, "groups": ["sre"], "accounts": "all", "roles": ["read-only"], **own}
    return {key: value for key, value in entry.items() if value is not None}


def by_template(name: str = "by-convention", *, named: str = "AWS-{account}-{role}", **own: Any) -> dict[str, Any]:  # noqa: ANN401 (an entry)
    """A mapping by a template below OU=AWS."""
    groups = {"provider": "corp-ad", "under": f"OU=AWS,{DOMAIN}", "named": named}
    return {"name": name, "groups": groups, **own}


def in_aws_ou(name: str, rid: int = 1200) -> Group:
    """A group below OU=AWS."""
    return a_group(name, rid=rid, under="OU=AWS")


def plain_group(name: str, provider: str = "okta") -> Group:
    """A group of a provider whose groups are plain names."""
    return Group(provider=provider, id=name, name=name)


def text_of(document: Mapping[str, Any]) -> str:
    """The document as a file (JSON is YAML)."""
    return whole(json.dumps(document, indent=1))


def whole(text: str) -> str:
    """The text with the mark of its end."""
    return text if text.endswith("\n...\n") else text.rstrip("\n") + "\n...\n"


def document_of(document: Mapping[str, Any] | str, **more: Any) -> Document:  # noqa: ANN401 (as read_document takes)
    """Read it as `mappings.yaml`."""
    text = whole(document) if isinstance(document, str) else text_of(document)
    return read_document({"mappings.yaml": text}, CONDITIONS, **more)


def snapshot_of(document: Mapping[str, Any] | str | None = None, **sections: Any) -> Snapshot:  # noqa: ANN401 (sections)
    """Compile it; without one the sound document with `sections`."""
    return compile_document(document_of(document or sound(**sections)), built_in=BUILT_IN)


def problems_of(document: Mapping[str, Any] | str | None = None, **sections: Any) -> tuple[Problem, ...]:  # noqa: ANN401 (sections)
    """What is wrong with it; fails when nothing is."""
    with pytest.raises(ConfigurationError) as caught:
        document_of(document or sound(**sections))
    return caught.value.problems


def given(snapshot: Snapshot, *groups: Group, now: datetime = TODAY) -> dict[str, Entitlement]:
    """What somebody in `groups` is entitled to, by `account/role`."""
    return {entitlement.key: entitlement for entitlement in resolve(snapshot, groups, now=now)}
