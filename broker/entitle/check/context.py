"""What every check is given."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from broker.authenticate.identity import GroupForm
from broker.entitle.catalogue import Catalogue
from broker.entitle.declared import Declared, Entry
from broker.entitle.shape import TemplateShape
from broker.entitle.source import Path


class Report(Protocol):
    """Takes a finding."""

    def __call__(self, where: str, what: str, remedy: str) -> None:
        """Where it is, what is wrong, what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The document as far as it could be read, and whom to tell."""

    declared: Declared
    catalogue: Catalogue
    providers: Mapping[str, GroupForm] | None
    """The names in `broker.yaml`, and how the groups of each are known; None: not known."""
    with_dns: frozenset[str]
    """Providers of which the document itself writes distinguished names: believed where `providers` is not known."""
    is_secret: Callable[[str], bool]
    """Whether a name looks like a key or token."""
    whole: bool
    """No entry is missing because of a problem that has been reported already."""
    problem: Report
    warning: Report

    def references(self, entry: Entry[Any], section: str, names: Sequence[str], path: Path) -> None:
        """Every name must be declared; `path` is where the list of them stands in `entry`."""
        for index, name in enumerate(names):
            if not self.declared.exists(section, name):  # check: reference-exists
                what = f"there is no {name!r} under `{section}`"
                self.problem(entry.where((*path, index)), what, "declare it, or correct its spelling")

    def provider_is_known(self, entry: Entry[Any], name: str, path: Path) -> bool:
        """Whether `broker.yaml` has it; reported when not."""
        if self.providers is None or name in self.providers:
            return True
        remedy = f"there are: {', '.join(sorted(self.providers))}"
        self.problem(entry.where((*path, "provider")), f"there is no provider {name!r} in broker.yaml", remedy)
        return False

    def form(self, provider: str) -> GroupForm:
        """How its groups are known, as far as that is known itself. `provider_is_known` comes first."""
        if self.providers is not None:
            return self.providers[provider]
        return GroupForm.DN if provider in self.with_dns else GroupForm.NAME


def providers_with_dns(declared: Declared) -> frozenset[str]:
    """Providers of which the document itself writes distinguished names."""
    templates = [
        rule.shape.groups
        for rules in (declared.mappings, declared.denies)
        for rule in rules.values()
        if isinstance(rule.shape.groups, TemplateShape)
    ]
    by_template = {template.provider for template in templates if template.under}
    return frozenset(by_template | {entry.shape.provider for entry in declared.groups.values() if entry.shape.dn})
