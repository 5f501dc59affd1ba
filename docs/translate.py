"""Puts every sentence that a page can show into the catalogues of `broker/web/translations`, and compiles them.

`make docs` runs it. What is new stands there without a translation; what is no longer said is gone. The compiled
catalogues are committed, so that nothing has to be built; `tests/house/test_translations.py` checks that they are
current and complete.
"""
# ruff: noqa: INP001 (a script, in no package)

import ast
from collections.abc import Iterator
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

from babel import Locale
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from broker.web.language import ENGLISH, LANGUAGES, SHAPES, WORDS

ROOT = Path(__file__).parents[1]
WEB = ROOT / "broker" / "web"
CATALOGUES = WEB / "translations"
ROOMS = ("errors.py", "authenticate", "challenge", "evaluate", "issue", "sessions", "flow", "storage", "web")
"""Where sentences are made that end on a page: in errors and in verdicts."""
METHODS = [("templates/**.html", "jinja2.ext:babel_extract"), ("**.py", "python")]
DOCUMENTATION = {"Field", "ApiKey", "APIKey", "Info", "Tag", "HTTPBearer"}
"""What is called with sentences for the documents, which stay English."""
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
"""In place of the moment of writing, so that the same sentences make the same file."""


def sentences() -> Iterator[tuple[str, str]]:
    """What the rooms say to people, and where: texts from a capital letter to a full stop. With values: as a shape."""
    for room in ROOMS:
        place = ROOT / "broker" / room
        for file in [place] if place.is_file() else sorted(place.rglob("*.py")):
            tree = ast.parse(file.read_text("utf-8"))
            silent = set(_silent(tree))
            for node in ast.walk(tree):
                text = _text(node) if id(node) not in silent else ""
                if " " in text and text[0].isupper() and text[-1] in ".?":
                    yield text, file.relative_to(ROOT).as_posix()


def _silent(tree: ast.AST) -> Iterator[int]:
    """Docstrings, documentation, and the pieces of larger texts."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr):
            yield id(node.value)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in DOCUMENTATION:
            yield from (id(inner) for inner in ast.walk(node) if inner is not node)
        elif isinstance(node, ast.Call) and any(word.arg == "description" for word in node.keywords):
            yield from (id(word.value) for word in node.keywords if word.arg == "description")
        elif isinstance(node, ast.Dict):  # OpenAPI's own form
            yield from (
                id(value)
                for key, value in zip(node.keys, node.values, strict=True)
                if isinstance(key, ast.Constant) and key.value == "description"
            )
        elif isinstance(node, ast.JoinedStr):
            yield from (id(inner) for inner in ast.walk(node) if inner is not node)


def _text(node: ast.AST) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
    return ""


def said() -> Catalog:
    """All that a page can say, in English."""
    catalog = Catalog(charset="utf-8")
    for file, _line, ids, comments, context in extract_from_dir(WEB, METHODS, keywords=_keywords()):
        catalog.add(ids, locations=[(f"broker/web/{file}", 1)], auto_comments=comments, context=context)
    for text, where in sentences():
        if "{}" not in text:  # with values it is one of SHAPES, as the house test sees to
            catalog.add(text, locations=[(where, 1)])
    for text in (*SHAPES, *WORDS):
        catalog.add(text, locations=[("broker/web/language.py", 1)])
    return catalog


def _keywords() -> dict[str, tuple[int, ...] | None]:
    return {"_": None, "gettext": None, "ngettext": (1, 2)}


def current(language: str) -> Catalog:
    """The catalogue of a language, brought up to date."""
    file = CATALOGUES / language / "LC_MESSAGES" / "messages.po"
    old = Catalog(locale=language)
    if file.exists():
        old = read_po(BytesIO(file.read_bytes()), locale=language)
    new = Catalog(
        locale=language,
        project="aws-federation-broker",
        version="1",
        header_comment=f"# What the pages say, in {Locale.parse(language).english_name}. `make docs` keeps the list.",
        creation_date=LONG_AGO,
        revision_date=LONG_AGO,
        msgid_bugs_address="see CONTRIBUTING.md",
        last_translator="the maintainers",
        language_team="the maintainers",
        fuzzy=False,
        charset="utf-8",
    )
    for message in said():
        if message.id:
            known = old.get(message.id, message.context)
            new.add(
                message.id,
                known.string if known else None,
                locations=message.locations,
                flags=message.flags,
                context=message.context,
            )
    return new


def written(catalog: Catalog) -> tuple[bytes, bytes]:
    """The catalogue for people (.po) and compiled (.mo)."""
    po, mo = BytesIO(), BytesIO()
    write_po(po, catalog, width=120, include_lineno=False, sort_output=True)
    write_mo(mo, catalog)
    return po.getvalue(), mo.getvalue()


def main() -> None:
    """Write the catalogues."""
    for language in set(LANGUAGES) - {ENGLISH}:
        folder = CATALOGUES / language / "LC_MESSAGES"
        folder.mkdir(parents=True, exist_ok=True)
        po, mo = written(current(language))
        (folder / "messages.po").write_bytes(po)
        (folder / "messages.mo").write_bytes(mo)


if __name__ == "__main__":
    main()
