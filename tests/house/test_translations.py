"""The catalogues: current, complete, compiled, and with the same values in both languages."""

import importlib.util
import re
from types import ModuleType

import pytest
from babel.messages.pofile import read_po
from house.source import ROOT

from broker.web.language import ENGLISH, LANGUAGES, SHAPES, WORDS, fits

VALUE = re.compile(r"%\(\w+\)s|\{\w+\}")
OTHERS = sorted(set(LANGUAGES) - {ENGLISH})


@pytest.fixture(scope="module")
def translate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("translate", ROOT / "docs" / "translate.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("language", OTHERS)
def test_the_catalogue_has_what_the_pages_say_and_is_compiled(translate: ModuleType, language: str) -> None:
    """`make docs` brings it up to date."""
    folder = translate.CATALOGUES / language / "LC_MESSAGES"
    po, mo = translate.written(translate.current(language))
    assert (folder / "messages.po").read_bytes() == po, "run `make docs`"
    assert (folder / "messages.mo").read_bytes() == mo, "run `make docs`"


@pytest.mark.parametrize("language", OTHERS)
def test_every_sentence_is_translated_and_none_is_a_guess(translate: ModuleType, language: str) -> None:
    with (translate.CATALOGUES / language / "LC_MESSAGES" / "messages.po").open("rb") as file:
        catalog = read_po(file, locale=language)
    messages = [message for message in catalog if message.id]
    assert len(messages) > len(SHAPES) + len(WORDS)
    assert not [message.id for message in messages if message.fuzzy]
    missing = [
        message.id
        for message in messages
        if not all(message.string if isinstance(message.string, tuple) else (message.string,))
    ]
    assert not missing
    for message in messages:
        ids, strings = (one if isinstance(one, (tuple, list)) else (one,) for one in (message.id, message.string))
        wanted = set(VALUE.findall(ids[-1]))
        assert all(set(VALUE.findall(string)) == wanted for string in strings), message.id


def test_a_sentence_that_carries_values_has_its_shape(translate: ModuleType) -> None:
    """Else the pages would say it in English."""
    with_values = [(text, where) for text, where in translate.sentences() if "{}" in text]
    assert with_values
    assert not [(text, where) for text, where in with_values if not fits(text) and where not in SPOKEN_TO_PROGRAMS]


SPOKEN_TO_PROGRAMS = {"broker/web/oauth/server.py"}
"""Answers of /oauth/token, which people never see."""
