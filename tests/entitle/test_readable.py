"""Who reviews a change sees what the reader reads."""

import pytest

from broker.entitle import source
from broker.entitle.source import BOM, Data, read_yaml
from broker.errors import ConfigurationError, Problem


def problems(text: str) -> list[Problem]:
    with pytest.raises(ConfigurationError) as caught:
        read_yaml(text, "f.yaml")
    return list(caught.value.problems)


def read(text: str) -> Data:
    return read_yaml(text, "f.yaml").data


@pytest.mark.parametrize(
    "char",
    [
        *"\x00\x01\x08\x0b\x0c\x1b\x7f\x80\x85\x9f\xa0\xad",
        *"\u061c\u180e\u200b\u200c\u200d\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u202f",
        *"\u2060\u2061\u2064\u2066\u2067\u2068\u2069\u3000\ud800\ue000\ufeff\ufff9\uffff\U000e0041",
        *"\u034f\u115f\u2800\u3164\ufe0e\ufe0f\uffa0\U000e0100",
    ],
    ids=lambda char: f"U+{ord(char):04X}",
)
@pytest.mark.parametrize("line", ["# a comment {}", "b: text {}", "b: 'text{}'", 'b: "te{}xt"'])
def test_a_character_that_does_not_show_is_refused_where_it_stands(line: str, char: str) -> None:
    (problem,) = problems(f"a: b\n{line.format(char)}\nc: d\n")
    assert problem.where == f"f.yaml:2:{line.index('{') + 1}"
    assert problem.what == f"a character that does not show (U+{ord(char):04X})"
    assert "as an escape" in problem.remedy


@pytest.mark.parametrize("end", ["\x85", "\u2028", "\u2029", "\r"], ids=["NEL", "LS", "PS", "CR"])
def test_a_comment_never_becomes_a_line(end: str) -> None:
    """libyaml ends a line there; a diff and an editor do not."""
    text = f"denies: []\n# was:{end}admins: all\n"
    assert [problem.where for problem in problems(text)] == ["f.yaml:2:7"]


def test_only_the_line_ends_of_text_files_count() -> None:
    assert read("a: b\r\nc: d\r\n") == read("a: b\nc: d\n") == {"a": "b", "c": "d"}


def test_a_byte_order_mark_is_no_part_of_the_text() -> None:
    assert read(f"{BOM}a: b\n") == {"a": "b"}
    assert problems(f"{BOM}{BOM}a: b\n")[0].where == "f.yaml:1:1"


def test_what_shows_is_read() -> None:
    text = "# Größe, 部门, Отдел, λόγος, “q” … ½ → ✓ 🙂\n'ключ': Отдел-AWS Größe\tx\n"
    assert read(text) == {"ключ": "Отдел-AWS Größe\tx"}


def test_an_escape_in_double_quotes_says_what_a_character_would_hide() -> None:
    assert read('a: "x\\u00a0y\\u200bz e\\u0301 \\u0430WS"\n') == {"a": "x\u00a0y\u200bz e\u0301 \u0430WS"}


@pytest.mark.parametrize("word", ["\u0410WS", "AW\u0405", "CN=\u0410dmins", "adm\u0456n", "Ad\u03bfbe"])
def test_a_word_of_two_alphabets_is_refused(word: str) -> None:
    """CYRILLIC A looks like A: the name in the document would be that of another group."""
    (problem,) = problems(f"a: b\nc: '{word}'\n")
    assert problem.what == "letters of two alphabets in one word"
    assert problem.where.startswith("f.yaml:2:")


@pytest.mark.parametrize(("text", "column"), [("x: Ange\u0301lique", 7), ("x: 10 k\u2126", 8), ("x: \u212bngstrom", 4)])
def test_one_letter_has_one_spelling(text: str, column: int) -> None:
    (problem,) = problems(text)
    assert problem.where == f"f.yaml:1:{column}"
    assert problem.what.startswith("a letter in an unusual spelling (U+")


def test_every_unreadable_line_is_told_up_to_a_number_and_nothing_else() -> None:
    found = problems("a: no\n" + "# \x00\n" * (source.MAX_UNREADABLE + 5))
    assert [problem.where for problem in found] == [f"f.yaml:{n + 2}:3" for n in range(source.MAX_UNREADABLE)]


