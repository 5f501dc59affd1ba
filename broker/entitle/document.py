"""Reads the role-mapping document: one or more files, one set of names, every problem at once.

The steps: text -> plain data (`source.py`) -> shape of each entry (`shape.py`) -> one spelling (`canonical.py`) -> do
the names fit together (`check.py`). What comes out is a `Document`, and only a `Document` can be compiled.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from broker.authenticate.identity import GroupForm
from broker.entitle import canonical
from broker.entitle.catalogue import Catalogue
from broker.entitle.check import check
from broker.entitle.check.context import Context, providers_with_dns
from broker.entitle.conditions import ConditionReader, Vocabulary
from broker.entitle.declared import SECTIONS, Declared, Entry
from broker.entitle.finding import in_words, unknown_key
from broker.entitle.shape import LISTED, NAME, NAMED, PATTERNS, Model
from broker.entitle.source import Path, Source, read_yaml
from broker.errors import ConfigurationError, Problem

_NAME = re.compile(NAME[1:-1], re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A role-mapping document without problems."""

    plain: Mapping[str, Any]
    """The canonical form."""
    where: Mapping[str, str]
    """Name of a guardrail, mapping or deny -> `file:line`; of a test with `tests/` before it."""
    warnings: tuple[Problem, ...]
    """What is allowed and probably not meant."""
    reader: ConditionReader = field(repr=False)
    """Gives the conditions their types."""
    catalogue: Catalogue = field(repr=False)


def read_document(
    files: Mapping[str, str],
    vocabulary: Vocabulary,
    *,
    providers: Mapping[str, GroupForm] | None = None,
    is_secret: Callable[[str], bool] = lambda _name: False,
) -> Document:
    """Read the document that `files` (name -> text) make together.

    `providers`: the names in `broker.yaml`, and how the groups of each are known; None: not known, and then what the
    document itself says about a provider is believed. `is_secret`: whether a name looks like a key or token.
    Raises `ConfigurationError` with every problem, by file and line.
    """
    reader, problems = ConditionReader(vocabulary), _Problems()
    declared = Declared()
    sources = [read_yaml(text, name, problems.found, end_mark=True) for name, text in files.items()]
    if not all(source.readable for source in sources):  # what else seems wrong may follow from that
        raise ConfigurationError(problems.in_order(tuple(files)))
    for source in sources:
        _File(source, declared, reader, problems).read()
    whole = not problems.found
    plain = _plain(declared, reader)
    catalogue = Catalogue(plain)
    warnings = _Problems()
    check(
        Context(
            declared=declared,
            catalogue=catalogue,
            providers=providers,
            with_dns=providers_with_dns(declared),
            is_secret=is_secret,
            whole=whole,
            problem=problems.add,
            warning=warnings.add,
        )
    )
    if problems.found:
        raise ConfigurationError(problems.in_order(tuple(files)))
    where = {
        f"tests/{name}" if section == "tests" else name: entry.where(()).rpartition(":")[0]
        for section in LISTED
        for name, entry in declared.section(section).items()
    }
    return Document(
        plain=plain, where=where, warnings=tuple(warnings.in_order(tuple(files))), reader=reader, catalogue=catalogue
    )


def _plain(declared: Declared, reader: ConditionReader) -> dict[str, Any]:
    of_rules: dict[str, Callable[[Any, ConditionReader], dict[str, Any]]] = {
        "guardrails": canonical.guardrail,
        "mappings": canonical.mapping,
        "denies": canonical.deny,
        "tests": canonical.test,
    }
    of_names: dict[str, Callable[[Any], dict[str, Any]]] = {
        "groups": canonical.group,
        "accounts": canonical.account,
        "roles": canonical.role,
    }
    plain: dict[str, Any] = {"version": 1}
    for section, spell in of_names.items():
        plain[section] = {name: spell(entry.shape) for name, entry in declared.section(section).items()}
    for section, spell_rule in of_rules.items():
        plain[section] = {name: spell_rule(entry.shape, reader) for name, entry in declared.section(section).items()}
    return plain


