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


ENDS_OR_TURNS = [
    *"\x00\x01\x08\x0b\x0c\x1b\x7f\x80\x85\x9f\u061c\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e",
    *"\u2066\u2067\u2068\u2069\ud800\ufeff\uffff",
]
SHOWS_NOTHING = [
    *"\xa0\xad\u180e\u200b\u200c\u200d\u202f\u2060\u2061\u2064\u3000\ue000\ufff9\U000e0041",
    *"\u034f\u115f\u2800\u3164\ufe0e\ufe0f\uffa0\U000e0100",
]


def by_number(char: str) -> str:
    return f"U+{ord(char):04X}"


def refused_in_its_place(line: str, char: str) -> None:
    (problem,) = problems(f"a: b\n{line.format(char)}\nc: d\n")
    assert problem.where == f"f.yaml:2:{line.index('{') + 1}"
    assert problem.what == f"a character that does not show (U+{ord(char):04X})"
    assert "as an escape" in problem.remedy


@pytest.mark.parametrize("char", ENDS_OR_TURNS, ids=by_number)
@pytest.mark.parametrize("line", ["# a comment {}", "b: text {}", "b: 'text{}'", 'b: "te{}xt"', "description: 'a{}b'"])
def test_what_ends_a_line_or_turns_it_is_refused_everywhere(line: str, char: str) -> None:
    refused_in_its_place(line, char)


@pytest.mark.parametrize("char", SHOWS_NOTHING, ids=by_number)
@pytest.mark.parametrize("line", ["b: text{}", "b: 'text{}'", 'b: "te{}xt"', "'b{}': c", "b: [x, y{}]"])
def test_a_value_holds_no_character_that_does_not_show(line: str, char: str) -> None:
    refused_in_its_place(line, char)


ONLY_FOR_PEOPLE = [
    *(
        "\u26a0\ufe0f",
        "\U0001f468\u200d\U0001f4bb",
        "\U0001fae8",
        "\U0001fadf",
        "1\ufe0f\u20e3",
        "fu\u0308r",
        "\u03bcs",
    ),
    *(
        "Attention\u00a0:",
        "\u00ab\u202fprod\u202f\u00bb",
        "\u672c\u756a\u3000\u74b0",
        "\u0645\u06cc\u200c\u0634",
        "k\u03a9",
    ),
    *("k8s\u043d\u044b\u0439", "DN\u044b", "VPN\u2011\u0434", "\u212bngstrom"),
]


@pytest.mark.parametrize("text", ONLY_FOR_PEOPLE, ids=ascii)
@pytest.mark.parametrize(
    "line", ["# {}", "c: d # {}", "c: 'd' #{}", "c: >- # {}\n  d", "description: '{}'", "owner: '{}'"]
)
def test_what_only_people_read_is_written_as_people_write(line: str, text: str) -> None:
    """In a comment, and behind the keys of texts that decide nothing."""
    read(f"a: b\n{line.format(text)}\n")
    assert problems(f"a: b\nc: 'd {text}'\n")


@pytest.mark.parametrize("text", ["a: 'x # \u200b'\n", 'a: "x # \u200b"\n', "a: x#\u200b\n", "a: |\n  x\n  # \u200b\n"])
def test_what_looks_like_a_comment_inside_a_text_is_none(text: str) -> None:
    assert problems(text)[0].what == "a character that does not show (U+200B)"