@pytest.mark.parametrize("quote", ['"', "'"])
def test_a_quoted_text_does_not_swallow_the_lines_after_it(quote: str) -> None:
    """No line of the denies is changed: only those before and after them would be in the diff."""
    (problem,) = problems(f"owner: {quote}leads\ndenies:\n  - x\ntests: {quote}\n")
    assert (problem.where, problem.what) == ("f.yaml:1:8", "a text over several lines")
    assert read(f"owner: {quote}leads{quote}\ndenies:\n  - x\n") == {"owner": "leads", "denies": ["x"]}


def test_a_slip_of_indentation_does_not_make_one_text_of_two() -> None:
    (problem,) = problems("groups:\n  - sre\n   - leavers\n")
    assert (problem.where, problem.what) == ("f.yaml:2:5", "a text over several lines")
    assert read("groups:\n  - sre\n  - leavers\n") == {"groups": ["sre", "leavers"]}


def test_a_block_of_text_ends_where_its_indentation_does() -> None:
    assert read("a:\n  b: >-\n    CN=x,\n    DC=y\n  c: |\n    one\n    two\nd: e\n") == {
        "a": {"b": "CN=x, DC=y", "c": "one\ntwo\n"},
        "d": "e",
    }


@pytest.mark.parametrize("text", ["name: admins #2\n", "names: [admins #2\n]\n", "names:\n  - admins\t#2\n"])
def test_a_text_is_not_cut_short_by_what_looks_like_part_of_it(text: str) -> None:
    (problem,) = problems(text)
    assert problem.what == "a comment (#) begins here"
    assert problem.where.split(":")[1:] == [str(text.count("\n", 0, text.index("#")) + 1), str(_column(text))]
    assert "admins" in str(read(text.replace("#2", "# 2")))
    assert "admins #2" in str(read(text.replace("admins #2", "'admins #2'").replace("admins\t#2", "'admins #2'")))


def _column(text: str) -> int:
    """Behind the name."""
    end = text.index("admins") + len("admins")
    return end - (text.rfind("\n", 0, end) + 1) + 1


def test_a_comment_as_people_write_it_is_one() -> None:
    text = "#!x\n#x\na: b # c\nd: 'e' #f\ng: h#i\nj: k ##\n# l\n"
    assert read(text) == {"a": "b", "d": "e", "g": "h#i", "j": "k"}


@pytest.mark.parametrize("text", ["a:\n\t- b\n", "a:\n\tb: c\n", "a: b\n\tc: d\n", "\ta: b\n", "- a\n\t- b\n"])
def test_a_tab_never_indents(text: str) -> None:
    assert problems(text)


def test_a_tab_elsewhere_is_a_space() -> None:
    assert read("a:\tb\t# c\nd: [x,\tz]\n") == {"a": "b", "d": ["x", "z"]}


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("? a\n: b\na: c\n", "the key 'a' is here twice"),
        ("? >-\n  a\n: b\na: c\n", "the key 'a' is here twice"),
        ('"\\x61": b\na: c\n', "the key 'a' is here twice"),
        ("{a: b, ? a : c}\n", "the key 'a' is here twice"),
        ("? a\n", "an empty value"),
        ("{a}\n", "an empty value"),
        ("? [a]\n: b\n", "a list or mapping as a key"),
        ("? - a\n: b\n", "a list or mapping as a key"),
        ("? a\n  b\n: c\n", "a text over several lines"),
        ("=: a\n<<: b\n", "a merge key"),
        ("a: {<<: {b: c}}\n", "a merge key"),
        ("a: [&x b, *x]\n", "an anchor"),
        ("a: !<tag:yaml.org,2002:null> b\n", "a tag"),
        ("!!map {a: b}\n", "a tag"),
        ("a: 190:20:30\n", "a time without quotes"),
        ("a: 0777\n", "a number with a leading zero"),
        ("a: 1_000\n", "a number in an unusual spelling"),
        ("a: NO\n", "yes, no, on, off"),
        ("a: n\n", "yes, no, on, off"),
        ("a: b\n--- c\n", "a second document"),
        ("a: b\n...\nc: d\n", "this is not YAML"),
        ("%YAML 1.1\n---\na: b\n", "a % directive"),
    ],
)
def test_every_other_way_to_say_one_thing_and_mean_another_is_refused(text: str, what: str) -> None:
    assert problems(text)[0].what.startswith(what)