class _Problems:
    """Collects findings."""

    def __init__(self) -> None:
        self.found: list[Problem] = []

    def add(self, where: str, what: str, remedy: str) -> None:
        self.found.append(Problem(where=where, what=what, remedy=remedy))

    def in_order(self, files: tuple[str, ...]) -> list[Problem]:
        """By file, line and column; each once."""

        def place(problem: Problem) -> tuple[int, int, int]:
            name, line, column = problem.where.rsplit(":", 2)
            return files.index(name), int(line), int(column)

        return sorted(dict.fromkeys(self.found), key=place)


class _File:
    """Reads the entries of one file into what is declared."""

    def __init__(self, source: Source, declared: Declared, reader: ConditionReader, problems: _Problems) -> None:
        self._source = source
        self._declared = declared
        self._reader = reader
        self._problems = problems

    def read(self) -> None:
        """Note every entry that has the right shape, and a problem for every other."""
        data = self._source.data
        if not isinstance(data, dict):
            return self._problem((), "this is not a role-mapping document", "begin it with `version: 1`")
        version = data.get("version")
        if type(version) is not int or version != 1:
            self._problem(("version",), "the version is missing or not 1", "write `version: 1`")
        for key in data:
            if key not in SECTIONS and key != "version":  # check: unknown-section
                self._problem((key,), *unknown_key(key))
        for section, model in NAMED.items():
            self._names(section, model, data.get(section, {}))
        for section, model in LISTED.items():
            self._list(section, model, data.get(section, []))
        return None

    def _names(self, section: str, model: type[Model], entries: object) -> None:
        if not isinstance(entries, dict):
            self._problem((section,), "names and what they stand for are wanted here", "write `name: {...}`")
            return
        for name, own in entries.items():
            self._named(section, model, name, own)

    def _list(self, section: str, model: type[Model], entries: object) -> None:
        if not isinstance(entries, list):
            self._problem((section,), "a list is wanted here", "write `- name: ...`")
            return
        for index, own in enumerate(entries):
            self._listed(section, model, index, own)

    def _problem(self, path: Path, what: str, remedy: str) -> None:
        self._problems.add(self._source.where(path), what, remedy)

    def _named(self, section: str, model: type[Model], name: str, own: object) -> None:
        self._declared.mention(section, name)
        if not _NAME.fullmatch(name):
            self._problem((section, name), PATTERNS[NAME], "correct it")
            return
        shape = self._shape((section, name), model, own)
        if shape is not None:
            self._add(section, name, Entry(shape=shape, source=self._source, path=(section, name)))

    def _listed(self, section: str, model: type[Model], index: int, own: object) -> None:
        path = (section, index)
        shape = self._shape(path, model, own)
        if shape is None:
            return
        conditions = getattr(shape, "conditions", None) or {}
        sound = True
        for key, error in self._reader.errors(conditions):
            sound = False
            if error is None:
                known = ", ".join(self._reader.names)
                self._problem((*path, "conditions", key), f"unknown condition {key!r}", f"there are: {known}")
            else:
                self._problem((*path, "conditions", key, *error["loc"]), *in_words(error))
        if sound:
            name: str = shape.name  # type: ignore[attr-defined]  # every model in LISTED has one
            self._add(section, name, Entry(shape=shape, source=self._source, path=path))

    def _shape(self, path: tuple[str | int, ...], model: type[Model], own: object) -> Model | None:
        try:
            return model.model_validate_json(json.dumps(own))
        except ValidationError as error:
            for details in error.errors(include_url=False):
                self._problem((*path, *details["loc"]), *in_words(details))
            return None

    def _add(self, section: str, name: str, entry: Entry[Any]) -> None:
        first = self._declared.add(section, name, entry)
        if first is not None:  # check: declared-once
            self._problem(entry.path, f"{name!r} is declared twice, first at {first.where()}", "rename one of them")
