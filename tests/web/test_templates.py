"""The templates, the stylesheet and the script, as they are written: what the pages may be made of."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import jinja2
import pytest
from corridor import Browser, Corridor
from jinja2 import nodes

import broker.web

WEB = Path(broker.web.__file__).parent
TEMPLATES = sorted((WEB / "templates").rglob("*.html"))
CSS = (WEB / "static" / "broker.css").read_text("utf-8")
SCRIPT = (WEB / "static" / "broker.js").read_text("utf-8")
LARGEST = 30_000
NAMES = {"AWS", "JSON", "UTC", "aws-broker", "bash", "dev", "prod", "pyz", "Windows", "Invoke-WebRequest"}
"""What is called the same in every language."""
SPOKEN = {"alt", "aria-label", "placeholder", "title"}
"""Attributes that people hear or read."""
HOLE = "\0"
"""Where a template puts in a value."""

ENVIRONMENT = jinja2.Environment(extensions=["jinja2.ext.i18n"], autoescape=True)


def of(path: Path) -> str:
    return path.relative_to(WEB / "templates").as_posix()


def markup(path: Path) -> str:
    """What the template itself writes; every value is a hole, also in an attribute."""
    source = re.sub(r"\{#.*?#\}", "", path.read_text("utf-8"), flags=re.DOTALL)
    source = re.sub(r"\{% block (layout|sheet) %\}.*?\{% endblock %\}", "", source)
    source = re.sub(r"\{\{.*?\}\}", HOLE, source, flags=re.DOTALL)
    return re.sub(r"\{%.*?%\}", " ", source, flags=re.DOTALL)


class Text(HTMLParser):
    """Collects what people read."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._is_code = False

    def handle_data(self, data: str) -> None:
        if not self._is_code:
            self.found.append(data)

    def handle_endtag(self, tag: str) -> None:
        self._is_code = self._is_code and tag != "code"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._is_code = tag == "code"
        self.found += [value for name, value in attrs if name in SPOKEN and value]


def words(text: str) -> list[str]:
    return [word for word in re.findall(r"[^\W\d_][\w-]+", text) if word not in NAMES]


@pytest.mark.parametrize("path", TEMPLATES, ids=of)
def test_every_word_of_a_template_goes_through_gettext(path: Path) -> None:
    text = Text()
    text.feed(markup(path))
    assert not words(" ".join(text.found))


def constants(node: nodes.Node) -> Iterator[str]:
    """Texts in expressions, but for those that gettext gets."""
    if isinstance(node, nodes.Call) and isinstance(node.node, nodes.Name) and node.node.name in {"_", "ngettext"}:
        return
    if isinstance(node, nodes.Const) and isinstance(node.value, str):
        yield node.value
    for child in node.iter_child_nodes():
        yield from constants(child)


@pytest.mark.parametrize("path", TEMPLATES, ids=of)
def test_every_sentence_in_an_expression_goes_through_gettext(path: Path) -> None:
    tree = ENVIRONMENT.parse(path.read_text("utf-8"))
    sentences = [
        text for text in constants(tree) if re.match(r"[A-Z][a-z']* ?[a-z]", text) and text.strip() not in NAMES
    ]
    assert not sentences


@pytest.mark.parametrize("path", TEMPLATES, ids=of)
def test_no_template_has_code_or_style_in_it(path: Path) -> None:
    """The CSP would refuse it; better that it is not written."""
    assert not re.findall(r"<style|\sstyle=|\son[a-z]+=|javascript:|<script(?![^>]*\ssrc=)|<svg", markup(path))


@pytest.mark.parametrize("path", TEMPLATES, ids=of)
def test_every_form_that_changes_something_carries_the_token(path: Path) -> None:
    source = path.read_text("utf-8")
    forms = re.findall(r"<form[^>]*method=\"post\".*?</form>", source, flags=re.DOTALL)
    abroad = {"console_open.html"}  # goes to AWS, which must not get ours
    assert all("csrf()" in form for form in forms) or of(path) in abroad


def classes(path: Path) -> Iterator[str]:
    for value in re.findall(r"\sclass=\"([^\"]*)\"", markup(path)):
        yield from value.split()


STYLED = set(re.findall(r"\.([a-z][a-z0-9-]*)", re.sub(r"/\*.*?\*/|\"[^\"]*\"", "", CSS, flags=re.DOTALL)))


@pytest.mark.parametrize("path", TEMPLATES, ids=of)
def test_every_class_of_a_template_is_in_the_stylesheet(path: Path) -> None:
    for name in classes(path):
        fixed = name.partition(HOLE)[0]
        assert name in STYLED or (HOLE in name and any(one.startswith(fixed) for one in STYLED)), name


