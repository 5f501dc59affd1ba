"""The role mapping at 1,000 accounts, 20 roles and up to 10,000 mappings."""

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial

import yaml
from harness import Figure, ratio

from broker.authenticate.identity import Group
from broker.entitle.document import read_document
from broker.entitle.resolve import resolve
from broker.entitle.snapshot import Snapshot, compile_document, load
from broker.evaluate import BUILT_IN, CONDITIONS

NOW = datetime(2026, 12, 1, 9, 0, tzinfo=UTC)
ACCOUNTS, ROLES, TEMPLATES, MINE = 1000, 20, 50, 200
DOMAIN = "DC=corp,DC=example"
SID = "S-1-5-21-1004336348-1177238915-682003330"
MATCHED = 10
"""Mappings that concern the person; they come first, so every document has them."""


def document(mappings: int) -> str:
    """A document with so many mappings, the templates among them."""
    lines = ["version: 1", "groups:"]
    lines += [
        f'  group-{n}: {{provider: corp-ad, dn: "CN=Group {n},OU=Groups,{DOMAIN}", id: {SID}-{10_000 + n}}}'
        for n in range(mappings)
    ]
    lines += ["accounts:"]
    lines += [
        f'  account-{n}: {{id: "{n:012d}", env: {("dev", "test", "prod")[n % 3]}, tags: {{team: team-{n % 100}}}}}'
        for n in range(ACCOUNTS)
    ]
    lines += ["roles:"]
    lines += [f"  role-{n}: {{iam_role: federated/Role{n}, max_session: 4h}}" for n in range(ROLES)]
    lines += ["guardrails:", "  - {name: prod, accounts: {env: [prod]}, conditions: {mfa: {max_age: 8h}}}", "mappings:"]
    templates = TEMPLATES if mappings > TEMPLATES * 2 else TEMPLATES // 10
    for n in range(templates):
        lines += [
            f"  - name: template-{n}",
            f'    groups: {{provider: corp-ad, under: "OU=AWS,{DOMAIN}", named: "AWS{n}-{{account}}_{{role}}"}}',
        ]
    for n in range(mappings - templates):
        lines += [
            f"  - name: mapping-{n}",
            f"    groups: [group-{n}]",
            f"    accounts: {{env: [dev, test], tags: {{team: [team-{n % 100}]}}}}",
            f"    roles: [role-{n % ROLES}]",
            "    conditions:",
            f"      mfa: {{max_age: {n % 8 + 1}h}}",
            '      source_ip: {in: ["10.0.0.0/8"], not_in: ["10.66.0.0/16"]}',
            f"    owner: team-{n % 100}@corp.example",
        ]
    return "\n".join([*lines, "..."]) + "\n"


def person() -> frozenset[Group]:
    """Somebody in 200 groups: some are mapped one by one, some by template, most mean nothing here."""
    mapped = [_group(f"Group {n}", "Groups", 10_000 + n) for n in range(MATCHED)]
    named = [_group(f"AWS{n}-account-{n}_role-{n}", "AWS", 5_000 + n) for n in range(TEMPLATES // 10)]
    others = [_group(f"Mail {n}", "Lists", 1_000_000 + n) for n in range(MINE - len(mapped) - len(named))]
    return frozenset((*mapped, *named, *others))


def _group(name: str, unit: str, rid: int) -> Group:
    return Group(provider="corp-ad", id=f"{SID}-{rid}", name=name, dn=f"CN={name},OU={unit},{DOMAIN}")


def snapshot(text: str) -> Snapshot:
    return compile_document(read_document({"mappings.yaml": text}, CONDITIONS), built_in=BUILT_IN)


def figures() -> Iterator[Figure]:
    text = document(10_000)
    large, small, mine = snapshot(text), snapshot(document(100)), person()
    found, expected = resolve(large, mine, now=NOW), resolve(small, mine, now=NOW)
    if [entitlement.key for entitlement in found] != [entitlement.key for entitlement in expected] or not found:
        message = "the two documents must give this person the same roles"
        raise AssertionError(message)

    def often(where: Snapshot) -> None:
        for _ in range(50):
            resolve(where, mine, now=NOW)

    def compose() -> object:
        return yaml.compose(text, Loader=yaml.CSafeLoader)

    yield Figure(
        group="resolve",
        name="10000-mappings-to-100",
        measured=ratio(partial(often, large), partial(often, small)),
        target=2,
    )
    yield Figure(
        group="resolve", name="read-to-compose", measured=ratio(partial(snapshot, text), compose, rounds=3), target=2.5
    )
    dumped = large.dump()
    yield Figure(
        group="resolve",
        name="load-to-compose",
        measured=ratio(lambda: load(dumped, CONDITIONS, built_in=BUILT_IN), compose, rounds=3),
        target=0.3,
    )
