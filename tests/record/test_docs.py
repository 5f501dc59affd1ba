"""docs/audit.md says everything, and its auditor's program works."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from record.trails import EVENTS, KEYS, OTHER_KEYS, a_small_trail, exported

from broker.keys import Purpose
from broker.record.chain import HEAD, LINK
from broker.record.event import Event, Outcome, Tag
from broker.record.finding import Kind

TEXT = (Path(__file__).parents[2] / "docs" / "audit.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("word", [*Tag, *Outcome, *Kind, *Event.__dataclass_fields__])
def test_every_tag_outcome_finding_and_field_is_documented(word: str) -> None:
    assert f"`{word}`" in TEXT


def test_every_documented_tag_exists() -> None:
    section = TEXT.partition("## Tags")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    assert {tag for row in rows for tag in re.findall(r"`([^`]+)`", row)} == set(Tag)


@pytest.mark.parametrize("domain", [LINK, HEAD])
def test_the_domains_are_documented(domain: bytes) -> None:
    assert f'"{domain.decode()}"' in TEXT


def _check() -> Callable[[list[str], str], dict[str, int]]:
    (program,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    names: dict[str, Callable[[list[str], str], dict[str, int]]] = {}
    exec(compile(program, "docs/audit.md", "exec"), names)  # noqa: S102 (the program that we tell auditors to run)
    return names["check"]


def test_the_auditor_s_program_verifies_an_export_and_the_lines_of_stdout() -> None:
    store, writers, _, lines = a_small_trail()
    keys = KEYS.public_keys().to_text()
    expected = dict.fromkeys(writers, EVENTS)
    assert _check()(exported(store), keys) == expected
    assert _check()(lines, keys) == expected


@pytest.mark.parametrize(
    ("harm", "error"),
    [
        (lambda lines: lines[1].replace("person-1", "person-2"), AssertionError),
        (lambda lines: lines[1].replace('"number":2', '"number":9'), AssertionError),
        (lambda _: "", KeyError),
        (lambda lines: _resigned(lines[1]), InvalidSignature),
    ],
)
def test_the_auditor_s_program_finds_harm(harm: Callable[[list[str]], str], error: type[Exception]) -> None:
    lines = a_small_trail()[3]
    lines[1:2] = [text] if (text := harm(lines)) else []
    with pytest.raises(error):
        _check()(lines, KEYS.public_keys().to_text())


def _resigned(line: str) -> str:
    signature = json.loads(line)["audit"]["link"]["signature"]
    return line.replace(signature, OTHER_KEYS.sign(Purpose.AUDIT, b"x").value.hex())