def test_the_stylesheet_has_no_class_that_nothing_bears() -> None:
    used = {name for path in TEMPLATES for name in classes(path)} | {"sheet-mid"}
    made = {name for name in used if HOLE not in name} | set(re.findall(r"[a-z][a-z0-9-]+", SCRIPT))
    made |= {text for path in TEMPLATES for text in constants(ENVIRONMENT.parse(path.read_text("utf-8")))}
    starts = tuple(name.partition(HOLE)[0] for name in used if HOLE in name and not name.startswith(HOLE))
    assert not {name for name in STYLED - made if not name.startswith(starts)}


def test_the_stylesheet_is_small_and_brings_nothing_from_elsewhere() -> None:
    assert len(CSS.encode()) <= LARGEST
    assert not re.findall(r"@import|@font-face|url\(|expression\(", CSS)


def test_the_script_makes_no_markup_and_asks_nobody() -> None:
    forbidden = (
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|fetch\(|XMLHttp|localStorage"
    )
    assert not re.findall(forbidden, SCRIPT)


def test_every_promise_of_a_template_to_the_script_is_kept() -> None:
    promised = {name for path in TEMPLATES for name in re.findall(r"\sdata-([a-z-]+)", markup(path))} - {"layout"}
    assert {"copies", "clear-at", "filter-text", "auto-submit"} <= promised
    camel = {name: re.sub(r"-([a-z])", lambda found: found[1].upper(), name) for name in promised}
    assert not {
        name for name in promised if f"data-{name}" not in SCRIPT + CSS and not re.search(rf"\b{camel[name]}\b", SCRIPT)
    }


def test_the_style_guide_shows_every_component_and_is_there_in_the_demo_only(corridor: Corridor) -> None:
    components = re.findall(r"macro ([a-z]\w+)\(", (WEB / "templates" / "ui.html").read_text("utf-8"))
    guide = (WEB / "templates" / "styleguide.html").read_text("utf-8")
    assert len(components) > 20
    assert not [name for name in components if f"ui.{name}(" not in guide and name != "csrf"]
    assert Browser(corridor.app_of(corridor.parts, styleguide=True)).get("/styleguide").status_code == 200
    assert Browser(corridor.app).get("/styleguide").status_code == 404


def test_a_file_is_kept_for_good_under_the_address_of_its_content_only(corridor: Corridor) -> None:
    browser = Browser(corridor.app)
    page = browser.get("/sign-in").text
    for name in ("broker.css", "broker.js", "mark.svg"):
        found = re.search(rf"/static/{re.escape(name)}\?v=[0-9a-f]{{12}}", page)
        assert found, name
        assert browser.get(found[0]).headers["Cache-Control"] == "public, max-age=31536000, immutable"
        for other in ("", "?v=", "?v=000000000000"):
            assert browser.get(f"/static/{name}{other}").headers["Cache-Control"] == "public, max-age=3600"


def tokens(block: str) -> dict[str, str]:
    return dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", block))


def luminance(colour: str) -> float:
    """WCAG 2, relative luminance."""
    channels = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


LIGHT = tokens(CSS.partition("@media (prefers-color-scheme: dark)")[0])
DARK = LIGHT | tokens(CSS.partition("@media (prefers-color-scheme: dark)")[2].partition("}\n}")[0])
TEXTS = [
    *((text, "ground") for text in ("ink", "soft", "act", "danger", "warn", "good")),
    *((text, "paper") for text in ("ink", "soft", "act", "danger", "warn", "good")),
    *((text, "sunk") for text in ("ink", "soft", "act")),
    *((text, "tint") for text in ("ink", "act", "soft")),
    *((tone, f"{tone}-tint") for tone in ("good", "warn", "danger")),
    *(("ink", f"{tone}-tint") for tone in ("good", "warn", "danger")),
    ("on-act", "act"), ("on-act", "act-strong"), ("on-prod", "prod"),
]  # fmt: skip


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_text_can_be_read_and_edges_can_be_seen(theme: dict[str, str]) -> None:
    def contrast(one: str, other: str) -> float:
        light, dark = sorted((luminance(theme[one]), luminance(theme[other])), reverse=True)
        return (light + 0.05) / (dark + 0.05)

    assert {pair: contrast(*pair) for pair in TEXTS if contrast(*pair) < 4.5} == {}
    assert {ground for ground in ("ground", "paper") if contrast("edge", ground) < 3} == set()
