"""What is declared: accounts and roles, and what a selector or a template's field picks among them.

A selector is compiled to the set of names that it selects, once; everything after is set arithmetic.
"""

import json
from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Any, TypeAlias

from broker.entitle.arn import role_arn
from broker.entitle.dn import fold
from broker.entitle.entitlement import Account, Role
from broker.entitle.template import account_value

Plain: TypeAlias = Mapping[str, Any]
"""A part of the canonical document (`canonical.py`)."""
Names: TypeAlias = frozenset[str]


class Catalogue:
    """The accounts and roles of one document. Immutable in what it says; it remembers what it was asked."""

    def __init__(self, plain: Plain) -> None:
        self.accounts: dict[str, Account] = {
            name: Account(name=name, **{**own, "tags": MappingProxyType(own.get("tags", {}))})
            for name, own in plain["accounts"].items()
        }
        self.roles: dict[str, Role] = {
            name: Role(name=name, **{**own, "max_session": timedelta(seconds=own["max_session"])})
            for name, own in plain["roles"].items()
        }
        self.all_accounts: Names = frozenset(self.accounts)
        self.all_roles: Names = frozenset(self.roles)
        self._arns: dict[tuple[str, str], str] = {}
        self._selected: dict[tuple[str, str], Names] = {}
        self._by_field: dict[tuple[str, bool], dict[str, Names]] = {}

    def role_arn(self, account: str, role: str) -> str:
        """The ARN of a declared role in a declared account. Raises `ValueError`, as `arn.role_arn` does."""
        arn = self._arns.get((account, role))
        if arn is None:
            arn = self._arns[account, role] = role_arn(self.roles[role].iam_role, self.accounts[account])
        return arn

    def select_accounts(self, selector: Any) -> Names:  # noqa: ANN401 (canonical selector)
        """The names of the accounts that it selects."""
        return self._remembered("accounts", selector)

    def select_roles(self, selector: Any) -> Names:  # noqa: ANN401 (canonical selector)
        """The names of the roles that it selects."""
        return self._remembered("roles", selector)

    def by_field(self, name: str, *, exact: bool) -> Mapping[str, Names]:
        """For a template's field: each declared value -> the accounts (or roles) that have it.

        Values are folded unless `exact`.
        """
        table = self._by_field.get((name, exact))
        if table is None:
            gathered: dict[str, set[str]] = {}
            if name == "role":
                pairs = [(role, role) for role in self.roles]
            else:
                pairs = [(account_value(account, name), account.name) for account in self.accounts.values()]
            for value, owner in pairs:
                if value:
                    gathered.setdefault(value if exact else fold(value), set()).add(owner)
            table = self._by_field[name, exact] = {value: frozenset(owners) for value, owners in gathered.items()}
        return table

    def _remembered(self, kind: str, selector: Any) -> Names:  # noqa: ANN401 (canonical selector)
        key = (kind, json.dumps(selector, sort_keys=True))
        known = self._selected.get(key)
        if known is None:
            known = self._selected[key] = self._select(kind, selector)
        return known

    def _select(self, kind: str, selector: Any) -> Names:  # noqa: ANN401 (canonical selector)
        everything = self.all_accounts if kind == "accounts" else self.all_roles
        if selector == "all":
            return everything
        if isinstance(selector, list):
            return everything.intersection(selector)
        selected = self._select(kind, selector.get("names", "all"))
        if "env" in selector:
            selected &= self._having("account.env", selector["env"])
        for key, values in selector.get("tags", {}).items():
            selected &= self._having(f"account.tags.{key}", values)
        if "except" in selector:
            selected -= self._select(kind, selector["except"])
        return selected

    def _having(self, field: str, values: list[str]) -> Names:
        table = self.by_field(field, exact=True)
        return frozenset().union(*(table.get(value, frozenset()) for value in values))
