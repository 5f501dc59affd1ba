"""Names that mean something else, account ids, the length of sessions, how groups are known, what tests speak of."""

import re
from datetime import timedelta
from typing import Any

from broker.authenticate.identity import GroupForm
from broker.entitle.check.context import Context
from broker.entitle.declared import SECTIONS, Entry
from broker.entitle.entitlement import BUILT_IN
from broker.entitle.group_id import SID
from broker.entitle.shape import GroupShape, TestShape
from broker.entitle.source import Path

SHORTEST_SESSION = timedelta(minutes=15)
LONGEST_SESSION = timedelta(hours=12)
"""sts:AssumeRole, DurationSeconds: 900 to 43200."""
_DIGEST = re.compile(r"(?<![A-Za-z0-9])[0-9a-f]{8,}(?![A-Za-z0-9])")
"""What AWS itself puts behind the names of roles, as in AWSReservedSSO_ReadOnlyAccess_0a1b2c3d4e5f6a7b."""


def check_names(context: Context) -> None:
    """Reserved names, account ids, the length of sessions."""
    declared, problem = context.declared, context.problem
    for section in (declared.groups, declared.accounts, declared.roles):
        if "all" in section:
            problem(section["all"].where(), "all is a word of its own", "choose another name")
    for rules in (declared.guardrails, declared.mappings, declared.denies):
        if BUILT_IN in rules:
            problem(rules[BUILT_IN].where(), f"{BUILT_IN} is the broker's own rule", "choose another name")
    ids: dict[str, str] = {}
    for name, account in declared.accounts.items():
        other = ids.setdefault(account.shape.id, name)
        if other != name:  # check: account-id-once
            problem(account.where(("id",)), f"{other!r} has this account id too", "correct one of them")
    for role in declared.roles.values():
        if not SHORTEST_SESSION <= role.shape.max_session <= LONGEST_SESSION:  # check: session-length
            problem(role.where(("max_session",)), "a session lasts 15m to 12h", "correct it")


def check_secrets(context: Context) -> None:
    """No name is a secret: names are shown to people and stand in the audit trail."""
    for section in SECTIONS:
        for name, entry in context.declared.section(section).items():
            if context.is_secret(_DIGEST.sub("", name)):  # check: name-is-no-secret
                what = "this name looks like a key, token or password hash; names are shown and recorded"
                context.problem(entry.where(), what, "choose another; a secret that stood here is none any more")


def check_groups(context: Context) -> None:
    """Known providers; distinguished names where they have them, plain names where they do not."""
    for entry in context.declared.groups.values():
        _group(context, entry, entry.shape, ())


def _group(context: Context, entry: Entry[Any], shape: GroupShape, path: Path) -> None:
    if not context.provider_is_known(entry, shape.provider, path):
        return
    form = context.form(shape.provider)
    if form.has_dns and shape.name is not None and shape.id is None:  # check: name-for-dn
        what = f"groups of {shape.provider!r} have distinguished names, and a name alone may be anybody's"
        context.problem(entry.where((*path, "name")), what, "give the dn or the id")
    if context.providers is None:
        return
    if not form.has_dns and shape.dn is not None:
        what = f"groups of {shape.provider!r} have no distinguished names"
        context.problem(entry.where((*path, "dn")), what, "give the name")
    if form is GroupForm.DN and shape.id is not None:  # check: id-where-there-is-none
        what = f"groups of {shape.provider!r} have no ids, so this one matches nobody"
        context.problem(entry.where((*path, "id")), what, "give the dn alone, or set the provider's group_id_attribute")
    if form is GroupForm.SID and shape.id is not None and not SID.fullmatch(shape.id):  # check: id-is-a-sid
        what = f"the id of a group of {shape.provider!r} is its SID, and this is none of a domain's group"
        remedy = "correct it; without it, `broker mappings pin` writes the right one"
        context.problem(entry.where((*path, "id")), what, remedy)


def check_tests(context: Context) -> None:
    """Their groups and what they expect."""
    for test in context.declared.tests.values():
        for index, group in enumerate(test.shape.groups):
            if isinstance(group, GroupShape):
                _group(context, test, group, ("groups", index))
            elif not context.declared.exists("groups", group):
                what = f"there is no {group!r} under `groups`"
                context.problem(test.where(("groups", index)), what, "declare it, or correct its spelling")
        if not test.shape.allow and not test.shape.deny:  # check: test-expects-something
            context.problem(test.where(), "this test expects nothing", "list what it should allow or deny")
        _targets(context, test)


def _targets(context: Context, test: Entry[TestShape]) -> None:
    for key, targets in (("allow", test.shape.allow), ("deny", test.shape.deny)):
        for index, target in enumerate(targets):
            for section, name in zip(("accounts", "roles"), target.split("/"), strict=True):
                if name != "*" and not context.declared.exists(section, name):
                    what = f"there is no {name!r} under `{section}`"
                    context.problem(test.where((key, index)), what, "declare it, or correct its spelling")
