"""`pin`: write the immutable ids of groups into the text of a mapping document, and change nothing else in it.

A DN alone means whichever group bears it: one that is deleted and made again under its name inherits the rights. The
id does not. Comments, order and spelling stay; only `id:` is added before `dn:`. What was written is read back, and
must mean what it meant, and the ids.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from broker.entitle.source import BOM, read_yaml
from broker.errors import ConfigurationError, Problem

PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9-]*-[A-Za-z0-9-]+", re.ASCII)
"""Ids that need no quotes, such as SIDs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpinned:
    """A declared group with a DN and without an id."""

    name: str
    provider: str
    dn: str
    at: int
    """Where in the text its id belongs (without a byte order mark)."""
    end: str
    """What stands behind the id there."""


def unpinned(text: str, file_name: str) -> tuple[Unpinned, ...]:
    """The groups in one file that have no id yet. Raises `ConfigurationError` for text that is not strict YAML."""
    read_yaml(text, file_name, end_mark=True)  # its caps come first: composing nodes is safe only behind them
    root = yaml.compose(text.removeprefix(BOM), Loader=yaml.CSafeLoader)
    line_end = "\r\n" if "\r\n" in text else "\n"
    return tuple(_found(_members(_members(root).get("groups")), line_end))


def pin(text: str, file_name: str, id_of: Callable[[Unpinned], str]) -> tuple[str, tuple[tuple[str, str], ...]]:
    """The text with every id that `id_of` knows (empty: it does not), and (name, id) of what was written.

    Raises `ConfigurationError` for text that is not strict YAML, or whose spelling leaves no place for an id.
    """
    written = []
    pinned = text.removeprefix(BOM)
    for group in sorted(unpinned(text, file_name), key=lambda group: group.at, reverse=True):
        if found := id_of(group):
            written_id = found if PLAIN.fullmatch(found) else json.dumps(found)
            pinned = f"{pinned[: group.at]}id: {written_id}{group.end}{pinned[group.at :]}"
            written.append((group.name, found))
    if not _means(pinned, text, dict(written)):  # check: pin-reads-back
        remedy = "write them by hand: " + ", ".join(f"{name}: {found}" for name, found in reversed(written))
        raise ConfigurationError([Problem(where=file_name, what="there is no sure place for the ids", remedy=remedy)])
    return (BOM if text.startswith(BOM) else "") + pinned, tuple(reversed(written))


def _means(pinned: str, text: str, ids: Mapping[str, str]) -> bool:
    """Whether `pinned` says what `text` says, and the ids."""
    wanted: Any = read_yaml(text, "").data
    for name, group_id in ids.items():
        wanted["groups"][name]["id"] = group_id
    try:
        found = read_yaml(pinned, "", end_mark=True).data
    except ConfigurationError:
        return False
    return bool(found == wanted)


def _members(node: yaml.Node | None) -> dict[str, yaml.Node]:
    """The members of a mapping node by key; empty for anything else."""
    return {key.value: value for key, value in node.value} if isinstance(node, yaml.MappingNode) else {}


def _found(groups: dict[str, yaml.Node], line_end: str) -> Iterator[Unpinned]:
    for name, node in groups.items():
        if not isinstance(node, yaml.MappingNode):
            continue
        members = _members(node)
        dn, provider = members.get("dn"), members.get("provider")
        if "id" in members or not isinstance(dn, yaml.ScalarNode) or not isinstance(provider, yaml.ScalarNode):
            continue
        key = next(key for key, value in node.value if value is dn)
        end = ", " if node.flow_style else line_end + " " * key.start_mark.column
        yield Unpinned(name=name, provider=provider.value, dn=dn.value, at=key.start_mark.index, end=end)
