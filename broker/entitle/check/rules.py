"""Guardrails, mappings and denies: references lead somewhere, and what protects does not protect nothing."""

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

from broker.entitle import canonical
from broker.entitle.catalogue import Names
from broker.entitle.check.context import Context
from broker.entitle.declared import Entry
from broker.entitle.shape import (
    AccountExcept,
    AccountFields,
    DenyShape,
    GuardrailShape,
    MappingShape,
    RoleFields,
    TemplateShape,
)
from broker.entitle.source import Path
from broker.entitle.template import parse_template

Giving: TypeAlias = Entry[MappingShape] | Entry[DenyShape]
AnyRule: TypeAlias = Entry[GuardrailShape] | Giving


def check_rules(context: Context) -> None:
    """All of them."""
    for guardrail in context.declared.guardrails.values():
        _selectors(context, guardrail)
    for mapping in context.declared.mappings.values():
        _giving(context, mapping)
    for deny in context.declared.denies.values():
        _giving(context, deny)
        _loose(context, deny)


def _giving(context: Context, rule: Giving) -> None:
    groups = rule.shape.groups
    fields: tuple[str, ...] = ()
    if isinstance(groups, TemplateShape):
        fields = parse_template(groups.named).fields
        _under(context, rule, groups)
    else:
        context.references(rule, "groups", groups, ("groups",))
        _something(context, rule, "groups", frozenset(groups))
    for section, field, said in (("accounts", "account", rule.shape.accounts), ("roles", "role", rule.shape.roles)):
        if said is None and field not in fields:  # check: selector-is-said
            context.problem(rule.where(), f"{section!r} is missing", f"list them, or write `{section}: all`")
    _selectors(context, rule)


def _under(context: Context, rule: Giving, groups: TemplateShape) -> None:
    if not context.provider_is_known(rule, groups.provider, ("groups",)):
        return
    has_dns = context.form(groups.provider).has_dns
    if has_dns and groups.under is None:  # check: under-is-mandatory
        what = f"groups of {groups.provider!r} have distinguished names, and `under` is missing"
        context.problem(rule.where(("groups",)), what, "say under which OU the names count")
    if context.providers is not None and not has_dns and groups.under is not None:
        what = f"groups of {groups.provider!r} have no distinguished names"
        context.problem(rule.where(("groups", "under")), what, "remove `under`")


def _selectors(context: Context, rule: AnyRule) -> None:
    accounts, roles = rule.shape.accounts, rule.shape.roles
    if accounts is not None:
        _names(context, rule, "accounts", accounts, ("accounts",))
        if context.whole:
            selected = context.catalogue.select_accounts(canonical.selector(accounts))
            _something(context, rule, "accounts", selected)
    if roles is not None:
        _names(context, rule, "roles", roles, ("roles",))
        if context.whole:
            _something(context, rule, "roles", context.catalogue.select_roles(canonical.selector(roles)))


def _names(context: Context, rule: AnyRule, section: str, selector: Any, path: Path) -> None:  # noqa: ANN401 (a union)
    """Names and values in a selector, and in what it leaves out."""
    if isinstance(selector, list):
        context.references(rule, section, selector, path)
    if not isinstance(selector, AccountFields | RoleFields | AccountExcept):
        return
    if isinstance(selector.names, list):
        context.references(rule, section, selector.names, (*path, "names"))
    if not isinstance(selector, RoleFields) and context.whole:
        _values(context, rule, selector, path)
    if not isinstance(selector, AccountExcept):
        _names(context, rule, section, selector.except_, (*path, "except"))


def _values(context: Context, rule: AnyRule, selector: AccountFields | AccountExcept, path: Path) -> None:
    """Values that no account has. Only what a mapping selects may name them: there a slip grants less, not more."""
    report = context.warning
    if isinstance(selector, AccountExcept) or not isinstance(rule.shape, MappingShape):  # check: value-nobody-has
        report = context.problem
    for field, place, values in _fields(selector):
        known = context.catalogue.by_field(field, exact=True)
        for index, value in enumerate(values):
            if value not in known:
                what = f"no account has {value!r} as its {field.removeprefix('account.')}"
                report(rule.where((*path, *place, index)), what, "correct its spelling, or remove it")


def _fields(selector: AccountFields | AccountExcept) -> Iterator[tuple[str, tuple[str, ...], Sequence[str]]]:
    """(template field, where it is in the selector, its values)."""
    if selector.env is not None:
        yield "account.env", ("env",), selector.env
    for key, values in (selector.tags or {}).items():
        yield f"account.tags.{key}", ("tags", key), values


def _something(context: Context, rule: AnyRule, section: str, selected: Names) -> None:
    """An empty list grants nothing, which is allowed; what protects must not protect nothing."""
    if selected:
        return
    report, what = context.warning, "this selects nothing, so the mapping grants nothing"
    if not isinstance(rule.shape, MappingShape):  # check: protects-something
        report, what = context.problem, "this selects nothing, so the rule protects nothing"
    report(rule.where((section,)), what, "correct it, or remove the whole rule")


def _loose(context: Context, deny: Entry[DenyShape]) -> None:
    """Groups that are known by their name alone: whoever may rename one ends the deny."""
    names = deny.shape.groups if isinstance(deny.shape.groups, list) else []
    for index, name in enumerate(names):
        group = context.declared.groups.get(name)
        if group is None or group.shape.dn is None or group.shape.id is not None:
            continue
        report, remedy = context.warning, "give the group its id, or set the provider's group_id_attribute"
        form = (context.providers or {}).get(group.shape.provider)
        if form is not None and form.has_ids:  # check: deny-by-id
            report, remedy = context.problem, "give the group its id: `broker mappings pin` writes it"
        what = f"this deny stops when {name!r} is moved or renamed in the directory"
        report(deny.where(("groups", index)), what, remedy)