@pytest.mark.parametrize(
    "word",
    [
        *(
            "eu\u2010prod",
            "eu\u2011prod",
            "eu\u2212prod",
            "eu\u2013prod",
            "eu\u02d7prod",
            "a\u2215b",
            "a\u01c3",
            "a\u02d0b",
        ),
        *("\uff45u", "eu-\U0001d5c9rod", "\u017fre", "pci\u0307", "1\u0307", "\u00edb\u0307", "a\uff0fb", "\u00b5s"),
        *("pr\u0585d", "pr\u1d0fd", "pro\u0257", "pr\u13a0d", "\u0410\u0301WS", "p1\u0430", "\u90e8\u0410", "\u0301a"),
    ],
    ids=ascii,
)
def test_a_value_holds_nothing_that_looks_like_something_else(word: str) -> None:
    (problem,) = problems(f"a: b\nc: '{word}'\n")
    assert problem.what.split(" (U+")[0] in {
        "a sign that looks like another",
        "a letter in an unusual spelling",
        "a mark on the letter before",
        "letters of two alphabets in one word",
    }
    assert problem.where.startswith("f.yaml:2:")


@pytest.mark.parametrize(
    "name",
    [
        *(
            "Gr\u00f6\u00dfe",
            "\u041e\u0442\u0434\u0435\u043b-AWS",
            "AWS\u90e8\u95e8",
            "\u958b\u767a\u30c1\u30fc\u30e0",
            "\uac1c\ubc1c\uc790",
        ),
        *(
            "Nguy\u1ec5n",
            "\u0e1c\u0e39\u0e49\u0e14\u0e39\u0e41\u0e25",
            "\u0e17\u0e33",
            "\u0915\u094d\u0937",
            "\u05e9\u05dc\u05d5\u05dd",
            "\u0645\u062f\u064a\u0631",
        ),
    ],
    ids=ascii,
)
def test_a_name_in_any_one_language_is_read(name: str) -> None:
    assert read(f"a: '{name}'\n") == {"a": name}


@pytest.mark.parametrize(
    "quoted", ["CN=VPN\\u043f\u043e\u043b", "CN=\\u200b\u0410\u0434", "eu\\u2011p", "\\U00000430WS", "a\\_b"]
)
def test_an_escape_stands_between_what_is_beside_it(quoted: str) -> None:
    read(f'a: "{quoted}"\n')


@pytest.mark.parametrize("quoted", ["p\\x72\u043ed", "\u0440\\u0072", "AW\\u0053\u043f", "\u0410\\U00000057S"])
def test_an_escape_of_a_plain_letter_hides_no_neighbour(quoted: str) -> None:
    (problem,) = problems(f'a: "{quoted}"\n')
    assert (problem.where, problem.what) == ("f.yaml:1:4", "letters of two alphabets in one word")


def test_text_far_to_the_right_is_refused() -> None:
    """A viewer of changes cuts or folds the line before it."""
    blanks = " " * 120
    for before, after in (("a: [b,", "c]"), ("", "a: b"), ("a: b", "# c")):
        read(f"{before}{blanks}{after}\n")
        (problem,) = problems(f"x: y\n{before}{blanks[1:]}\t {after}\n")
        assert problem.where == f"f.yaml:2:{len(before) + 1}"
        assert problem.what == "text behind more than 120 blanks"
    assert read(f"a: b{blanks * 9}\n") == {"a": "b"}


def test_the_values_that_look_like_others_are_told_up_to_a_number() -> None:
    found = problems("".join(f"a{n}: 'pr\u043ed'\n" for n in range(source.MAX_UNREADABLE + 5)))
    assert [problem.where for problem in found] == [f"f.yaml:{n + 1}:8" for n in range(source.MAX_UNREADABLE)]


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


@pytest.mark.parametrize("text", ["a \u2010 b", "1\u22122", "\u2019", "\uff0f"])
def test_a_sign_by_itself_is_told_as_a_sign(text: str) -> None:
    assert problems(f"a: 'x {text}'\n")[0].what.startswith("a sign that looks like another (U+")


@pytest.mark.parametrize("text", ["\uff45\uff55", "1\u00b2", "\U0001d5c9\U0001d5c9"])
def test_a_letter_in_another_form_by_itself_is_told_as_such(text: str) -> None:
    assert problems(f"a: 'x {text}'\n")[0].what.startswith("a letter in an unusual spelling (U+")
