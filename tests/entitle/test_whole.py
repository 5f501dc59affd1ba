"""A file that broke off says less than was written, and much of it would be denies: it is refused."""

from pathlib import Path

import pytest
from builders_mapping import a_mapping, sound, text_of, whole

from broker.entitle.document import read_document
from broker.entitle.source import BOM
from broker.errors import ConfigurationError
from broker.evaluate import CONDITIONS

EXAMPLE = (Path(__file__).parents[2] / "config" / "mappings.yaml").read_bytes().decode()
ENDS = "the file does not end in a line `...`; add that line: it shows that the file is whole"


def refused(text: str, name: str = "m.yaml", **others: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        read_document({name: text, **others}, CONDITIONS)
    return str(caught.value)


def test_no_beginning_of_the_example_is_a_document() -> None:
    """At each end of a line, at the last of all, and at some between."""
    read_document({"m.yaml": EXAMPLE}, CONDITIONS)
    lines = [at + 1 for at, char in enumerate(EXAMPLE[:-1]) if char == "\n"]
    last = range(len(EXAMPLE) - 200, len(EXAMPLE) - 1)
    for end in {*lines, *last, *range(0, len(EXAMPLE), 61)}:
        refused(EXAMPLE[:end])


@pytest.mark.parametrize(
    "text",
    [
        text_of(sound(mappings=[a_mapping()])).replace("\n", "\r\n"),
        BOM + text_of(sound(mappings=[a_mapping()])),
        "version: 1\ngroups:\n  a: {provider: okta, name: >-\n    x\n  }\n...\n".replace(" >-\n    x\n ", " x"),
        "version: 1\n# ...\ngroups:\n  a:\n    provider: okta\n    name: >-\n      ...\n      ...\ntests: []\n...\n",
        "---\nversion: 1\n...\n",
    ],
    ids=["crlf", "bom", "flow", "dots inside", "begins with a mark"],
)
def test_no_beginning_of_a_whole_file_is_one(text: str) -> None:
    read_document({"m.yaml": text}, CONDITIONS)
    for end in range(text.rindex("...") + 3):
        refused(text[:end])


def test_what_follows_an_earlier_end_is_no_document() -> None:
    """Nothing but comments can stand between two marks, so the beginning that ends at the first says the same."""
    assert "this is not YAML" in refused("version: 1\n...\ndenies: []\n...\n")
    assert "a second document begins here" in refused("version: 1\n...\n---\ndenies: []\n...\n")
    twice = read_document({"m": "version: 1\n...\n# more\n...\n"}, CONDITIONS)
    assert twice.plain == read_document({"m": "version: 1\n...\n"}, CONDITIONS).plain


@pytest.mark.parametrize(
    "end",
    ["", " ...\n", "....\n", "..\n", "..", "# ...\n", "---\n", "...x", "... # x\nx", "a: ...\n"],
)
def test_only_a_last_line_of_three_dots_counts(end: str) -> None:
    assert ENDS in refused("version: 1\n" + end)


@pytest.mark.parametrize("end", ["...", "... ", "...\t\n", "...\n\n", "... \r\n \r\n", "...\r\n\n\n"])
def test_blanks_behind_the_end_say_nothing(end: str) -> None:
    read_document({"m.yaml": "version: 1\n" + end}, CONDITIONS)
    read_document({"m.yaml": BOM + "version: 1\n" + end}, CONDITIONS)


@pytest.mark.parametrize("end", ["... # end\n", "... # end", "...\n\n# x\n", "...\r\n  # x\r\n\r\n"])
def test_a_comment_behind_the_end_is_told_as_such(end: str) -> None:
    told = refused("version: 1\n" + end)
    assert told == "m.yaml:2:1: a comment behind `...`, the end of the file; move it to before that line"


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("# \u202e\nversion: 1\n...\n", "m.yaml:1:3: a character that does not show (U+202E)"),
        ("version: 1\ngroups: {}\n# \x85\n...\n", "m.yaml:3:3: a character that does not show (U+0085)"),
        ("version: 1\ntests:\n  - name: 'x\u200b'\n...\n", "m.yaml:3:13: a character that does not show (U+200B)"),
        ("v\u0435rsion: 1\n...\n", "m.yaml:1:2: letters of two alphabets in one word"),
        ("version: 1\na: *x\n...\n", "m.yaml:2:4: an alias (*)"),
        ("version: 1\na: [\n...\n", "m.yaml:3:1: this is not YAML"),
    ],
    ids=ascii,
)
def test_what_cannot_be_read_is_the_only_thing_told(text: str, first: str) -> None:
    """What seems to be missing may stand in what was not read."""
    told = refused(text, **{"a.yaml": "version: 2\nmappings: 1\n...\n"})
    assert told.startswith(first)
    assert "version" not in told
    assert "a.yaml" not in told


def test_the_place_is_the_last_line() -> None:
    assert refused("version: 1\ntests: []\n").startswith("m.yaml:2:1: ")
    assert refused("version: 1\ntests: []").startswith("m.yaml:2:1: ")
    assert "m.yaml:1:1: the file does not end" in refused("")


def test_each_file_of_a_folder_ends_so() -> None:
    text = text_of(sound(mappings=[a_mapping()]))
    told = refused("version: 1\n", "b.yaml", **{"a.yaml": text, "c.yaml": "version: 1\n...\n"})
    assert told.startswith("b.yaml:1:1: ")
    assert told.count(ENDS) == 1
    assert whole(text) == text
