"""What templates can read and roles can become: over everything declared, before anybody asks."""

from broker.entitle import canonical
from broker.entitle.arn import parse_iam_role, role_arn
from broker.entitle.catalogue import Names
from broker.entitle.check.context import Context
from broker.entitle.declared import Entry
from broker.entitle.shape import DenyShape, MappingShape, TemplateShape
from broker.entitle.template import ambiguous, parse_template


def check_templates(context: Context) -> None:
    """Every template can read some group name, and none in two ways."""
    answers: dict[object, tuple[str, str, str] | None] = {}
    for rules in (context.declared.mappings, context.declared.denies):
        for rule in rules.values():
            groups = rule.shape.groups
            if not isinstance(groups, TemplateShape):
                continue
            template = parse_template(groups.named)
            if context.whole:
                _reads_something(context, rule)
            if template.shape not in answers:
                accounts = context.catalogue.accounts.values()
                answers[template.shape] = ambiguous(template, accounts, context.catalogue.roles)
            answer = answers[template.shape]
            if answer:  # check: template-one-reading
                name = f"{template.texts[0]}{answer[0]}{template.texts[-1]}"
                what = f"the group name {name!r} can be read as {answer[1]} and as {answer[2]}"
                remedy = "put another text between the fields, or rename what is declared"
                context.problem(rule.where(("groups", "named")), what, remedy)


def _reads_something(context: Context, rule: Entry[MappingShape] | Entry[DenyShape]) -> None:
    """Some account that the rule selects has a value for every field."""
    if _reachable(context, rule.shape):
        return
    what = "no account that this rule selects has what the template's fields stand for, so it matches no group"
    report = context.warning
    if isinstance(rule.shape, DenyShape):  # check: deny-template-matches
        report = context.problem
    report(rule.where(("groups", "named")), what, "correct it, or remove the whole rule")


def check_arns(context: Context) -> None:
    """Every role that a mapping can give has a valid ARN in every account that it can reach.

    Only roles with placeholders can fail: the others have been checked by themselves.
    """
    reach: dict[str, set[str]] = {
        name: set() for name, role in context.declared.roles.items() if parse_iam_role(role.shape.iam_role).fields
    }
    for mapping in context.declared.mappings.values() if reach else ():
        accounts = _reachable(context, mapping.shape)
        spelled = canonical.selector(mapping.shape.roles)
        roles = context.catalogue.all_roles if spelled is None else context.catalogue.select_roles(spelled)
        for name in roles & reach.keys():
            reach[name] |= accounts
    for name, reached in reach.items():
        _role_in(context, name, sorted(reached))


def _reachable(context: Context, shape: MappingShape | DenyShape) -> Names:
    spelled = canonical.selector(shape.accounts)
    accounts = context.catalogue.all_accounts if spelled is None else context.catalogue.select_accounts(spelled)
    fields = parse_template(shape.groups.named).fields if isinstance(shape.groups, TemplateShape) else ()
    for field in fields:
        if field != "role":
            having = context.catalogue.by_field(field, exact=True).values()
            accounts &= frozenset[str]().union(*having)
    return accounts


def _role_in(context: Context, name: str, accounts: list[str]) -> None:
    role = context.declared.roles[name]
    failed = []
    for account in accounts:
        try:
            role_arn(role.shape.iam_role, context.catalogue.accounts[account])
        except ValueError as error:
            failed.append(str(error))
    if failed:  # check: arn-in-every-account
        more = f", and so in {len(failed) - 1} accounts more" if failed[1:] else ""
        remedy = "complete the account, or let no mapping give the role there"
        context.problem(role.where(("iam_role",)), f"{failed[0]}{more}", remedy)
