"""`named:` templates of group names, and placeholders in `iam_role`. Not regular expressions: nothing is guessed.

`AWS-{account}-{role}` is text with fields between. A field stands for *declared names only*, so reading a group name is
a handful of dictionary look-ups; a name that could be read in two ways is found by `ambiguous()` when the document is
checked, and makes the document unusable.
"""

import re
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from broker.entitle.dn import fold
from broker.entitle.entitlement import Account

FIELD = r"account|role|account\.env|account\.tags\.[A-Za-z0-9][A-Za-z0-9._:/-]{0,63}"
"""The fields of a group name."""
PLACEHOLDER = r"account\.name|account\.env|account\.tags\.[A-Za-z0-9][A-Za-z0-9._:/-]{0,63}"
"""The placeholders of an `iam_role`."""
MAX_FIELDS = 4
MAX_NAME = 256
"""Longest group name that is read at all."""

_BRACED = re.compile(r"\{([^{}]*)\}")
_TAGS = "account.tags."


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """Text with fields between: `texts[0] fields[0] texts[1] … fields[-1] texts[-1]`."""

    texts: tuple[str, ...]
    fields: tuple[str, ...]

    @property
    def shape(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """What decides whether names can be read in two ways: everything but the text before and after."""
        return tuple(fold(text) for text in self.texts[1:-1]), self.fields

    def folded(self) -> "Template":
        """The same, without case."""
        return Template(texts=tuple(map(fold, self.texts)), fields=self.fields)

    def fill(self, values: Mapping[str, str]) -> str:
        """The name that it stands for with these values."""
        filled = (text + values[name] for text, name in zip(self.texts, self.fields, strict=False))
        return "".join(filled) + self.texts[-1]

    def readings(self, name: str, declared: Mapping[str, Container[str]]) -> Iterator[dict[str, str]]:
        """Every choice of values, each among those `declared` for its field, with which it stands for `name`."""
        first, last = self.texts[0], self.texts[-1]
        if not len(first) + len(last) <= len(name) <= MAX_NAME:
            return
        if name.startswith(first) and name.endswith(last):
            for values in self._read(0, name[len(first) : len(name) - len(last)], declared):
                yield dict(zip(self.fields, values, strict=True))

    def _read(self, index: int, rest: str, declared: Mapping[str, Container[str]]) -> Iterator[tuple[str, ...]]:
        names = declared[self.fields[index]]
        if index == len(self.fields) - 1:
            if rest in names:
                yield (rest,)
            return
        text = self.texts[index + 1]
        at = rest.find(text)
        while at >= 0:
            if rest[:at] in names:
                for others in self._read(index + 1, rest[at + len(text) :], declared):
                    yield (rest[:at], *others)
            at = rest.find(text, at + 1)


@lru_cache(maxsize=4096)
def parse_template(text: str, allowed: str = FIELD) -> Template:
    """Read a template; raises `ValueError` with a sentence for the reader."""
    pieces = _BRACED.split(text)
    texts, fields = tuple(pieces[::2]), tuple(pieces[1::2])
    problem = ""
    if any(brace in piece for piece in texts for brace in "{}"):
        problem = "a { or } without its other half"
    elif len(set(fields)) != len(fields) or len(fields) > MAX_FIELDS:
        problem = f"a field stands in it at most once, and at most {MAX_FIELDS} fields"
    elif any(not between for between in texts[1:-1]):
        problem = "two fields need some text between them"
    for name in fields:
        if not re.fullmatch(allowed, name):
            names = ", ".join(f"{{{word}}}" for word in allowed.split("|")[:-1]).replace("\\", "")
            problem = f"{{{name}}} is not a field; use {names} or {{account.tags.KEY}}"
    if problem:
        raise ValueError(problem)
    return Template(texts=texts, fields=fields)


def account_value(account: Account, name: str) -> str:
    """What the field or placeholder `name` stands for in `account`; empty: the account has no such thing."""
    if name in ("account", "account.name"):
        return account.name
    if name == "account.env":
        return account.env
    return account.tags.get(name.removeprefix(_TAGS), "")


def ambiguous(template: Template, accounts: Iterable[Account], roles: Iterable[str]) -> tuple[str, str, str] | None:
    """A group name that can be read in two ways, with both readings for people; None: every name has one reading.

    Readings are over everything declared: whatever `accounts:` or `roles:` narrow, the name must be clear by itself.
    """
    template = Template(texts=("", *template.texts[1:-1], ""), fields=template.fields).folded()
    seen: dict[str, tuple[str, ...]] = {}
    role_names = list(roles) if "role" in template.fields else [""]
    of_accounts = {
        tuple(account_value(account, name) for name in template.fields if name != "role"): None for account in accounts
    }
    for values in of_accounts:
        named = dict(zip((name for name in template.fields if name != "role"), values, strict=True))
        if not all(values):
            continue
        for role in role_names:
            reading = tuple(role if name == "role" else named[name] for name in template.fields)
            name = template.fill(dict(zip(template.fields, map(fold, reading), strict=True)))
            other = seen.setdefault(name, reading)
            if other != reading:
                return name, _words(template, other), _words(template, reading)
    return None


def _words(template: Template, values: tuple[str, ...]) -> str:
    return ", ".join(f"{name} {value}" for name, value in zip(template.fields, values, strict=True))
