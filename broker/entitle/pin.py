"""`pin`: write the immutable ids of groups into the text of a mapping document, and change nothing else in it.

A DN alone means whichever group bears it: one that is deleted and made again under its name inherits the rights. The
id does not. Comments, order and spelling stay; only `id:` is added behind `dn:`.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import yaml

from broker.entitle.source import read_yaml

PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9-]*-[A-Za-z0-9-]+", re.ASCII)
"""Ids that need no quotes, such as SIDs."""
FLOW, BLOCK = ", ", "\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpinned:
    """A declared group with a DN and without an id."""

    name: str
    provider: str
    dn: str
    at: int
    """Where in the text its id belongs."""
    lead: str
    """What stands before `id:` there."""


def unpinned(text: str, file_name: str) -> tuple[Unpinned, ...]:
    """The groups in one file that have no id yet. Raises `ConfigurationError` for text that is not strict YAML."""
    read_yaml(text, file_name)  # its caps come first: composing nodes is safe only behind them
    root = yaml.compose(text, Loader=yaml.CSafeLoader)
    groups = _members(root).get("groups")
    return tuple(_found(_members(groups)))


def pin(text: str, file_name: str, id_of: Callable[[Unpinned], str]) -> tuple[str, tuple[tuple[str, str], ...]]:
    """The text with every id that `id_of` knows (empty: it does not), and (name, id) of what was written."""
    written = []
    for group in sorted(unpinned(text, file_name), key=lambda group: group.at, reverse=True):
        if found := id_of(group):
            written_id = found if PLAIN.fullmatch(found) else json.dumps(found)
            text = f"{text[: group.at]}{group.lead}id: {written_id}{text[group.at :]}"
            written.append((group.name, found))
    return text, tuple(reversed(written))


def _members(node: yaml.Node | None) -> dict[str, yaml.Node]:
    """The members of a mapping node by key; empty for anything else."""
    return {key.value: value for key, value in node.value} if isinstance(node, yaml.MappingNode) else {}


def _found(groups: dict[str, yaml.Node]) -> Iterator[Unpinned]:
    for name, node in groups.items():
        members = _members(node)
        dn, provider = members.get("dn"), members.get("provider")
        if "id" in members or not isinstance(dn, yaml.ScalarNode) or not isinstance(provider, yaml.ScalarNode):
            continue
        indent = " " * node.start_mark.column
        lead = FLOW if getattr(node, "flow_style", False) else BLOCK + indent
        yield Unpinned(name=name, provider=provider.value, dn=dn.value, at=dn.end_mark.index, lead=lead)
